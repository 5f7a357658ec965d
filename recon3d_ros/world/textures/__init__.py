"""Patterns, prints and cut-outs, baked into one atlas with mip levels."""
