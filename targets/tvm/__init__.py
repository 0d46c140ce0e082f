"""The TVM backend: a template compiled once a shape and processor into a library that takes its weights as inputs.

A device needs the libtvm_ffi of apache-tvm-ffi to run it, and neither TVM's compiler nor its runtime.
"""
