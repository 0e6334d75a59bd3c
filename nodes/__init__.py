"""A member of the ensemble: the pure core, and the process around it."""
