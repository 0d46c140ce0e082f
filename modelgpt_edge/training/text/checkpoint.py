"""Checkpoints of a text training on disk, and the generator exported from one: safetensors, so no code is ever loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch  # noqa: TID251 - what is trained is a torch model
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load
from safetensors.numpy import save as save_arrays
from safetensors.torch import save

from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.text.lora import LoraGenerator, LoraShape, story
from modelgpt_edge.training.checkpoint import CHECKPOINT, DAMAGED, MOST_BYTES, write_whole
from modelgpt_edge.training.text.encoder import TorchEncoder
from modelgpt_edge.training.text.judge import TaskScore
from modelgpt_edge.training.text.learner import TextLearner, TextProgress, TextRecipe

__all__ = ["CHECKPOINT", "GENERATOR", "export", "load_checkpoint", "save_checkpoint", "ship"]

GENERATOR = "lora.safetensors"
FORMAT = "modelgpt-edge text training 1"


def save_checkpoint(learner: TextLearner, path: Path) -> None:
    """Write all that a training needs to go on, whole or not at all.

    Raises:
        InputError: it can't be written; what lay there before is as it was.
    """
    tensors = {f"parameters.{name}": p.detach().contiguous() for name, p in learner.parameters.items()}
    for name, parameter in learner.parameters.items():
        for key, value in learner.optimizer.state.get(parameter, {}).items():
            tensors[f"adamw.{key}.{name}"] = value.contiguous()
    facts = {"recipe": asdict(learner.recipe), "shape": asdict(learner.shape), "progress": asdict(learner.progress)}
    write_whole(path, save(tensors, {"format": FORMAT, "training": json.dumps(facts)}))


def load_checkpoint(path: Path, recipe: TextRecipe, encoder: TorchEncoder, device: torch.device) -> TextLearner:
    """The learner that `save_checkpoint` wrote.

    Raises:
        InputError: the file is missing, cut short or no checkpoint, or its training was begun with another recipe.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(f"its format is {metadata.get('format')!r}, not {FORMAT!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        facts = json.loads(metadata["training"])
        found = TextRecipe(**facts["recipe"])
        learner = TextLearner(LoraShape(**facts["shape"]), found, encoder, device)
        learner.progress = TextProgress(**facts["progress"])
        for name, parameter in learner.parameters.items():
            with torch.no_grad():
                parameter.copy_(tensors.pop(f"parameters.{name}"))
        for full, tensor in tensors.items():
            key, name = full.removeprefix("adamw.").split(".", 1)
            # AdamW counts its steps on the CPU.
            learner.optimizer.state[learner.parameters[name]][key] = tensor if key == "step" else tensor.to(device)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise InputError("this checkpoint can't be read", where=str(path), seen=str(error), cure=DAMAGED) from error
    if found != recipe:
        cure = "Give the same seed, batch, steps, encoder and data again, or another folder for --out."
        raise InputError("the training was begun with other settings", where=str(path), seen=asdict(found), cure=cure)
    return learner


def export(learner: TextLearner, scores: Sequence[TaskScore], out: Path) -> int:
    """Write the hypernetwork in float16 with what it was trained on and how good it is; returns the bytes.

    Raises:
        InputError: a parameter is too large for float16, or the file can't be written.
    """
    arrays = {name: array.astype(np.float16) for name, array in learner.weights().items()}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise InputError("a parameter is no finite float16", where=str(out), cure=DAMAGED)
    recipe = learner.recipe
    metadata = story(learner.shape, recipe.encoder, default=False) | {
        "data": recipe.data,
        "seed": str(recipe.seed),
        "steps": str(learner.progress.step),
        "episodes": str(learner.progress.step * recipe.episodes),
        "seconds": f"{learner.progress.seconds:.0f}",
        "scores": json.dumps([asdict(score) for score in scores]),
    }
    content = save_arrays(arrays, metadata)
    if len(content) > MOST_BYTES:
        cure = "Train for a smaller encoder."
        raise InputError("the generator is larger than what the package ships", where=str(out), seen=len(content), cure=cure)
    write_whole(out, content)
    return len(content)


def ship(trained: Path, place: Path, default: bool) -> None:
    """Copy an exported generator to where the package has it, saying whether builds consider it unasked.

    Raises:
        PackageError: it is no generator; InputError: the place can't be written.
    """
    found = LoraGenerator.read(trained)
    with safe_open(trained, framework="np") as file:
        facts = file.metadata() | story(found.shape, found.encoder_sha256, default)
    write_whole(place, save_arrays(load(trained.read_bytes()), facts))
