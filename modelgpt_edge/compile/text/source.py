"""An encoder and a head in the forms that backends take: one graph from token ids to probabilities, the tokenizer beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.products import HALF
from modelgpt_edge.child import Child, Ints
from modelgpt_edge.compile.outputs import add_outputs, add_scores
from modelgpt_edge.golden import Golden
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.targets.backend import Backend, PictureFacts, PixelNetwork, TextFacts
from modelgpt_edge.targets.target import Target
from modelgpt_edge.text_head import TextHead
from modelgpt_edge.tokens import TOKENIZER


@dataclass(frozen=True)
class TextSource:
    """What is compiled.

    Attributes:
        version: of the project, named in every graph as its producer.
        columns: name of the text's column; of both where two texts are compared.
    """

    encoder: TextEncoder
    head: TextHead
    classes: tuple[str, ...]
    version: str
    columns: tuple[str, ...] = ("text",)
    _made: dict[str, bytes] = field(default_factory=dict, repr=False)
    front = "tokens"
    emulated_rows = 4
    plain_rows = 32

    @property
    def pairs(self) -> bool:
        """Whether two texts are compared."""
        return len(self.columns) == 2

    @property
    def child(self) -> Child:
        """There is none: backends that ask for one don't take the front ``tokens``."""
        raise TypeError("a text model is no table's child")

    @property
    def texts(self) -> TextFacts:
        """What feeds its graph."""
        files = self.encoder.files
        return TextFacts(self.columns, self.classes, files.length, files.shape.words)

    @property
    def pictures(self) -> PictureFacts:
        """There are none: backends that ask for them take the front ``pixels``."""
        raise TypeError("a text model takes no pictures")

    @property
    def pixels(self) -> PixelNetwork:
        """There is none: backends that ask for it take the front ``pixels``."""
        raise TypeError("a text model takes no pictures")

    @property
    def beside(self) -> Mapping[str, bytes]:
        """The tokenizer, which runs before the graph."""
        return {TOKENIZER: self.encoder.files.tokenizer}

    def onnx(self, front: str, precision: str) -> bytes:
        """The graph as bytes, made once; see `targets.backend.Source`."""
        if front != self.front:
            raise ValueError(f"a text model has no front {front!r}")
        return self._graph(precision)

    def typed(self, precision: str) -> bytes:
        """See `targets.backend.Source`; int8 is written with signed bytes and fixed ranges anyway."""
        return self._graph(HALF if precision == "fp16" else precision)

    def _graph(self, precision: str) -> bytes:
        if precision not in self._made:
            self._made[precision] = text_graph(self, precision, with_label=False).SerializeToString()
        return self._made[precision]

    def precisions(self, target: Target, backend: Backend) -> list[str]:
        """Ranges that are found as the model runs suit an encoder on a processor; fixed ones, for GPUs, lose more.

        A table of words has no products that a GPU is for.
        """
        if target.sm is None:
            return [p for p in self.encoder.precisions if p in backend.precisions]
        if backend.name == "onnxruntime":
            return ["fp32"]  # the processor beside a GPU is only what it falls back to
        return [p for p in target.precisions if p in backend.precisions] if self.encoder.files.shape.products else []

    def inputs(self, golden: Golden) -> Ints:
        """See `Compilable`."""
        return self.codes(golden.words)

    def codes(self, words: NDArray[np.object_]) -> Ints:
        """Token ids (N, L) of texts (N, 1), or of pairs (N, 2)."""
        return self.encoder.codes(*(list(column) for column in words.T))


def text_graph(source: TextSource, precision: str, with_label: bool) -> onnx.ModelProto:
    """``codes`` [N, L] int32, -1 after a text's end, to ``probabilities`` [N, K], and ``label`` [N] where asked for."""
    graph = Graph("modelgpt_edge_text")
    embedding = source.encoder.add_to(graph, source.encoder.products(precision), source.pairs)
    scores = add_scores(graph, embedding, source.head, precision == HALF)
    add_outputs(graph, scores, source.classes, with_label)
    return graph.model(source.version)
