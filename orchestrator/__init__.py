"""Starts ensembles, disturbs them, watches them, and judges what clients saw."""
