"""A sentence encoder at work: texts in, embeddings out, by ONNX Runtime on the graph that a package will carry."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from modelgpt_edge.architecture.text.bert import add_bert
from modelgpt_edge.architecture.text.files import EncoderFiles
from modelgpt_edge.architecture.text.products import Products, Smoothing
from modelgpt_edge.architecture.text.samples import SAMPLES
from modelgpt_edge.architecture.text.smoothing import EXPONENTS, find_smoothings
from modelgpt_edge.architecture.text.tiny import TINY, TableFiles, add_table
from modelgpt_edge.cache import cached, keep
from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import InputError, PackageError
from modelgpt_edge.graph_session import GraphSession, open_graph
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.tokens import Tokens, by_length, codes_of, padded

FP32 = Products("fp32")
# Texts that are embedded between two reports of progress.
REPORT = 512


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """An encoder with its weights at hand.

    Attributes:
        adapted: whether the weights are others than the files'.
        threads: that it embeds with; one for each core where not given.
    """

    files: EncoderFiles
    weights: Mapping[str, Floats] = field(repr=False)
    adapted: bool = False
    threads: int | None = None

    @staticmethod
    def of(files: EncoderFiles, threads: int | None = None) -> TextEncoder:
        """Read an encoder's weights."""
        return TextEncoder(files, files.weights(), threads=threads)

    def width(self, pairs: bool = False) -> int:
        """Length of what it makes of a text, D; of what it makes of a pair, 2 D + 1."""
        own = self.files.shape.width
        return 2 * own + 1 if pairs else own

    @cached_property
    def tokens(self) -> Tokens:
        """Its tokenizer; InputError where the folder's can't be read, or has words that the weights don't know."""
        try:
            tokens = Tokens.read(self.files.tokenizer, self.files.length)
        except PackageError as error:
            where, seen = str(self.files.folder), str(error.__cause__)
            raise InputError("the encoder's tokenizer can't be read", where=where, seen=seen, cure="Save it anew.") from error
        if tokens.words > self.files.shape.words:
            cure = "Give the tokenizer that the encoder was trained with."
            what = f"the tokenizer has more words than the encoder's {self.files.shape.words:,}"
            raise InputError(what, where=str(self.files.folder), seen=tokens.words, cure=cure)
        return tokens

    @cached_property
    def _texts(self) -> GraphSession:
        return self._open(pairs=False)

    @cached_property
    def _pairs(self) -> GraphSession:
        return self._open(pairs=True)

    def _open(self, pairs: bool) -> GraphSession:
        graph = Graph("modelgpt_edge_encoder")
        graph.output(self.add_to(graph, FP32, pairs), "embedding", "float32", self.width(pairs))
        return open_graph(graph, self.threads or os.cpu_count() or 1)

    @cached_property
    def smoothings(self) -> Mapping[str, Smoothing]:
        """How the inputs of its products are smoothed for int8, from sample texts; kept in the user's cache if not adapted."""
        if self.adapted:
            return self._find_smoothings()
        asked = hashlib.sha256(repr((self.files.sha256, SAMPLES, EXPONENTS)).encode()).hexdigest()
        name = f"smoothings-{asked[:32]}.safetensors"
        kept = cached(name)
        if kept is not None and (read := _read_smoothings(kept)) is not None and len(read) == self.files.shape.products:
            return read
        found = self._find_smoothings()
        divisors = {f"{product}.divisor": s.divisor for product, s in found.items()}
        keep(name, save(divisors | {f"{product}.range": np.array([s.range], np.float32) for product, s in found.items()}))
        return found

    def _find_smoothings(self) -> dict[str, Smoothing]:
        ids = [padded([ids]) for ids in self.tokens.ids(SAMPLES)]
        return find_smoothings(lambda graph: self.add_to(graph, FP32), self.width(), ids)

    @property
    def template(self) -> str:
        """What it is built as, for reports: ``encoder``, or ``tiny`` for a table."""
        return TINY if isinstance(self.files, TableFiles) else "encoder"

    @property
    def precisions(self) -> tuple[str, ...]:
        """What its graph can be written in, the plain one first: a table has no products to round."""
        return ("fp32", "int8-dynamic") if self.files.shape.products else ("fp32",)

    def products(self, precision: str) -> Products:
        """Its products in a precision."""
        return Products(precision, self.smoothings if precision.startswith("int8") else {})

    def add_to(self, graph: Graph, products: Products, pairs: bool = False) -> str:
        """Add it to a graph, in a precision; the name of what it makes of texts or pairs, [N, `width`], is returned."""
        if isinstance(self.files, TableFiles):
            return add_table(graph, self.files, self.weights, pairs)
        return add_bert(graph, self.files, self.weights, products, pairs)

    def codes(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Ints:
        """Token ids (N, L) of texts or of pairs, as its graph takes them."""
        return codes_of(self.tokens, texts, pairs, self.files.shape.words)

    def embed_codes(self, codes: Ints, pairs: bool = False) -> Floats:
        """What it makes of token ids (N, L)."""
        session = self._pairs if pairs else self._texts
        return by_length(codes, lambda ids: session.run(None, {"codes": ids})[0])

    def embed(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        progress: Callable[[float], None] = lambda share: None,
    ) -> Floats:
        """What it makes of texts (N, D), or of pairs of texts (N, 2 D + 1); the same text is embedded once."""
        given = list(zip(texts, texts if pairs is None else pairs))
        places = {one: i for i, one in enumerate(dict.fromkeys(given))}
        different = list(places)
        made = np.empty((len(different), self.width(pairs is not None)), np.float32)
        for start in range(0, len(different), REPORT):
            first, second = map(list, zip(*different[start : start + REPORT]))
            codes = self.codes(first, None if pairs is None else second)
            made[start : start + REPORT] = self.embed_codes(codes, pairs is not None)
            progress(min(1.0, (start + REPORT) / len(different)))
        return made[[places[one] for one in given]]


def _read_smoothings(content: bytes) -> dict[str, Smoothing] | None:
    """What was kept; None where it is damaged."""
    try:
        tensors = load(content)
        names = [name.removesuffix(".divisor") for name in tensors if name.endswith(".divisor")]
        return {name: Smoothing(tensors[f"{name}.divisor"], float(tensors[f"{name}.range"][0])) for name in names}
    except (SafetensorError, KeyError, ValueError):
        return None
