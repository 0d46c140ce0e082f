"""The tiny trunk: its forward pass in each form against torch in float64, the head folded into it, and files that are none."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch  # noqa: TID251 - the reference
from safetensors.numpy import save
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from torch.nn import functional  # noqa: TID251

from modelgpt_edge.architecture.image.trunk import FORMAT, SHIPPED, Trunk
from modelgpt_edge.architecture.image.trunk_shape import TINY, Step, TrunkShape, separable
from modelgpt_edge.errors import PackageError
from modelgpt_edge.network import centred
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.pictures.read import read_picture
from modelgpt_edge.targets.backend import PixelNetwork
from modelgpt_edge.targets.cortexm.host import open_on_host
from modelgpt_edge.targets.cortexm.network import emit_pixels
from modelgpt_edge.targets.native.toolchain import find_compiler
from modelgpt_edge.targets.onnxruntime import open_session

SHAPES = {
    "shipped": TINY,
    "separable": TrunkShape((Step(5), *separable(7, 5, stride=2), *separable(6, 7, stride=2))),
    "pooled whole": TrunkShape((Step(4, stride=2), Step(3, kernel=1)), grid=1),
    "finer": TrunkShape((Step(4, stride=2), Step(3, stride=2)), grid=4),
}


def drawn(shape, seed=0):
    rng = np.random.default_rng(seed)
    weights = {}
    for name, sizes in shape.arrays.items():
        scale = np.sqrt(2 / np.prod(sizes[:-1])) if name.endswith("weight") else 0.1
        scale /= 64 if name == "0.weight" else 1
        weights[name] = (scale * rng.normal(size=sizes)).astype(np.float16).astype(np.float32)
    return Trunk(shape, weights, {}, "")


def pictures(count, seed=1):
    """Smooth ones, as pictures are, at several levels of light; one black, one white."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(0, 255, (count, 3, 6, 6)))
    made = functional.interpolate(coarse, size=(32, 32), mode="bilinear").permute(0, 2, 3, 1).numpy()
    made[0], made[1] = 0, 255
    return np.rint(made).astype(np.uint8)


def reference(trunk, levels):
    """Features in float64 by torch, from the arrays alone."""
    maps = torch.from_numpy(levels).permute(0, 3, 1, 2).double() - 128
    for place, step in enumerate(trunk.shape.steps):
        weight, bias = (torch.from_numpy(trunk.weights[f"{place}.{part}"]).double() for part in ("weight", "bias"))
        order = weight.permute(2, 0, 1)[:, None] if step.depthwise else weight.permute(3, 2, 0, 1)
        groups = step.outputs if step.depthwise else 1
        maps = torch.relu(functional.conv2d(maps, order, bias, step.stride, step.kernel // 2, groups=groups))
    grid = trunk.shape.grid
    parts = functional.adaptive_avg_pool2d(maps, grid).permute(0, 2, 3, 1).flatten(1) / grid
    return torch.cat([maps.mean((2, 3)), parts], 1).numpy()


def head(trunk, classes=5, seed=0):
    rng = np.random.default_rng(seed)
    scale = 1 / np.sqrt(trunk.width)
    return (scale * rng.normal(size=(trunk.width, classes))).astype(np.float32), rng.normal(size=classes).astype(np.float32)


@pytest.mark.parametrize("name", SHAPES)
def test_features_are_torch_s_in_float64(name):
    trunk, levels = drawn(SHAPES[name]), pictures(70)
    expected = reference(trunk, levels)
    got = trunk.features(levels)
    assert got.shape == (70, trunk.width) == expected.shape
    assert got.dtype == np.float32
    assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("name", SHAPES)
def test_the_head_folds_into_the_network(name):
    trunk, levels = drawn(SHAPES[name]), pictures(6)
    weight, bias = head(trunk)
    expected = reference(trunk, levels) @ weight + bias
    logits = trunk.network(weight, bias, probabilities=False).forward(centred(levels))
    assert np.abs(logits - expected).max() < 1e-5 * max(1, np.abs(expected).max())
    probabilities = trunk.network(weight, bias).forward(centred(levels))
    assert np.abs(probabilities.sum(1) - 1).max() < 1e-6
    assert (probabilities.argmax(1) == expected.argmax(1)).all()


def test_it_is_added_to_a_graph_for_any_number_of_pictures():
    trunk = drawn(TINY)
    graph = Graph("g")
    graph.output(trunk.add_to(graph, graph.input("pixels", "uint8", 32, 32, 3)), "out", "float32", trunk.width)
    model = graph.model("")
    onnx.checker.check_model(model, full_check=True)
    session = open_session(model.SerializeToString())
    for count in (1, 3):
        got = session.run(None, {"pixels": pictures(3)[:count]})[0]
        assert np.abs(got - reference(trunk, pictures(3)[:count])).max() < 1e-4


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler here")
@pytest.mark.parametrize("name", ["shipped", "separable"])
def test_the_c_forms_are_near_the_network(name):
    trunk, levels = drawn(SHAPES[name]), pictures(40, seed=3)
    given = PixelNetwork(trunk.network(*head(trunk), probabilities=False), pictures(40, seed=4))
    expected = given.network.forward(centred(levels))
    for precision, most in (("fp32", 1e-6), ("int8", 3e-2)):
        got = open_on_host(emit_pixels(given, precision).files).run(np.zeros((40, 0), np.float32), levels)
        assert np.sqrt(((got - expected) ** 2).mean()) < most * np.sqrt((expected**2).mean())


def test_progress_reaches_the_end():
    told = []
    drawn(SHAPES["pooled whole"]).features(pictures(130), told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert drawn(SHAPES["pooled whole"]).features(pictures(4)[:0]).shape == (0, 6)


def test_sizes_that_don_t_fit_are_refused():
    with pytest.raises(ValueError, match="no step"):
        TrunkShape((Step(4, kernel=5),))
    with pytest.raises(ValueError, match="channels before it"):
        TrunkShape((Step(4), Step(5, depthwise=True)))
    with pytest.raises(ValueError, match="can't be pooled"):
        TrunkShape((Step(4),), grid=3)
    with pytest.raises(ValueError, match="can't be pooled"):
        TrunkShape(())


def test_the_shape_goes_through_json():
    for shape in SHAPES.values():
        assert TrunkShape.from_json(json.loads(json.dumps(shape.to_json()))) == shape


def content(trunk, **changed):
    arrays = {name: array.astype(np.float16) for name, array in trunk.weights.items()}
    story = {"format": FORMAT, "shape": json.dumps(trunk.shape.to_json()), "seed": "0"}
    return save(arrays | changed.pop("arrays", {}), story | changed)


def test_a_file_is_read_as_it_was_written(tmp_path):
    trunk = drawn(SHAPES["separable"])
    (tmp_path / "t").write_bytes(content(trunk))
    read = Trunk.read(tmp_path / "t")
    assert (read.shape, read.story["seed"], read.size, len(read.sha256)) == (trunk.shape, "0", 32, 64)
    assert all((read.weights[name] == array).all() for name, array in trunk.weights.items())


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: content(t)[:-5],
        lambda t: b"",
        lambda t: b"no file of the kind",
        lambda t: content(t, format="something else"),
        lambda t: content(t, shape="[]"),
        lambda t: content(t, shape=json.dumps({"steps": [{"outputs": 4, "kernel": 7}], "grid": 1})),
        lambda t: content(t, shape=json.dumps(TINY.to_json())),
        lambda t: content(t, arrays={"0.bias": np.zeros(3, np.float16)}),
        lambda t: content(t, arrays={"0.bias": np.full(5, np.nan, np.float16)}),
    ],
)
def test_a_file_that_is_no_trunk_is_named(damage, tmp_path):
    (tmp_path / "t.safetensors").write_bytes(damage(drawn(SHAPES["separable"])))
    with pytest.raises(PackageError, match=r"t.safetensors: the tiny trunk can't be read"):
        Trunk.read(tmp_path / "t.safetensors")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PackageError, match="can't be read"):
        Trunk.read(tmp_path / "nowhere")


