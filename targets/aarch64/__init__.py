"""64-bit ARM Linux without a board: a small arm64 userland in the user's cache, and qemu's user mode that runs programs in it.

It tells whether an artefact computes what it should, never how fast: qemu is hundreds of times slower than a board.
"""
