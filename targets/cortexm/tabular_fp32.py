"""The tables of a child in fp32: every weight as it is."""

from __future__ import annotations

import numpy as np

from modelgpt_edge.targets.cortexm.layout import Layout
from modelgpt_edge.targets.cortexm.literals import Array, Table
from modelgpt_edge.targets.cortexm.quantise import pad
from modelgpt_edge.targets.cortexm.tabular_tables import TILE, Shape, float_tables, front_tables, taps_tables


def fp32_tables(layout: Layout, shape: Shape) -> list[Table]:
    """Tables in the order of their use."""
    head = shape.head(layout)
    return [
        *front_tables(layout),
        *float_tables(rank_values=np.concatenate([*layout.values, np.zeros(0)])),
        *float_tables(
            dense_weight=tiled(pad(pad(layout.dense_weight, 1, shape.dense), 0, shape.always)),
            dense_bias=pad(layout.dense_bias, 0, shape.dense),
            dense_row=pad(layout.dense_row, 1, shape.dense),
        ),
        *taps_tables("sparse", layout.sparse, layout, shape),
        *float_tables(sparse_weight=layout.sparse.weight, sparse_bias=layout.sparse.bias),
        *taps_tables("leaf", layout.leaf, layout, shape),
        *float_tables(leaf_slope=layout.leaf.weight, leaf_bias=layout.leaf.bias),
        *float_tables(head_weight=head.T, head_row=layout.head_row, head_bias=layout.head_bias),
    ]


def tiled(weight: Array) -> Array:
    """Weights (J, N) with those of four outputs on one input together: (N / 4, J, 4), flat."""
    inputs, outputs = weight.shape
    return weight.reshape(inputs, outputs // TILE, TILE).transpose(1, 0, 2).ravel()
