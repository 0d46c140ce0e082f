"""The tiny trunk beside a backbone: the same picture made smaller, in numpy and in the graph, and what it is worth."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from modelgpt_edge.architecture.image.backbone import Backbone
from modelgpt_edge.architecture.image.convolutions import HALF, SIGNED
from modelgpt_edge.architecture.image.files import find_backbone
from modelgpt_edge.architecture.image.samples import sample_pictures
from modelgpt_edge.architecture.image.shrinking import add_shrunk, shrunk
from modelgpt_edge.architecture.image.template import SIZES, SizedBackbone, TrunkTemplate
from modelgpt_edge.graph_session import open_graph
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.parameters.image.generate import generate_pictures
from modelgpt_edge.parameters.image.space import Traits
from modelgpt_edge.pictures.read import read_picture
from modelgpt_edge.targets.onnxruntime import open_session

TRUNK = TrunkTemplate.shipped()


def noise(size: int, count: int = 4) -> np.ndarray:
    return np.random.default_rng(size).integers(0, 256, (count, size, size, 3), np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_it_is_what_pillow_makes_smaller(size):
    pictures = noise(size)
    for made, picture in zip(shrunk(pictures, 32), pictures, strict=True):
        reduced = np.asarray(Image.fromarray(picture).reduce(size // 32)).astype(int)
        assert np.abs(made - reduced).max() <= 1  # Pillow computes in fixed point
        assert (made == reduced).mean() > 0.75


@pytest.mark.parametrize("whole", [True, False], ids=["bytes", "floats"])
@pytest.mark.parametrize("size", SIZES)
def test_a_graph_makes_it_equal_to_the_bit(size, whole):
    graph, pictures = Graph("test"), noise(size)
    pixels = graph.input("pixels", "uint8", size, size, 3)
    graph.output(add_shrunk(graph, pixels, size, 32, whole), "small", "uint8" if whole else "float32", 32, 32, 3)
    (made,) = open_graph(graph).run(None, {"pixels": pictures})
    assert made.dtype == (np.uint8 if whole else np.float32)
    np.testing.assert_array_equal(made, shrunk(pictures, 32))


def run(template: SizedBackbone, precision: str, pictures: np.ndarray, told: int) -> list[np.ndarray]:
    graph = Graph("test")
    ranges = template.calibrate(sample_pictures(template.size)) if precision.startswith("int8") else None
    names = template.add_to(graph, graph.input("pixels", "uint8", *pictures.shape[1:]), precision, told, ranges)
    for place, name in enumerate(names):
        graph.output(name, f"channels{place}", "float32", "D")
    session = open_session(graph.model("").SerializeToString(), fuse_quantised=precision != SIGNED)
    return session.run(None, {"pixels": pictures})


@pytest.mark.parametrize(("told", "parts"), [(1, 1), (2, 2), (5, 5)])
def test_its_channels_come_second_and_only_where_they_are_asked_for(told, parts, small):
    template, pictures = SizedBackbone(small, 96, TRUNK), sample_pictures(96, 3)
    last, beside, *stages = template.channels(pictures)
    np.testing.assert_array_equal(beside, TRUNK.trunk.features(shrunk(pictures, 32)))
    made = run(template, "fp32", pictures, told)
    assert len(made) == parts
    for got, wanted in zip(made, [last, beside, *stages]):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("precision", "error"), [("fp16", 2e-3), (HALF, 1e-2), ("int8", 0.05), (SIGNED, 0.08)])
def test_narrow_forms_say_nearly_the_same(precision, error, small):
    template, pictures = SizedBackbone(small, 96, TRUNK), sample_pictures(96, 6)
    beside = template.channels(pictures)[1]
    got = run(template, precision, pictures, told=2)[1]
    assert np.linalg.norm(got - beside) < error * np.linalg.norm(beside)


def test_it_tells_handwriting_apart_that_the_backbone_alone_does_not():
    digits = load_digits()
    levels = np.stack([read_picture(np.rint(image * (255 / 16)).astype(np.uint8), 96) for image in digits.images[:500]])
    labels = digits.target[:500].astype(np.int32)
    learnt = np.concatenate([np.flatnonzero(labels == k)[:2] for k in range(10)])
    asked = np.setdiff1d(np.arange(500), learnt)
    template = SizedBackbone(Backbone.of(find_backbone()), 96, TRUNK)
    channels = template.channels(levels)

    def accuracy(used: tuple[np.ndarray, ...], traits: Traits) -> float:
        made = generate_pictures([c[learnt] for c in used], labels[learnt], None, 10, generator="linear", traits=traits)
        return float((made.head.logits(made.space.of([c[asked] for c in used])).argmax(1) == labels[asked]).mean())

    both, alone = accuracy(channels[:2], Traits.of(template)), accuracy(channels[:1], Traits())
    assert both > alone + 0.1
    assert both > 0.7


def test_names_alone_leave_it_out(small):
    template = SizedBackbone(small, 96, TRUNK)
    nothing = [c[:0] for c in template.channels(sample_pictures(96, 2))]
    prior = np.linalg.qr(np.random.default_rng(0).normal(size=(32, 4)))[0].astype(np.float32)
    made = generate_pictures(nothing, np.empty(0, np.int32), prior, 4, traits=Traits.of(template))
    assert made.space.width == 32
