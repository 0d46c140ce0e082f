"""Sizes of EfficientNet-Lite, as its five published members have them, and shapes of arrays that are no member's."""

from __future__ import annotations

import math

import onnx
import pytest

from modelgpt_edge.architecture.image.shape import LITE, Shape
from modelgpt_edge.onnx_nodes import Graph

# Numbers in the state dicts of efficientnet-lite-pytorch 0.1.0, counters of batches left out.
PARAMETERS = (4694024, 5470344, 6150168, 8273768, 13118936)


@pytest.mark.parametrize(("name", "parameters"), [*zip(LITE, PARAMETERS, strict=True)])
def test_published_sizes(name, parameters):
    assert sum(map(math.prod, Shape.scaled(*LITE[name]).arrays.values())) == parameters


@pytest.mark.parametrize("size", [32, 96, 101])
def test_multiply_accumulates_are_those_of_the_graphs_convolutions(size, small):
    graph = Graph("test")
    names = small.add_to(graph, graph.input("pixels", "uint8", size, size, 3), size, "fp32", False)
    graph.output(names[0], "channels", "float32", small.files.shape.head)
    model = onnx.shape_inference.infer_shapes(graph.model(""), strict_mode=True)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.value_info}
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    counted = [
        math.prod(shapes[node.output[0]][1:]) * math.prod(weights[node.input[1]][1:])
        for node in model.graph.node
        if node.op_type == "Conv"
    ]
    assert small.files.shape.macs(size) == sum(counted)


@pytest.mark.parametrize("name", LITE)
def test_sizes_are_read_off_the_arrays(name):
    shape = Shape.scaled(*LITE[name])
    found = Shape.of(shape.arrays | {"_bn0.num_batches_tracked": ()})
    assert found == shape
    assert found.name == name


def test_another_size_has_no_published_name():
    assert Shape.scaled(0.5, 1.0).name == "EfficientNet-Lite"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"_conv_stem.weight": None}, "it has no array '_conv_stem.weight'"),
        ({"_conv_stem.weight": ()}, "it has no array '_conv_stem.weight'"),
        ({"_fc.weight": None}, "it has no array '_fc.weight'"),
        ({"_blocks.3._project_conv.weight": None}, "it has no array '_blocks.3._project_conv.weight'"),
        ({"_blocks.15._depthwise_conv.weight": None}, "its blocks make 6 stages where EfficientNet-Lite has 7"),
        (
            {"_blocks.0._depthwise_conv.weight": (32, 1, 5, 5)},
            "block 0 has a kernel of 5 where EfficientNet-Lite has a kernel of 3",
        ),
        ({"_blocks.1._depthwise_conv.weight": (96, 1, 7, 7)}, "block 1 has a kernel of 7"),
        (
            {"_blocks.16._depthwise_conv.weight": (1920, 1, 3, 3), "_blocks.16._project_conv.weight": (400, 1920, 1, 1)},
            "block 16 has a kernel of 3 where EfficientNet-Lite has no more",
        ),
    ],
)
def test_other_networks_are_told(change, says):
    arrays = {**Shape.scaled(1.0, 1.0).arrays, **change}
    with pytest.raises(ValueError) as told:  # noqa: PT011 - what it says is looked at
        Shape.of({name: sizes for name, sizes in arrays.items() if sizes is not None})
    assert str(told.value).startswith(says)
