"""Children and networks of any shape for the C emitter's tests: drawn at random, each part as its class documents it."""

from __future__ import annotations

import numpy as np

from modelgpt_edge.child import Child, Encoder, Units
from modelgpt_edge.network import (
    AveragePool,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePool,
    MaxPool,
    Network,
    ReLU,
    Softmax,
)

KNOTS = 32


def random_child(numbers=4, waves=0, ranks=3, flags=1, vocabularies=(3, 2), dense=20, sparse=24, leaf=12, classes=3, seed=0):
    """A child of so many columns and units; classes 0 is a regression."""
    rng = np.random.default_rng(seed)
    f = np.float32
    waves, wide = waves * bool(numbers), numbers + waves * bool(numbers)
    ranks, flags = min(ranks, wide), min(flags, wide)
    encoder = Encoder(
        numbers=tuple(f"n{i}" for i in range(numbers)),
        words=tuple(f"w{i}" for i in range(len(vocabularies))),
        vocabularies=tuple(tuple(f"v{j}" for j in range(count)) for count in vocabularies),
        wave_column=rng.integers(0, max(numbers, 1), waves).astype(np.int32),
        wave_frequency=rng.uniform(0.01, 1, waves).astype(f),
        wave_phase=rng.uniform(0, 1, waves).astype(f),
        median=rng.normal(size=wide).astype(f),
        center=rng.normal(size=wide).astype(f),
        scale=rng.uniform(0.3, 2, wide).astype(f),
        rank_column=rng.permutation(wide)[:ranks].astype(np.int32),
        rank_knots=np.sort(rng.normal(size=(ranks, KNOTS)), axis=1).astype(f),
        rank_values=np.sort(rng.normal(size=(ranks, KNOTS)), axis=1).astype(f),
        flag_column=rng.permutation(wide)[:flags].astype(np.int32),
    )
    width = encoder.width
    groups, size = (sparse + 3) // 4, 4
    taps = np.where(rng.random((groups, 8, size)) < 0.25, rng.normal(size=(groups, 8, size)), 0)
    boxes, box = (leaf + 3) // 4, 4
    steps = rng.integers(1, 4, (boxes, box))
    slope, bias = np.zeros((boxes, 8, 3, box)), np.full((boxes, 3, box), -30.0)
    for g in range(boxes):
        for u in range(box):
            for s in range(steps[g, u]):
                slope[g, rng.integers(8), s, u] = rng.choice([-4.0, 4.0])
                bias[g, s, u] = rng.normal() * 4
    units = Units(
        dense_weight=(rng.normal(size=(width, dense)) / np.sqrt(width)).astype(f),
        dense_bias=rng.normal(size=dense).astype(f),
        sparse_column=rng.integers(0, width, (groups, 8)).astype(np.int32),
        sparse_weight=taps.astype(f),
        sparse_bias=rng.normal(size=(groups, size)).astype(f),
        leaf_column=rng.integers(0, width, (boxes, 8)).astype(np.int32),
        leaf_slope=slope.reshape(boxes, 8, 3 * box).astype(f),
        leaf_bias=bias.reshape(boxes, 3 * box).astype(f),
        leaf_offset=(steps - 1).astype(f),
    )
    outputs = classes or 1
    head = rng.normal(size=(width + units.count, outputs)) / np.sqrt(width + units.count)
    names = tuple(f"k{i}" for i in range(classes))
    return Child(encoder, units, head.astype(f), rng.normal(size=outputs).astype(f), names)


def random_rows(child, rows=60, seed=1):
    """Packed rows: plain, wild, missing and unknown cells."""
    rng = np.random.default_rng(seed)
    numbers = (2 * rng.normal(size=(rows, len(child.encoder.numbers)))).astype(np.float32)
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    hard = np.array([0, np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-40, 1e9], np.float32)
    numbers[: len(hard)] = hard[:, None]
    codes = (
        np.stack([rng.integers(-1, len(v) + 1, rows) for v in child.encoder.vocabularies], axis=1) if child.encoder.words else 0
    )
    return numbers, np.asarray(codes, np.int32) if child.encoder.words else np.zeros((rows, 0), np.int32)


def dense(rng, inputs, outputs, relu=False):
    return Dense((rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)).astype(np.float32), bias(rng, outputs), relu)


def conv(rng, channels, outputs, size=3, stride=1, padding=(1, 1, 1, 1), relu=True):
    weight = rng.normal(size=(size, size, channels, outputs)) / (size * np.sqrt(channels))
    return Conv2D(weight.astype(np.float32), bias(rng, outputs), stride, padding, relu)


def depthwise(rng, channels, size=3, stride=1, padding=(1, 1, 1, 1), relu=True):
    weight = rng.normal(size=(size, size, channels)) / size
    return DepthwiseConv2D(weight.astype(np.float32), bias(rng, channels), stride, padding, relu)


def bias(rng, count):
    return (0.3 * rng.normal(size=count)).astype(np.float32)


def networks(seed=0):
    """Networks by name: every layer, odd sizes, both ends."""
    r = np.random.default_rng(seed)
    return {
        "mlp": Network((30,), (dense(r, 30, 64, True), dense(r, 64, 64, True), dense(r, 64, 3))),
        "mlp of odd sizes": Network((7,), (dense(r, 7, 13, True), dense(r, 13, 5), ReLU(), dense(r, 5, 3), Softmax())),
        "one layer": Network((5,), (dense(r, 5, 2),)),
        "softmax alone": Network((6,), (Softmax(),)),
        "a row that ends in relu": Network((6,), (dense(r, 6, 9), ReLU())),
        "convolutions": Network(
            (16, 16, 3),
            (conv(r, 3, 16), conv(r, 16, 32, stride=2), conv(r, 32, 8, stride=2), GlobalAveragePool(), dense(r, 8, 10)),
        ),
        "lopsided padding, odd channels": Network(
            (9, 7, 5),
            (conv(r, 5, 7, 3, 2, (0, 1, 2, 1), False), conv(r, 7, 6, 2, 1, (0, 0, 0, 0)), Flatten(), dense(r, 72, 4)),
        ),
        "kernels that hang over on both sides": Network(
            (2, 3, 2), (conv(r, 2, 3, 5, 1, (2, 2, 2, 2)), Flatten(), dense(r, 18, 2))
        ),
        "depthwise": Network(
            (12, 10, 4),
            (
                depthwise(r, 4),
                conv(r, 4, 9, 1, 1, (0, 0, 0, 0)),
                depthwise(r, 9, 3, 2, (1, 0, 0, 1), False),
                GlobalAveragePool(),
            ),
        ),
        "pools": Network(
            (13, 11, 3),
            (
                conv(r, 3, 5),
                MaxPool(2, 2),
                AveragePool(3, 1),
                MaxPool(1, 1),
                AveragePool(1, 1),
                Flatten(),
                dense(r, 60, 3),
                Softmax(),
            ),
        ),
        "maps all the way": Network((8, 8, 3), (MaxPool(2, 2), ReLU(), conv(r, 3, 4, relu=False))),
        "relu first": Network((6, 6, 2), (ReLU(), AveragePool(2, 2), ReLU(), Flatten(), ReLU(), dense(r, 18, 3))),
    }


def inputs_of(network, rows=24, seed=1):
    return np.random.default_rng(seed).normal(size=(rows, *network.input_shape)).astype(np.float32)
