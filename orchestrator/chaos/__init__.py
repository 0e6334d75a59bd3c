"""A real ensemble under client load while its members are killed, paused, cut and slowed."""
