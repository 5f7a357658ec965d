"""Train our own networks on the procedural world and export them."""
