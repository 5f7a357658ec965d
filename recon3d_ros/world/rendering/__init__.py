"""Rays to images, exact disparity and depth; random training samples; the demo's camera."""