def test_what_ships_is_small_and_tells_its_story():
    trunk = Trunk.shipped()
    assert SHIPPED.stat().st_size < 1_000_000
    assert trunk.shape == TINY
    assert trunk.shape.parameters == sum(array.size for array in trunk.weights.values()) <= 80_000
    assert {"data", "seed", "steps", "pictures", "seconds", "scores"} <= trunk.story.keys()
    assert trunk.story["steps"] == "8000"


def test_what_ships_beats_pixels_on_pictures_that_it_never_saw():
    """scikit-learn's digits, twenty of each: a logistic regression on the features against one on the pixels."""
    data = load_digits()
    levels = np.stack([read_picture(np.rint(image * (255 / 16)).astype(np.uint8), 32) for image in data.images])
    order = np.random.default_rng(0).permutation(len(levels))
    learnt = np.concatenate([order[data.target[order] == k][:20] for k in range(10)])
    asked = np.setdiff1d(order, learnt)
    right = []
    for values in (Trunk.shipped().features(levels), levels[..., 0].reshape(len(levels), -1) / 255):
        scaled = (values - values[learnt].mean(0)) / (values[learnt].std() + 1e-9)
        model = LogisticRegression(C=0.1, max_iter=500).fit(scaled[learnt], data.target[learnt])
        right.append(balanced_accuracy_score(data.target[asked], model.predict(scaled[asked])))
    assert right[0] > right[1] + 0.03


@pytest.mark.parametrize("steps", [TINY.steps, (Step(8), *separable(12, 8, stride=2), *separable(16, 12, stride=2))])
def test_colours_are_handed_through_beside_what_was_learnt(steps):
    shape, draw = TrunkShape(steps), np.random.default_rng(3)
    weights = {name: draw.normal(0, 0.05, sizes).astype(np.float32) for name, sizes in shape.arrays.items()}
    bare = Trunk(shape, weights, {}, "")
    pictures = draw.integers(0, 256, (4, 32, 32, 3), np.uint8)
    seen = bare.with_colours().features(pictures).reshape(4, 5, -1)
    np.testing.assert_allclose(seen[..., :-3].reshape(4, -1), bare.features(pictures), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(64 * seen[:, 0, -3:], pictures.mean((1, 2)), rtol=1e-5)
    quarters = pictures.reshape(4, 2, 16, 2, 16, 3).mean((2, 4)).reshape(4, 4, 3)
    np.testing.assert_allclose(128 * seen[:, 1:, -3:], quarters, rtol=1e-5)
