"""TensorRT-RTX on a PC: engines are built ahead of time, without a GPU, and run where there is one.

The library is large and lives in an environment of its own; only `aot` runs there. It also stands in for a Jetson's TensorRT
as a proxy, whose ONNX parser is of the same family.
"""
