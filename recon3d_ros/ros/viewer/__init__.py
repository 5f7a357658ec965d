"""A running node in the viewer Rerun."""
