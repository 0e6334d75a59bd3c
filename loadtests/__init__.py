"""Locust users that expire, and the tables of what they read."""
