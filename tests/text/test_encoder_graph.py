"""The encoder's graph against BERT's equations (Devlin et al. 2019), written plainly in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch  # noqa: TID251 - the reference is written in it

from modelgpt_edge.architecture.text.bert import COSINE
from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import read_encoder
from modelgpt_edge.architecture.text.samples import SAMPLES
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.targets.onnxruntime import open_session
from modelgpt_edge.tokens import padded

Run = Callable[[np.ndarray], np.ndarray]


def states(encoder: TextEncoder, ids: Sequence[int]) -> torch.Tensor:
    """Last hidden states (L, D) of one text, no padding, every token of the first type."""
    shape = encoder.files.shape
    weights = {name: torch.from_numpy(array.astype(np.float64)) for name, array in encoder.weights.items()}

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred**2).mean(-1, keepdim=True)
        return centred / torch.sqrt(variance + shape.epsilon) * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    x = weights["embeddings.word_embeddings.weight"][list(ids)]
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    if shape.kinds:
        x = x + weights["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.LayerNorm")
    depth = shape.width // shape.heads
    for layer in range(shape.layers):
        own = f"encoder.layer.{layer}"
        mixed = []
        q, k, v = (linear(x, f"{own}.attention.self.{part}") for part in ("query", "key", "value"))
        for head in range(shape.heads):
            part = slice(head * depth, (head + 1) * depth)
            scores = q[:, part] @ k[:, part].T / depth**0.5
            mixed.append(torch.softmax(scores, -1) @ v[:, part])
        x = norm(x + linear(torch.cat(mixed, -1), f"{own}.attention.output.dense"), f"{own}.attention.output.LayerNorm")
        inner = linear(x, f"{own}.intermediate.dense")
        inner = 0.5 * inner * (1 + torch.erf(inner / 2**0.5))
        x = norm(x + linear(inner, f"{own}.output.dense"), f"{own}.output.LayerNorm")
    return x


def embedding(encoder: TextEncoder, ids: Sequence[int]) -> np.ndarray:
    x = states(encoder, ids)
    pooled = x[0] if encoder.files.pooling == "cls" else x.mean(0)
    return (pooled / torch.linalg.norm(pooled)).numpy()


def reference(encoder: TextEncoder, texts: Sequence[str]) -> np.ndarray:
    return np.stack([embedding(encoder, ids) for ids in encoder.tokens.ids(texts)])


def relative(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest error of a row, of the row's length."""
    return float((np.linalg.norm(got - wanted, axis=1) / np.linalg.norm(wanted, axis=1)).max())


def session(encoder: TextEncoder, precision: str, pairs: bool = False) -> Run:
    """Runs the graph just as it is, on codes (N, L), padding and all."""
    graph = Graph("encoder")
    graph.output(encoder.add_to(graph, encoder.products(precision), pairs), "embedding", "float32", encoder.width(pairs))
    opened = open_session(graph.model("test").SerializeToString())
    return lambda codes: opened.run(None, {"codes": codes})[0]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("kinds", [0, 1, 2])
def test_embeddings_are_those_of_the_equations(kinds, pooling, write_encoder, tmp_path, sentences):
    encoder = TextEncoder.of(read_encoder(write_encoder(tmp_path / "e", kinds, pooling), "e"))
    texts = [*sentences, ""]
    assert relative(encoder.embed(texts), reference(encoder, texts)) < 1e-5


def test_pooling_makes_a_difference(write_encoder, tmp_path, sentences):
    mean, cls = (TextEncoder.of(read_encoder(write_encoder(tmp_path / p, 2, p), p)).embed(sentences) for p in ("mean", "cls"))
    assert relative(mean, cls) > 0.1


def test_weights_may_have_the_prefix_that_transformers_saves(write_encoder, tmp_path, tiny, sentences):
    encoder = TextEncoder.of(read_encoder(write_encoder(tmp_path / "e", prefix="bert."), "e"))
    assert encoder.embed(sentences).tolist() == tiny.embed(sentences).tolist()


def test_the_shipped_encoder_is_transformers_bert(real):
    from transformers import BertModel

    model = BertModel.from_pretrained(str(real.files.folder), attn_implementation="eager").double().eval()
    texts = SAMPLES[::3]
    wanted = []
    with torch.no_grad():
        for ids in real.tokens.ids(texts):
            pooled = model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0)
            wanted.append((pooled / pooled.norm()).numpy())
    assert relative(real.embed(texts), np.stack(wanted)) < 1e-5


