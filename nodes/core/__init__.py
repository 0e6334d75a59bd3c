"""Everything the protocol decides, as a pure state machine: no clock, no I/O, no randomness."""
