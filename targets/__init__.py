"""Devices as frozen data and one module a backend: what can be built for, and what of it can be checked on this machine.

No toolchain comes in at import time: a backend imports its own inside `probe`, and says why when it can't.
"""
