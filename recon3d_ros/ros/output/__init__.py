"""What the depth node publishes: clouds, images, diagnostics."""
