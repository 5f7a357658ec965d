"""Images to a depth map: one estimator, with its stages on the CPU or on a GPU."""
