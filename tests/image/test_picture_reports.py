"""What a build of pictures tells of itself: sizes and what they scored, parameters, RAM, what was measured on what."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from modelgpt_edge.architecture.image.template import TrunkTemplate
from modelgpt_edge.architecture.image.trunk import Trunk
from modelgpt_edge.commands.build_pictures import pictures_text
from modelgpt_edge.commands.build_text import variants_table
from modelgpt_edge.compile.candidate import Candidate
from modelgpt_edge.compile.card import variant_lines
from tests.image.conftest import CLASSES, small_shape


@pytest.fixture
def build(build_small):
    def run(*options):
        ran = build_small(*options)
        assert ran.code == 0, ran.err
        return ran.out

    return run


@pytest.fixture
def report(build):
    return lambda *options: json.loads(build(*options, "--json"))


def backbone_weights() -> int:
    """Convolutions, and a bias for each channel of the norms that are folded into them."""
    arrays = small_shape().arrays
    convolutions = sum(int(np.prod(shape)) for shape in arrays.values() if len(shape) == 4)
    return convolutions + sum(shape[0] for name, shape in arrays.items() if re.search(r"_bn\d\.bias", name))


def trunk_weights() -> int:
    return sum(array.size for array in Trunk.shipped().with_colours().weights.values())


@pytest.mark.parametrize(
    ("options", "network", "width"),
    [
        (["--generator", "linear"], backbone_weights() + trunk_weights(), 32 + 655),
        (["--encoder", "tiny"], trunk_weights(), 655),
    ],
    ids=["backbone", "trunk"],
)
def test_parameters_are_those_of_the_graph_that_ships(options, network, width, report, cli, pictures, tmp_path):
    told = report("--data", pictures, *options)["architecture"]
    graph = onnx.load(tmp_path / "m.edge" / "model.onnx").graph
    arrays = [numpy_helper.to_array(tensor) for tensor in graph.initializer]
    assert told["parameters"] == sum(array.size for array in arrays if array.dtype.kind == "f")
    # Beside the network the head, the space's mean and scale, and a few numbers that bring pixels to what it was trained on.
    rest = told["parameters"] - network - len(CLASSES) * (width + 1)
    assert width <= rest <= 2 * width + 12
    assert f"{told['parameters']:,} parameters" in (tmp_path / "m.edge" / "MODEL_CARD.md").read_text()
    assert f"{told['parameters']:,} parameters" in cli("inspect", tmp_path / "m.edge").out


def test_the_trunk_beside_a_backbone_is_told_where_there_are_pictures(build, report, pictures, tmp_path):
    trunk = TrunkTemplate.shipped()
    seen, named = report("--data", pictures), report("--classes", "blue,green,red", "--force")
    assert seen["architecture"]["beside"] == {"encoder": "tiny", "encoder_sha256": trunk.sha256}
    assert named["architecture"]["beside"] is None
    assert seen["architecture"]["macs"] - named["architecture"]["macs"] == trunk.macs
    assert {seen["architecture"]["stages"], named["architecture"]["stages"]} <= {0, 3}
    card = tmp_path / "m.edge" / "MODEL_CARD.md"
    assert "trunk beside it" not in card.read_text()
    build("--data", pictures, "--force")
    assert "the trunk beside it learnt from CIFAR-10's photographs and from drawn shapes" in card.read_text()


def test_sizes_are_told_with_what_they_scored(build, report, pictures, tmp_path):
    told = report("--data", pictures, "--max-latency", "10s")
    weighed = told["architecture"]["weighed"]
    assert [(w["template"], w["size"]) for w in weighed] == [
        ("backbone", 224),
        ("backbone", 128),
        ("backbone", 96),
        ("trunk", 32),
    ]
    assert told["architecture"]["size"] == 32
    assert weighed[-1]["log_loss"] == pytest.approx(told["score"]["others"]["log_loss"], rel=1e-5)
    for other, size in zip(weighed, ("224", "128", "96")):
        alone = report("--data", pictures, "--size", size, "--force")
        assert alone["architecture"]["weighed"] == []
        assert other["log_loss"] == pytest.approx(alone["score"]["others"]["log_loss"], rel=1e-5)
    note = "The smallest size that held-out pictures can't tell from the best is taken: the tiny trunk at 32 pixels."
    assert note in told["notes"]
    printed = build("--data", pictures, "--max-latency", "10s", "--force")
    first, last = (f"{weighed[place]['log_loss']:.3f}" for place in (0, -1))
    assert f"Sizes         log loss on held-out pictures: small at 224 pixels {first}, small at 128 " in printed
    assert f", the tiny trunk at 32 pixels {last}\n" in printed
    assert "Architecture  tiny trunk: 32 x 32 pixels" in printed
    card = (tmp_path / "m.edge" / "MODEL_CARD.md").read_text()
    assert f"tiny trunk at 32 pixels {last}." in card
    assert note in card


def test_notes_of_a_template_that_is_not_taken_do_not_stay(report, pictures):
    for name, other in (("blue", "猫"), ("green", "狗")):
        (pictures / name).rename(pictures / other)
    alike = "Names that say the same to the encoder: 狗 and 猫."
    told = report("--data", pictures, "--size", "96")
    assert any(note.startswith(alike) for note in told["notes"])
    told = report("--data", pictures, "--max-latency", "10s", "--force")
    assert told["architecture"]["template"] == "trunk"
    assert not any(note.startswith(alike) for note in told["notes"])


def test_all_scores_beside_test_pictures_are_of_those(build, report, pictures, write_pictures, tmp_path):
    asked = write_pictures(tmp_path / "asked", 4, seed=50)
    for place in range(3):  # the commonest class that was learnt is the rarest that is asked of
        shutil.copy(pictures / "red" / f"{place}.png", pictures / "red" / f"again{place}.png")
        (asked / "red" / f"{place}.png").unlink()
    told = report("--data", pictures, "--test", asked)
    for key in ("score", "linear", "baseline"):
        assert (told[key]["method"], told[key]["rows"]) == ("the test pictures", 9)
    assert told["baseline"]["value"] == pytest.approx(1 / 9)
    shares = (np.array([6, 6, 9]) + 0.5) / 22.5
    assert told["baseline"]["others"]["log_loss"] == pytest.approx(-(np.log(shares) @ [4, 4, 1]) / 9, rel=1e-5)
    printed = build("--data", pictures, "--test", asked, "--force")
    assert "measured by the test pictures (9 pictures)" in printed
    assert "the others by" not in printed


def test_test_pictures_of_a_model_of_names_alone_are_held_against_nothing(build, report, pictures):
    told = report("--classes", "blue,green,red", "--test", pictures)
    assert told["score"]["rows"] == 18
    assert (told["linear"]["value"], told["baseline"]["value"]) == (None, None)
    printed = build("--classes", "blue,green,red", "--test", pictures, "--force")
    assert "  this model" in printed
    for absent in ("not measured", "the commonest class", "pictures without names", "no examples"):
        assert absent not in printed


def test_a_class_that_no_picture_judges_is_told(report, pictures, write_pictures, tmp_path):
    note = "Nothing is known of how well pink is told: the score is of pictures of the other classes."
    told = report("--data", pictures, "--classes", "blue,green,red,pink")
    assert note in told["notes"]
    assert not any("Nothing is known" in line for line in report("--data", pictures, "--force")["notes"])
    asked = write_pictures(tmp_path / "asked", 2, seed=9)
    (asked / "green").rename(asked / "pink")
    told = report("--data", pictures, "--classes", "blue,green,red,pink", "--test", asked, "--force")
    assert note.replace("pink", "green") in told["notes"]


def test_pictures_are_called_pictures(build, cli, pictures, tmp_path):
    printed = build("--data", pictures)
    scores = printed[printed.index("  model ") : printed.index("  variant ")]
    assert "accuracy: share of pictures whose class is right" in scores
    assert "(18 pictures)" in scores
    package = tmp_path / "m.edge"
    card, verified, inspected = (package / "MODEL_CARD.md").read_text(), cli("verify", package).out, cli("inspect", package).out
    assert card.startswith("# Tells what pictures show\n")
    assert "on 18 pictures; 95 % interval" in card
    assert re.search(r"labels agree on 100\.0% of \d+ pictures", verified)
    assert "Takes         pictures of any size, each squashed to 224 x 224 pixels" in inspected
    for told in (scores, card, verified, inspected):
        assert not re.search(r"\brows?\b", told)
    drawn = (package / "report.svg").read_text()
    assert "Held-out predictions of what pictures show" in drawn


def test_the_generators_loss_says_how_it_differs_from_the_tables(build, pictures):
    printed = build("--data", pictures)
    line = next(line for line in printed.splitlines() if line.startswith("Generator"))
    assert ": log loss on held-out pictures, smoothed as if one more were of no known class, " in line


def form(target: str, backend: str = "c", kept: bool = True, **facts: int) -> Candidate:
    measured = {"profile": {}, "training_accuracy": None, "loss": None, "agreement": None, "hop": None, "kept": kept}
    return Candidate(target, backend, "int8", "pixels", "runs under an emulator", "", {"model.c": b"12"}, facts, **measured)


def test_the_last_lines_say_what_each_variant_is_for(report, pictures, tmp_path):
    told = report("--data", pictures)
    assert "microcontroller" not in (tmp_path / "m.edge" / "MODEL_CARD.md").read_text()

    def last(*forms):
        listed = [one.to_json() | {"path": one.path if one.kept else None} for one in forms]
        printed = pictures_text(told | {"package": "my m.edge", "variants": listed}, ()).splitlines()
        return [line.removeprefix("Next          ") for line in printed if line.startswith("Next")]

    predict = "modelgpt-edge predict 'my m.edge' PICTURE.jpg"
    assert last(form("x86", "onnxruntime"), form("cortex-m4", kept=False)) == [predict]
    assert last(form("cortex-m4"), form("jetson-orin-nano", "tensorrt"), form("browser", "onnxruntime-web")) == [
        predict,
        "in your firmware: my m.edge/variants/cortex-m4-c-int8 holds model.c and model.h; model_run takes 224 x 224 x 3 bytes, "
        "red, green and blue",
        "on the board: modelgpt-edge finalize 'my m.edge'",
        "modelgpt-edge embed 'my m.edge' --language javascript --out app",
    ]


def test_ram_is_a_column_where_a_form_has_it():
    forms = [form("cortex-m4", flash_bytes=97_000, ram_bytes=30_515), form("x86")]
    printed = variants_table({"variants": [one.to_json() for one in forms]}, "picture").splitlines()
    assert re.split(r"\s{2,}", printed[0].strip())[:4] == ["variant", "size", "RAM", "one picture"]
    assert re.split(r"\s{2,}", printed[2].strip())[:4] == ["cortex-m4 c int8", "95 kB", "30 kB", "-"]
    assert re.split(r"\s{2,}", printed[3].strip())[:4] == ["x86 c int8", "2 B", "-", "-"]
    assert "RAM" not in variants_table({"variants": [forms[1].to_json()]}, "picture")
    head, rule, *rows = variant_lines(forms)
    assert head == "| target | backend | precision | bytes | bytes of RAM | checked |"
    assert rule.count("|") == head.count("|")
    assert rows[0] == "| cortex-m4 | c | int8 | 97,000 | 30,515 | runs under an emulator |"
    assert rows[1] == "| x86 | c | int8 | 2 |  | runs under an emulator |"
    assert not any("RAM" in line for line in variant_lines(forms[1:]))
