"""A causal language model that transformers loads, from a folder or by name, with torch (the extra ``[learn]``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelgpt_edge.errors import InputError, TargetUnavailableError
from modelgpt_edge.requirement.drivers.driver import MOST_TOKENS, SECONDS, UnusableAnswerError
from modelgpt_edge.requirement.drivers.prompt import Question
from modelgpt_edge.requirement.wording import clean


@dataclass(frozen=True)
class Transformers:
    """A model that is loaded when it is first asked."""

    place: str

    @property
    def name(self) -> str:
        """The folder's name, or the model's."""
        local = Path(self.place)
        return f"transformers:{clean(local.resolve().name if local.is_dir() else self.place, 80)}"

    def ask(self, question: Question) -> str:
        """See `Driver.ask`."""
        tokenizer, model = self._loaded
        messages = [{"role": "system", "content": question.system}, {"role": "user", "content": question.user}]
        if tokenizer.chat_template is None:
            asked = tokenizer(f"{question.system}\n\n{question.user}\n\nJSON: ", return_tensors="pt")
        else:
            asked = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        length = asked["input_ids"].shape[1]
        longest = getattr(model.config, "max_position_embeddings", None)
        if longest is not None and length + 1 > longest:
            raise UnusableAnswerError(f"the question takes {length:,} tokens, and the model reads {longest:,}")
        answer = model.generate(
            input_ids=asked["input_ids"],
            attention_mask=asked["attention_mask"],
            max_new_tokens=MOST_TOKENS if longest is None else min(MOST_TOKENS, longest - length),
            max_time=SECONDS,
            do_sample=False,
        )
        return str(tokenizer.decode(answer[0, length:], skip_special_tokens=True))

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        quiet: Any = logging  # whose functions have no types
        quiet.disable_progress_bar()
        quiet.set_verbosity_error()
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.place, trust_remote_code=False)
            model: Any = AutoModelForCausalLM.from_pretrained(self.place, trust_remote_code=False, use_safetensors=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            said = clean(str(error), 200)
            cure = "Give a folder or name of a causal language model with safetensors."
            raise InputError(f"the model can't be loaded: {said}", where="--driver", seen=self.place, cure=cure) from error
        model.eval()
        return tokenizer, model


def open_transformers(text: str) -> Transformers:
    """The driver of a folder or a model's name.

    Raises:
        InputError: there is no such folder.
        TargetUnavailableError: transformers or torch isn't installed.
    """
    for module in ("torch", "transformers"):
        if find_spec(module) is None:
            cure = "Run: pip install 'modelgpt-edge[learn]'"
            what = f"{module} is not installed, and transformers: needs it"
            raise TargetUnavailableError(what, where="--driver", seen=text, cure=cure)
    place = Path(text).expanduser()
    if text.startswith((".", "/", "~")) and not place.is_dir():
        raise InputError("there is no such folder", where="--driver", seen=text, cure="Give a model's folder or name.")
    return Transformers(str(place) if place.is_dir() else text)
