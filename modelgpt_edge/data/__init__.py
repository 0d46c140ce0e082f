"""Read tables: files and in-memory data to raw cells, profiled and typed columns.

The runtime reads its input through this room too, so only numpy and the standard library come in at import time.
"""
