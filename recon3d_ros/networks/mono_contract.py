"""What there is to know of a mono network before torch is loaded."""

# The focal length for which it predicts depth, px down its input: of a camera that sees 50 degrees over 240
# rows, as most indoor RGB-D cameras do.
CANONICAL_FOCAL_PX = 260.0
# Its modules whose outputs another network can teach: the encoder's at 1/4 to 1/32 of the size, and the
# decoder's, back at 1/16 to 1/4.
DISTILLABLE = (
    "to_quarter",
    "to_eighth",
    "to_sixteenth",
    "to_thirtysecond",
    "merge_sixteenth",
    "merge_eighth",
    "merge_quarter",
)
