"""TensorRT on a Jetson: the host makes explicit-precision ONNX and a recipe, the board itself builds and runs the engine.

Nothing here imports TensorRT or touches CUDA before it is asked to; loading never builds.
"""
