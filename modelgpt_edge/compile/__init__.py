"""Compiler: fuses a child into ONNX graphs, derives the targets' variants, gates them numerically, and packages them."""
