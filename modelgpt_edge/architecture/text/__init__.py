"""Text templates: sentence encoders found, written as ONNX graphs, and run."""
