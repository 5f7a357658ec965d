"""What the depth node knows about its inputs and its own work."""
