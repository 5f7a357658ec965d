"""One training run: its state, loop, checkpoints, schedule, records."""
