"""The map node: images, depth and poses in, one mesh, cloud and grid out."""
