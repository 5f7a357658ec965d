"""The focal length for which a mono network answers depth; no torch here."""

# Of a camera that sees 63 degrees across 320 px, as most indoor RGB-D cameras do.
CANONICAL_FOCAL_PX = 260.0
