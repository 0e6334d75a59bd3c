"""Tests of the wire port."""
