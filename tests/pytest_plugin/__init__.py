"""The pytest plugin, as people use it: whole runs of pytest inside of pytest."""
