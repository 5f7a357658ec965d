"""From a checkpoint to a model: ONNX, manifest, calibrated confidence, measured accuracy."""
