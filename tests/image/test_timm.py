"""Networks of timm as templates; `make device-test` has timm, and where it isn't the tests that need it are skipped."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch  # noqa: TID251 - timm's networks are torch's
from safetensors.torch import save_file
from torch import nn  # noqa: TID251

from modelgpt_edge.architecture.image import timm_models
from modelgpt_edge.architecture.image.feature_graph import parse_features
from modelgpt_edge.architecture.image.networks import find_network
from modelgpt_edge.architecture.image.samples import sample_pictures
from modelgpt_edge.architecture.image.timm_models import TimmModel, find_timm
from modelgpt_edge.errors import InputError, TargetUnavailableError
from modelgpt_edge.targets.onnxruntime import open_session
from tests.image.networks import SIDE, WIDTH, Net

NAME = "test_resnet"  # timm's own for tests: 470,000 weights
needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="timm isn't installed")


class Classified(nn.Module):
    """A network with the methods that those of timm have."""

    def __init__(self, classes: int = 1000, between: bool = False) -> None:
        super().__init__()
        self.net = Net(pooled=False)
        self.num_classes = classes
        self.between = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()) if between else nn.Identity()
        self.fc = nn.Linear(WIDTH, classes)
        self.eval()

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        features = x.mean((2, 3))
        return features if pre_logits else self.fc(self.between(features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        return self.fc


def test_features_and_classifier_are_those_of_torch():
    model = Classified()
    content, classifier = timm_models._exported(model, "given", SIDE)
    np.testing.assert_array_equal(classifier, model.fc.weight.detach().numpy())
    pictures = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    (got,) = open_session(content).run(None, {"pictures": pictures.numpy()})
    with torch.no_grad():
        wanted = model.double().forward_head(model.forward_features(pictures.double()), pre_logits=True).numpy()
    np.testing.assert_allclose(got, wanted, atol=2e-6)
    assert parse_features(content, "given").width == WIDTH
    assert b"tests/image" not in content


@pytest.mark.parametrize("model", [Classified(between=True), Classified(classes=10)], ids=["a layer between", "ten classes"])
def test_names_say_nothing_where_the_classifier_is_not_imagenets_on_the_features(model):
    assert timm_models._exported(model, "given", SIDE)[1] is None


def test_a_network_that_torch_cannot_write_is_refused():
    class Counting(Classified):
        def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
            return super().forward_head(x, pre_logits)[: int(x.abs().sum() > 0) + 1]

    with pytest.raises(InputError, match="can't write this network as ONNX"):
        timm_models._exported(Counting(), "given", SIDE)


@pytest.mark.parametrize("classifier", [None, np.arange(12, dtype=np.float32).reshape(4, 3)])
def test_what_is_kept_comes_back(classifier):
    made = TimmModel("name.tag", "ab" * 32, b"\x08\x08onnx", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), classifier)
    back = TimmModel.of(made.to_bytes())
    assert (back.name, back.sha256, back.onnx, back.mean, back.deviation) == (
        made.name, made.sha256, made.onnx, made.mean, made.deviation,
    )  # fmt: skip
    assert back.classifier is None if classifier is None else (back.classifier == classifier).all()


def test_without_timm_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(timm_models, "NEEDED", ("timm_that_no_one_has", "torch"))
    with pytest.raises(TargetUnavailableError, match=r"timm_that_no_one_has is not installed.*modelgpt-edge\[timm\]"):
        find_network("timm:resnet18", None)


@pytest.fixture
def timm(monkeypatch, tmp_path):
    """timm itself, with a cache of its own."""
    # torchvision's wheel for GPUs lacks its operators beside a torch for processors, and fails; no network here calls them.
    for name in ("nms", "qnms"):
        if torch.__version__.endswith("+cpu") and not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import timm

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return timm


@pytest.fixture
def weights(timm, tmp_path):
    """A tiny network of timm with random weights, and their file."""
    torch.manual_seed(4)
    model = timm.create_model(NAME, pretrained=False).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    path = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), path)
    return model, path


@needs_timm
def test_a_network_of_timm_says_what_it_says_in_torch(timm, weights):
    model, path = weights
    template = find_network(f"timm:{NAME}@{path}", None)
    config = timm.data.resolve_model_data_config(model)
    assert (template.kind, template.name, template.size) == ("timm", NAME, config["input_size"][1])
    np.testing.assert_array_equal(template.classifier, model.fc.weight.detach().numpy())
    pictures = sample_pictures(template.size, 4)
    values = (pictures / 255 - np.array(config["mean"])) / np.array(config["std"])
    with torch.no_grad():
        features = model.double().forward_features(torch.from_numpy(values.transpose(0, 3, 1, 2)))
        wanted = model.forward_head(features, pre_logits=True).numpy()
    np.testing.assert_allclose(template.channels(pictures)[0], wanted, atol=2e-6 * np.abs(wanted).max())
    assert template.rooted == bool((template.channels(sample_pictures(template.size))[0] >= 0).all())


@needs_timm
def test_the_next_build_imports_no_torch(weights):
    _, path = weights
    asked = f"timm:{NAME}@{path}"
    made = find_network(asked, None)
    code = (
        "import sys; from modelgpt_edge.architecture.image.networks import find_network; "
        f"found = find_network({asked!r}, None); print(found.sha256, 'torch' in sys.modules or 'timm' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert ran.stdout.split() == [made.sha256, "False"]


@needs_timm
def test_another_file_or_size_is_another_network_and_a_damaged_cache_is_made_anew(weights, tmp_path):
    model, path = weights
    first = find_timm(f"timm:{NAME}@{path}")
    assert find_timm(f"timm:{NAME}@{path}", 64).onnx != first.onnx
    with torch.no_grad():
        model.conv1[0].weight.mul_(2) if isinstance(model.conv1, nn.Sequential) else model.conv1.weight.mul_(2)
    save_file(model.state_dict(), path)
    assert find_timm(f"timm:{NAME}@{path}").sha256 != first.sha256
    kept = list((tmp_path / "cache" / "modelgpt-edge").glob("timm-*"))
    assert len(kept) == 3
    for file in kept:
        file.write_bytes(file.read_bytes()[:100])
    assert find_timm(f"timm:{NAME}@{path}").name == NAME


@needs_timm
def test_names_that_timm_lacks_are_refused_with_the_nearest(timm):
    with pytest.raises(InputError, match="no such network") as error:
        find_network("timm:resnet_18", None)
    assert "'resnet18'" in error.value.cure
    with pytest.raises(InputError, match="no such network"):
        find_network("timm:resnet18.of_no_tag", None)


@needs_timm
def test_weights_of_another_network_are_refused(weights, tmp_path):
    with pytest.raises(InputError, match="aren't those of this network"):
        find_network(f"timm:test_vit@{weights[1]}", None)
    with pytest.raises(InputError, match="no such file of weights"):
        find_network(f"timm:{NAME}@{tmp_path / 'none.pth'}", None)
    (tmp_path / "words.pth").write_bytes(b"no weights")
    with pytest.raises(InputError, match="can't be read"):
        find_network(f"timm:{NAME}@{tmp_path / 'words.pth'}", None)


@needs_timm
def test_a_model_on_it_is_built_and_names_are_used(cli, weights, write_pictures, tmp_path):
    out = tmp_path / "m.edge"
    asked = ("--task", "tell the colour", "--data", write_pictures(tmp_path / "pictures", 6), "--out", out, "--json")
    ran = cli("build", *asked, "--encoder", f"timm:{NAME}@{weights[1]}")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert (report["architecture"]["template"], report["architecture"]["encoder"]) == ("timm", NAME)
    assert "floor" in report["generator"]["losses"]
    assert all(check["passed"] for check in report["checks"])
    assert cli("verify", out).code == 0
