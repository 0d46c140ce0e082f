"""The kernels' bench: `modelgpt-edge bench kernels` checks them, times them beside torch, and holds both against the machine.

`run.py` is the straight line through it. Whatever needs no GPU is a pure function of what was measured.
"""
