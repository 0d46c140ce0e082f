"""Keep the most valuable hidden units of many, packed anew into groups that share eight columns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats, Ints, Units
from modelgpt_edge.parameters.units import GROUP_COLUMNS, GROUP_UNITS, OFF, Widths


def keep_units(units: Units, worth: Floats, widths: Widths) -> Units:
    """The most valuable units, as many of each kind as `widths` says.

    Args:
        worth: (P,) of each unit, in the units' order.
        widths: dense and pair units count as one kind; no more of a kind than there are.
    """
    dense, sparse, leaf = np.split(worth, np.cumsum(units.counts)[:2])
    kept = np.sort(np.argsort(-dense, kind="stable")[: widths.dense + widths.pair])
    column, weight, bias = _keep_sparse(units, sparse, widths.sparse)
    leaf_column, slope, leaf_bias, offset = _keep_leaves(units, leaf, widths.leaf)
    dense_weight = np.ascontiguousarray(units.dense_weight[:, kept])
    return Units(dense_weight, units.dense_bias[kept], column, weight, bias, leaf_column, slope, leaf_bias, offset)


@dataclass(frozen=True)
class _Group:
    """Up to eight columns, and the units (by place) that read no other."""

    columns: Ints
    members: NDArray[np.intp]


def _pack(uses: NDArray[np.bool_], worth: Floats, wanted: int) -> tuple[list[_Group], int]:
    """Groups of `wanted` units in all and their common size, greedily: around the worthiest unit left, the worthiest that fit.

    Args:
        uses: (U, D) which columns a unit reads.
        worth: (U,) of each unit.
    """
    size = math.gcd(wanted, GROUP_UNITS)
    left = np.argsort(-worth, kind="stable")
    groups = []
    for _ in range(wanted // size):
        columns = np.zeros(uses.shape[1], bool)
        for unit in left:
            if (columns | uses[unit]).sum() <= GROUP_COLUMNS:
                columns |= uses[unit]
                if columns.sum() == GROUP_COLUMNS:
                    break
        members = left[~(uses[left] & ~columns).any(1)][:size]
        left = left[~np.isin(left, members)]
        groups.append(_Group(np.flatnonzero(columns).astype(np.int32), members))
    return groups, size


def _keep_sparse(units: Units, worth: Floats, wanted: int) -> tuple[Ints, Floats, Floats]:
    groups_of = units.sparse_bias.shape
    weight = np.zeros((*groups_of, len(units.dense_weight)), np.float32)
    columns = np.broadcast_to(units.sparse_column[:, None], (*groups_of, GROUP_COLUMNS))
    # A column that stands twice in a group is used at most once by a unit.
    np.add.at(weight, (*np.indices(columns.shape)[:2], columns), units.sparse_weight.transpose(0, 2, 1))
    weight, old_bias = weight.reshape(units.sparse_bias.size, -1), units.sparse_bias.ravel()

    groups, size = _pack(weight != 0, worth, wanted)
    column = np.zeros((len(groups), GROUP_COLUMNS), np.int32)
    block = np.zeros((len(groups), GROUP_COLUMNS, size), np.float32)
    bias = np.zeros((len(groups), size), np.float32)
    for g, group in enumerate(groups):
        width, count = len(group.columns), len(group.members)
        column[g, :width] = group.columns
        block[g, :width, :count] = weight[group.members][:, group.columns].T
        bias[g, :count] = old_bias[group.members]
    return column, block, bias


def _keep_leaves(units: Units, worth: Floats, wanted: int) -> tuple[Ints, Floats, Floats, Floats]:
    groups_of = units.leaf_offset.shape
    slopes = units.leaf_slope.reshape(groups_of[0], GROUP_COLUMNS, 3, groups_of[1]).transpose(0, 3, 2, 1)  # (H, B, 3, 8)
    steps = np.zeros((*groups_of, 3, len(units.dense_weight)), np.float32)
    columns = np.broadcast_to(units.leaf_column[:, None, None], slopes.shape)
    np.add.at(steps, (*np.indices(columns.shape)[:3], columns), slopes)
    steps = steps.reshape(units.leaf_offset.size, 3, -1)
    old_bias = units.leaf_bias.reshape(groups_of[0], 3, groups_of[1]).transpose(0, 2, 1).reshape(-1, 3)

    groups, size = _pack((steps != 0).any(1), worth, wanted)
    column = np.zeros((len(groups), GROUP_COLUMNS), np.int32)
    block = np.zeros((len(groups), GROUP_COLUMNS, 3, size), np.float32)
    bias = np.full((len(groups), 3, size), OFF, np.float32)
    offset = np.zeros((len(groups), size), np.float32)
    for g, group in enumerate(groups):
        width, count = len(group.columns), len(group.members)
        column[g, :width] = group.columns
        block[g, :width, :, :count] = steps[group.members][:, :, group.columns].transpose(2, 1, 0)
        bias[g, :, :count] = old_bias[group.members].T
        offset[g, :count] = units.leaf_offset.ravel()[group.members]
    return column, block.reshape(len(groups), GROUP_COLUMNS, 3 * size), bias.reshape(len(groups), 3 * size), offset
