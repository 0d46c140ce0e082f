"""What fine-tuning did to a model, in words, from the figures that the manifest keeps: for card, report and notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def was_finetuned(generator: Mapping[str, Any]) -> bool:
    """Whether a manifest's generator tells of weights that gradient steps changed; the entry may be older than fine-tuning."""
    figures = generator.get("finetune")
    return figures is not None and not figures["kept"]


def finetuning_told(figures: Mapping[str, Any], classification: bool) -> str:
    """One clause on what became of it.

    Args:
        figures: ``seconds``, ``steps``, ``before``, ``after`` and ``kept``, as `Finetuned.to_json` gives them.
        classification: whether the losses are log losses; else they are shares of the values' variance.
    """
    loss, before, after = "log loss" if classification else "squared error", figures["before"], figures["after"]
    if not figures["kept"]:
        steps = f"{figures['steps']:,} gradient steps"
        return f"{steps}; of a model made without the held-out rows they lowered the {loss} from {before:.4f} to {after:.4f}"
    if after is None:
        return f"{figures['seconds']:g} s were too short to judge a gradient step, so the model is as it was generated"
    return f"no gradient steps lowered the {loss} of held-out rows from {before:.4f}, so the model is as it was generated"


def finetuning_note(figures: Mapping[str, Any], classification: bool, tested: bool) -> str:
    """What the user should know of it: which model the score is of.

    Args:
        tested: whether the score is of the user's own test rows.
    """
    told = f"Fine-tuning: {finetuning_told(figures, classification)}"
    if figures["kept"]:
        return f"{told}."
    if tested:
        return f"{told}. The score on the test table is of the fine-tuned model."
    told = f"{told}, by which their number was chosen."
    return f"{told} The score is of the model before them; --test FILE scores what ships."
