"""Data sets of colour with depth."""