@pytest.fixture(scope="module")
def other_geometry(tmp_path_factory, sentences):
    """Writes, by transformers and tokenizers alone, an encoder unlike MiniLM in all its sizes: cased, 512 places, one type."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel

    raw = Tokenizer(models.WordPiece(unk_token="<unk>"))
    raw.normalizer, raw.pre_tokenizer = normalizers.NFC(), pre_tokenizers.BertPreTokenizer()
    special = ["<unk>", "<s>", "</s>"]
    raw.train_from_iterator([*SAMPLES, *sentences], trainers.WordPieceTrainer(vocab_size=400, special_tokens=special))
    raw.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    torch.manual_seed(5)
    sizes = {"hidden_size": 60, "num_hidden_layers": 3, "num_attention_heads": 5, "intermediate_size": 76}
    places = {"vocab_size": raw.get_vocab_size(), "max_position_embeddings": 512, "type_vocab_size": 1}
    model = BertModel(BertConfig(**sizes, **places, layer_norm_eps=1e-7, initializer_range=0.2)).eval()

    def write(dtype: torch.dtype) -> tuple[TextEncoder, BertModel]:
        folder = tmp_path_factory.mktemp("other")
        stored = model.to(dtype)
        stored.save_pretrained(folder)
        raw.save(str(folder / "tokenizer.json"))
        (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 512}')
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
        return TextEncoder.of(read_encoder(folder, "other")), stored.double()

    return write


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_encoder_of_other_sizes_is_transformers_bert(dtype, other_geometry, sentences):
    encoder, model = other_geometry(dtype)
    texts = [*sentences, *SAMPLES, "", "Wie lange dauert es? " * 200]
    wanted = []
    with torch.no_grad():
        for ids in encoder.tokens.ids(texts):
            first = model(input_ids=torch.tensor([ids])).last_hidden_state[0, 0]
            wanted.append((first / first.norm()).numpy())
    assert max(map(len, encoder.tokens.ids(texts))) == 512
    assert relative(encoder.embed(texts), np.stack(wanted)) < 1e-5


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-5), ("fp16", 1e-2)])
def test_padding_changes_nothing(precision, bound, pooling, write_encoder, tmp_path, sentences):
    encoder = TextEncoder.of(read_encoder(write_encoder(tmp_path / "e", 2, pooling), "e"))
    codes = np.pad(encoder.codes(sentences), ((0, 0), (0, 5)), constant_values=-1)
    together = session(encoder, precision)(codes)
    assert relative(together, reference(encoder, sentences)) < bound
    run = session(encoder, precision)
    alone = np.concatenate([run(padded([ids])) for ids in encoder.tokens.ids(sentences)])
    assert relative(together, alone) < 1e-5


def test_the_longest_text_uses_every_place(tiny):
    texts = ["my card is lost " * 200, "the film " * 31]
    codes = tiny.codes(texts)
    assert codes.shape == (2, 64)
    assert (codes >= 0).all()
    assert relative(session(tiny, "fp32")(codes), reference(tiny, texts)) < 1e-5


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_of_a_pair_each_text_is_read_as_it_is_alone(pooling, write_encoder, tmp_path, sentences):
    encoder = TextEncoder.of(read_encoder(write_encoder(tmp_path / "e", 2, pooling), "e"))
    texts = [*sentences, "", "the film " * 90]
    others = [texts[(i + 3) % len(texts)] for i in range(len(texts))]
    a, b = reference(encoder, texts), reference(encoder, others)
    width = encoder.width()
    wanted = np.concatenate(
        [COSINE * (a * b).sum(1, keepdims=True), width**0.5 * a * b, width**0.5 / 2 * np.abs(a - b)], axis=1
    )
    assert relative(encoder.embed(texts, others), wanted) < 1e-5
    codes = np.pad(encoder.codes(texts, others), ((0, 0), (0, 3)), constant_values=-1)
    assert relative(session(encoder, "fp32", pairs=True)(codes), wanted) < 1e-5


def test_separators_typed_by_a_user_are_tokens_like_any_other(tiny):
    texts = ["my card [SEP] is lost", "[CLS] [CLS] [SEP]", "[PAD] [MASK] x"]
    assert relative(tiny.embed(texts), reference(tiny, texts)) < 1e-5
