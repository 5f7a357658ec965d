"""The image_source node: plays folders, videos, webcams, recordings and the procedural world."""
