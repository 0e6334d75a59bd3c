"""The race between "your session expired" and the end of its ephemerals, on real processes."""
