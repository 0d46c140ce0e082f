"""Image templates: backbones found, written as ONNX graphs, and run."""
