"""Rays to images, exact disparity and depth."""
