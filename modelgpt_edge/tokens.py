"""Text to token ids and back to nothing: the one tokenizer that building and predicting share, read from `tokenizer.json`.

Rust's `tokenizers` does the work, the same library that transformers' fast tokenizers are made of, so ids are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import PackageError, TargetUnavailableError

TOKENIZER = "tokenizer.json"
NO_TOKEN = -1
# A longer text is cut before it is tokenized: no encoder reads so far, and a pattern over a megabyte takes seconds.
CHARACTERS_A_TOKEN = 64
# Tokens that go through a model at once: enough to fill the cores, and their states stay in the cache.
TOKENS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Tokens:
    """A tokenizer that cuts at a length.

    Attributes:
        length: most tokens of a text.
    """

    length: int
    _tokenizer: Any

    @staticmethod
    def read(content: bytes, length: int) -> Tokens:
        """A tokenizer of the bytes of a ``tokenizer.json``.

        Raises:
            TargetUnavailableError: tokenizers isn't installed.
            PackageError: these are no tokenizer's bytes.
        """
        try:
            from tokenizers import Tokenizer
        except ModuleNotFoundError as error:
            cure = "Run: pip install 'modelgpt-edge[text]'."
            raise TargetUnavailableError("tokenizers is not installed, and texts need it", where="load", cure=cure) from error
        try:
            tokenizer = Tokenizer.from_str(content.decode())
        except Exception as error:  # the library raises a bare Exception
            raise PackageError("the tokenizer can't be read", where=TOKENIZER, seen=str(error), cure="Build anew.") from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(length)
        return Tokens(length, tokenizer)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens among them."""
        most = CHARACTERS_A_TOKEN * self.length
        return [encoding.ids for encoding in self._tokenizer.encode_batch([clean(text[:most]) for text in texts])]

    @property
    def words(self) -> int:
        """One more than the largest id."""
        return 1 + max(self._tokenizer.get_vocab().values(), default=-1)


def clean(text: str) -> str:
    """A text without lone surrogates, which no tokenizer takes: they become the replacement character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def padded(ids: Sequence[Sequence[int]]) -> Ints:
    """Ids (N, L) of texts of any length, NO_TOKEN after the end of each; one place at least."""
    codes = np.full((len(ids), max(map(len, ids), default=0) or 1), NO_TOKEN, np.int32)
    for row, own in zip(codes, ids):
        row[: len(own)] = own
    return codes


def codes_of(tokens: Tokens, texts: Sequence[str], pairs: Sequence[str] | None, words: int) -> Ints:
    """Token ids (N, L) of texts; of pairs both, one after the other, the second's raised by the vocabulary's size `words`."""
    first = tokens.ids(texts)
    if pairs is None:
        return padded(first)
    second = tokens.ids(pairs)
    return padded([own + [token + words for token in other] for own, other in zip(first, second)])


def by_length(codes: Ints, run: Callable[[Ints], Floats]) -> Floats:
    """Outputs (N, K) of token ids (N, L), run on texts of one length at a time.

    Padding costs as much as text does, and where ranges are found as a model runs it would change what it says.
    """
    lengths = (codes != NO_TOKEN).sum(1)
    outputs: list[Floats] = [np.empty(0, np.float32)] * len(codes)
    for length in np.unique(lengths):
        mine = np.flatnonzero(lengths == length)
        most = max(1, TOKENS_AT_ONCE // max(1, int(length)))
        for part in np.split(mine, range(most, len(mine), most)):
            # A text without a token is one of padding alone: a graph needs one place at least.
            for row, output in zip(part, run(np.ascontiguousarray(codes[part, : max(1, length)]))):
                outputs[row] = output
    return np.stack(outputs) if outputs else np.empty((0, 0), np.float32)
