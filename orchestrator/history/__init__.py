"""Histories for people and for other checkers: a summary, a merge, exports."""
