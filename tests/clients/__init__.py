"""Clients that others wrote, unmodified, on an ensemble whose members die and whose links lag."""
