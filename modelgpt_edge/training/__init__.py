"""Meta-training of the Parameter Generator: the synthetic prior and what learns from it.

Nothing that a build or a device runs lives here.
"""
