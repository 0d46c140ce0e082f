"""Networks from elsewhere as templates: files of ONNX against the torch network they were exported from."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch  # noqa: TID251 - what networks are exported from
from onnx import TensorProto, helper, numpy_helper
from torch import nn  # noqa: TID251

import modelgpt_edge
from modelgpt_edge.architecture.image.networks import DEVIATION, MEAN, find_network
from modelgpt_edge.architecture.image.samples import sample_pictures
from modelgpt_edge.errors import InputError, TargetUnavailableError
from modelgpt_edge.limits import NO_LIMITS
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.parameters.image.generate import generate_pictures
from modelgpt_edge.parameters.image.space import Traits
from modelgpt_edge.picture_templates import find_templates
from modelgpt_edge.pictures.read import read_picture
from modelgpt_edge.targets.onnxruntime import open_session
from modelgpt_edge.targets.registry import find_target
from tests.image.conftest import CLASSES
from tests.image.networks import SIDE, WIDTH, Net, exported, model_of, value


def in_float64(net: Net, pictures: np.ndarray) -> np.ndarray:
    """What torch says of pictures (N, S, S, 3), normalised and averaged by hand."""
    values = (pictures.astype(np.float64) / 255 - np.array(MEAN)) / np.array(DEVIATION)
    with torch.no_grad():
        made = net.double()(torch.from_numpy(values.transpose(0, 3, 1, 2)))
    net.float()
    return (made if made.ndim == 2 else made.mean((2, 3))).numpy()


@pytest.fixture(scope="session")
def net_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "net.onnx"
    path.write_bytes(exported(Net()))
    return path


@pytest.fixture
def written(tmp_path):
    def write(content: bytes):
        path = tmp_path / "given.onnx"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("opset", [18, 20])
@pytest.mark.parametrize("pooled", [True, False])
def test_a_file_says_what_torch_says(written, opset, pooled):
    net = Net(pooled)
    template = find_network(str(written(exported(net, opset))), None)
    pictures = sample_pictures(SIDE, 20)
    wanted = in_float64(net, pictures)
    assert (template.size, template.name, template.kind) == (SIDE, "given", "onnx")
    (got,) = template.channels(pictures)
    np.testing.assert_allclose(got, wanted, atol=2e-6 * np.abs(wanted).max())
    assert not template.rooted
    assert template.channels(pictures[:0])[0].shape == (0, WIDTH)


def test_what_ends_in_relu_has_roots_taken(written):
    assert find_network(str(written(exported(Net(negative=False)))), None).rooted


def test_a_batch_of_one_is_freed_where_nothing_within_insists_on_it(written):
    net = Net()
    template = find_network(str(written(exported(net, free=False))), None)
    pictures = sample_pictures(SIDE, 5)
    np.testing.assert_allclose(template.channels(pictures)[0], in_float64(net, pictures), atol=2e-6)


def test_its_cost_is_that_of_its_layers(written):
    template = find_network(str(written(exported(Net()))), None)
    convolutions = [(12, 3, 16), (12, 1, 16), (WIDTH, 12, 8)]
    assert template.macs == sum(made * taken * 9 * side * side for made, taken, side in convolutions)


def test_halved_weights_are_smaller_and_nearly_the_same(written):
    net = nn.Sequential(Net(pooled=False), nn.Conv2d(WIDTH, 64, 3), nn.ReLU()).eval()
    content = exported(net)
    template = find_network(str(written(content)), None)
    pictures = sample_pictures(SIDE, 4)
    models = {}
    for precision in ("fp32", "fp16"):
        graph = Graph("given")
        (made,) = template.add_to(graph, graph.input("pixels", "uint8", SIDE, SIDE, 3), precision, told=1)
        graph.output(made, "channels", "float32", 64)
        models[precision] = graph.model("").SerializeToString()
    assert len(models["fp32"]) - len(models["fp16"]) > 64 * WIDTH * 9
    whole, half = (open_session(model).run(None, {"pixels": pictures})[0] for model in models.values())
    apart = np.abs(whole - half).max() / np.abs(whole).max()
    assert 0 < apart < 2e-3


def test_there_is_no_int8_of_it(net_file):
    graph = Graph("given")
    pixels = graph.input("pixels", "uint8", SIDE, SIDE, 3)
    with pytest.raises(ValueError, match="no int8"):
        find_network(str(net_file), None).add_to(graph, pixels, "int8", told=1)


def test_names_that_a_graph_has_already_are_not_taken_over(net_file):
    graph, template = Graph("given"), find_network(str(net_file), None)
    pixels = graph.input("pixels", "uint8", SIDE, SIDE, 3)
    template.add_to(graph, pixels, "fp32", told=1)
    with pytest.raises(ValueError, match="must be called"):
        template.add_to(graph, pixels, "fp32", told=1)
    with pytest.raises(ValueError, match="names are taken"):
        graph.graft(template.features.graph)


def test_branches_keep_their_outer_names(written):
    """A branch uses a weight of the graph around it, and a name of its own that is there too."""
    weight = numpy_helper.from_array(np.linspace(1, 2, 3 * SIDE, dtype=np.float32).reshape(1, 3, 1, SIDE), "scale")
    then = helper.make_graph(
        [helper.make_node("Mul", ["pictures", "scale"], ["scaled"])], "then", [],
        [value("scaled")],
    )  # fmt: skip
    other = helper.make_graph(
        [helper.make_node("Neg", ["pictures"], ["turned"])], "else", [],
        [value("turned")],
    )  # fmt: skip
    nodes = [
        helper.make_node("Constant", [], ["asked"], value=helper.make_tensor("asked", TensorProto.BOOL, [], [1])),
        helper.make_node("If", ["asked"], ["chosen"], then_branch=then, else_branch=other),
        helper.make_node("GlobalMaxPool", ["chosen"], ["features"]),
    ]
    template = find_network(str(written(model_of(nodes, [weight]))), None)
    pictures = sample_pictures(SIDE, 3)
    values = (pictures / 255 - np.array(MEAN)) / np.array(DEVIATION) * np.linspace(1, 2, 3 * SIDE).reshape(3, SIDE).T
    np.testing.assert_allclose(template.channels(pictures)[0], values.max((1, 2)), rtol=1e-5)


def test_another_size_than_the_files_is_refused(net_file):
    with pytest.raises(InputError, match="another size") as error:
        find_network(str(net_file), 224)
    assert "give 32" in error.value.cure
    assert find_network(str(net_file), SIDE).size == SIDE


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such network"):
        find_network(str(tmp_path / "none.onnx"), None)


def test_no_microcontroller_runs_it(net_file):
    with pytest.raises(TargetUnavailableError, match="no microcontroller"):
        find_network(str(net_file), None).network(np.zeros((WIDTH, 3), np.float32), np.zeros(3, np.float32))


def test_a_class_without_pictures_is_refused_where_names_say_nothing(net_file):
    with pytest.raises(InputError, match="net knows classes by their pictures alone"):
        find_templates(str(net_file), None, ["pink"], [find_target("x86")], NO_LIMITS)


def test_functions_of_a_file_are_written_out(written):
    halve = helper.make_function(
        "own", "Halve", ["x"], ["y"], [
            helper.make_node("Constant", [], ["two"], value_float=2.0), helper.make_node("Div", ["x", "two"], ["y"]),
        ], [helper.make_opsetid("", 17)],
    )  # fmt: skip
    halved = helper.make_node("Halve", ["pictures"], ["halved"], domain="own")
    model = onnx.load_model_from_string(model_of([halved, helper.make_node("GlobalAveragePool", ["halved"], ["features"])]))
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.functions.append(halve)
    pictures = sample_pictures(SIDE, 3)
    values = (pictures / 255 - np.array(MEAN)) / np.array(DEVIATION)
    template = find_network(str(written(model.SerializeToString())), None)
    np.testing.assert_allclose(template.channels(pictures)[0], values.mean((1, 2)) / 2, atol=1e-6)


def test_a_model_on_it_is_built_checked_and_predicts(cli, net_file, write_pictures, tmp_path):
    """The package against torch in float64 and the head in numpy."""
    pictures, out = write_pictures(tmp_path / "pictures", 6), tmp_path / "m.edge"
    asked = ("--task", "tell the colour", "--data", pictures, "--encoder", net_file, "--max-flash", "2MB")
    ran = cli("build", *asked, "--out", out, "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    architecture = report["architecture"]
    assert (architecture["template"], architecture["encoder"], architecture["size"]) == ("onnx", "net", SIDE)
    assert all(check["passed"] for check in report["checks"])
    assert report["score"]["value"] > 0.9
    assert any("no classifier of ImageNet" in note for note in report["notes"])
    assert {variant["precision"] for variant in report["variants"]} <= {"fp32", "fp16"}
    asked = write_pictures(tmp_path / "asked", 3, seed=100)
    model = modelgpt_edge.load(out)
    assert np.mean(model.predict(asked) == np.repeat(CLASSES, 3)) > 0.8
    learnt, wanted = (
        in_float64(Net(), np.stack([read_picture(file, SIDE) for file in sorted(folder.glob("*/*.png"))]))
        for folder in (pictures, asked)
    )
    again = generate_pictures([learnt], np.repeat(np.arange(3, dtype=np.int32), 6), None, 3, traits=Traits(rooted=False))
    by_hand = again.head.probabilities(again.space.of([wanted]))
    np.testing.assert_allclose(model.predict_proba(asked), by_hand, atol=1e-4)
    assert cli("verify", out).code == 0
    assert "The network learnt from" in (out / "MODEL_CARD.md").read_text()


def test_a_jetson_gets_it_in_fp32(cli, net_file, write_pictures, tmp_path):
    out = tmp_path / "m.edge"
    asked = ("--task", "tell the colour", "--data", write_pictures(tmp_path / "pictures", 6), "--target", "jetson")
    ran = cli("build", *asked, "--encoder", net_file, "--out", out, "--json")
    assert ran.code == 0, ran.err
    forms = {(variant["backend"], variant["precision"]) for variant in json.loads(ran.out)["variants"]}
    assert ("tensorrt", "fp32") in forms
    assert {precision for _, precision in forms} == {"fp32"}
