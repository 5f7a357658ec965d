"""Data sets of stereo pairs."""
