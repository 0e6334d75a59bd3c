"""Judges recorded histories by what ZooKeeper promises, and by what its users hope for."""
