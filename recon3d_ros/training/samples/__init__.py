"""Training samples: rendered, read, augmented, batched, and what a task makes of them."""
