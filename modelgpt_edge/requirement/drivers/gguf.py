"""A model in a GGUF file, run in this process by llama.cpp (the extra ``[llm]``, xllamacpp)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelgpt_edge.errors import InputError, TargetUnavailableError
from modelgpt_edge.requirement.drivers.driver import MOST_TOKENS, UnusableAnswerError
from modelgpt_edge.requirement.drivers.prompt import TEXT, Question
from modelgpt_edge.requirement.sentence import LONGEST
from modelgpt_edge.requirement.wording import clean

MAGIC = b"GGUF"
CONTEXT = 4096  # tokens, of the question and its answer
QUIET = 0


@dataclass(frozen=True)
class Gguf:
    """A GGUF file's model, loaded when it is first asked."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name."""
        return f"gguf:{clean(self.path.name, 80)}"

    def ask(self, question: Question) -> str:
        """See `Driver.ask`."""
        schema = {"name": "answer", "strict": True, "schema": _bounded(question.schema)}
        messages = [{"role": "system", "content": question.system}, {"role": "user", "content": question.user}]
        answer = self._server.handle_chat_completions(
            {
                **{"messages": messages, "temperature": 0, "max_tokens": MOST_TOKENS},
                "response_format": {"type": "json_schema", "json_schema": schema},
            }
        )
        return _message(answer)

    @cached_property
    def _server(self) -> Any:
        from xllamacpp import CommonParams, Server

        params = CommonParams()
        params.model.path = str(self.path)
        params.n_ctx, params.n_parallel, params.verbosity = CONTEXT, 1, QUIET
        # llama.cpp also listens on a port of this machine: only who holds this key may ask there, and that is nobody.
        params.api_keys = [secrets.token_hex(32)]
        # Threads that wait by spinning take the cores from each other: half of them, and none spins.
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 1) // 2)
        params.cpuparams.poll = params.cpuparams_batch.poll = 0
        try:
            return Server(params)
        except RuntimeError as error:
            cure = "Give a GGUF file that llama.cpp can load."
            raise InputError(f"the model can't be loaded: {error}", where="--driver", seen=str(self.path), cure=cure) from error


def open_gguf(text: str) -> Gguf:
    """The driver of a file.

    Raises:
        InputError: there is no such file, or it is none of GGUF.
        TargetUnavailableError: xllamacpp isn't installed.
    """
    path = Path(text).expanduser()
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        what = f"the model's file can't be read: {error.strerror}"
        raise InputError(what, where="--driver", seen=text, cure="Give the path of a GGUF file.") from error
    if magic != MAGIC:
        raise InputError("this is no GGUF file", where="--driver", seen=text, cure="Give the path of a GGUF file.")
    if find_spec("xllamacpp") is None:
        cure = "Run: pip install 'modelgpt-edge[llm]'"
        raise TargetUnavailableError("xllamacpp is not installed, and gguf: needs it", where="--driver", seen=text, cure=cure)
    return Gguf(path)


def _bounded(schema: Any) -> Any:
    """A JSON schema whose texts end, as a small model's may not. Not every server takes such bounds."""
    if isinstance(schema, list):
        return [_bounded(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    bound = {"maxLength": LONGEST} if schema == TEXT else {}
    return {name: _bounded(value) for name, value in schema.items()} | bound


def _message(answer: Mapping[str, Any]) -> str:
    try:
        return str(answer["choices"][0]["message"]["content"])
    except (LookupError, TypeError):
        said = clean(str(answer.get("error", "")), 100)
        raise UnusableAnswerError(f"llama.cpp gave none{': ' + said if said else ''}") from None
