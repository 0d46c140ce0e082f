"""The heavy operations of generation, one folder an operation; callers import the operation, not its implementation.

`naive.py` is the obvious form in torch and the reference, `triton.py` the one for a server's GPU; the function of the folder's
name takes whichever fits where the operands lie.
"""
