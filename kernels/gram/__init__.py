"""Gram: the sums that a ridge solve needs of its rows, without ever holding rows x features."""

from modelgpt_edge.kernels.gram.host import GramSums, add_rows

__all__ = ["GramSums", "add_rows"]
