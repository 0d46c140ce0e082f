"""Checkpoints on disk: one safetensors file, tensors by name and all else as JSON in its header; no code is ever loaded."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID251 - what is trained is a torch model
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_arrays
from safetensors.torch import save
from torch import Tensor  # noqa: TID251

from modelgpt_edge.errors import InputError
from modelgpt_edge.training.corrector import Architecture
from modelgpt_edge.training.learner import Learner, Progress
from modelgpt_edge.training.shards import Recipe

CHECKPOINT, GENERATOR = "checkpoint.safetensors", "corrector.safetensors"
FORMAT, GENERATOR_FORMAT = "modelgpt-edge training 2", "modelgpt-edge corrector 2"
# The generator ships with the package.
MOST_BYTES = 16 << 20
DAMAGED = "Put an earlier copy in its place, or delete it to begin anew."


def save_checkpoint(learner: Learner, recipe: Recipe, path: Path) -> None:
    """Write all that a training needs to go on, whole or not at all.

    Raises:
        InputError: it can't be written; what lay there before is as it was.
    """
    tensors: dict[str, Tensor] = {}
    for name, parameter in learner.model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach()
        tensors[f"average.{name}"] = learner.average[name]
        for kind, optimizer in learner.optimizers.items():
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{kind}.{key}.{name}"] = value
    facts = {
        "recipe": asdict(recipe),
        "architecture": asdict(learner.architecture),
        "progress": asdict(learner.progress),
    }
    content = save({name: t.contiguous() for name, t in tensors.items()}, {"format": FORMAT, "training": json.dumps(facts)})
    write_whole(path, content)


def load_checkpoint(path: Path, recipe: Recipe, device: torch.device) -> Learner:
    """The learner that `save_checkpoint` wrote.

    Raises:
        InputError: the file is missing, cut short or no checkpoint, or its training was begun with another recipe.
    """
    try:
        facts, tensors = _read(path)
        learner = Learner(Architecture(**facts["architecture"]), recipe.seed, device)
        learner.progress = Progress(**facts["progress"])
        found = Recipe(**facts["recipe"])
        _restore(learner, tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise InputError("this checkpoint can't be read", where=str(path), seen=str(error), cure=DAMAGED) from error
    if found != recipe:
        cure = "Give the same seed, rows, columns and batch again, or another folder for --out."
        raise InputError("the training was begun with other settings", where=str(path), seen=asdict(found), cure=cure)
    return learner


def export(checkpoint: Path, out: Path) -> int:
    """Write the averaged parameters of a checkpoint as float16 safetensors with what they were trained on; returns the bytes.

    Raises:
        InputError: the checkpoint can't be read, a parameter is too large for float16, or the file can't be written.
    """
    try:
        facts, tensors = _read(checkpoint)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise InputError("this checkpoint can't be read", where=str(checkpoint), seen=str(error), cure=DAMAGED) from error
    prefix = "average."
    arrays = {n.removeprefix(prefix): t.numpy().astype(np.float16) for n, t in tensors.items() if n.startswith(prefix)}
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise InputError("a parameter is no finite float16", where=str(checkpoint), cure=DAMAGED)
    progress = facts["progress"]
    metadata = {
        "format": GENERATOR_FORMAT,
        "architecture": json.dumps(facts["architecture"]),
        "data": "synthetic tables of modelgpt_edge.training.priors",
        "recipe": json.dumps(facts["recipe"]),
        "seed": str(facts["recipe"]["seed"]),
        "steps": str(progress["step"]),
        "tables_seen": str(progress["tables"]),
        "distinct_tables": str(progress["shard"] * facts["recipe"]["tables"]),
        "seconds": f"{progress['seconds']:.0f}",
    }
    content = save_arrays(arrays, metadata)
    if len(content) > MOST_BYTES:
        cure = "Train a smaller architecture."
        raise InputError("the generator is larger than what the package ships", where=str(out), seen=len(content), cure=cure)
    write_whole(out, content)
    return len(content)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and as far as the disk itself.

    Raises:
        InputError: it can't be written; what lay there before is as it was.
    """
    partial = path.with_suffix(".partial")
    try:
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        what = "this file can't be written; what lay there before is as it was"
        cure = "Free some space or give a place that you can write to, and run the same command again."
        raise InputError(what, where=str(path), seen=error.strerror or str(error), cure=cure) from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise ValueError(f"its format is {metadata.get('format')!r}, not {FORMAT!r}")
        return json.loads(metadata["training"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict


def _restore(learner: Learner, tensors: dict[str, Tensor]) -> None:
    """Put tensors back where `save_checkpoint` found them."""
    with torch.no_grad():
        for name, parameter in learner.model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
            learner.average[name].copy_(tensors[f"average.{name}"])
    named = dict(learner.model.named_parameters())
    for kind, optimizer in learner.optimizers.items():
        for full, tensor in tensors.items():
            if full.startswith(f"{kind}."):
                key, name = full.removeprefix(f"{kind}.").split(".", 1)
                # AdamW counts its steps on the CPU.
                optimizer.state[named[name]][key] = tensor if key == "step" else tensor.to(learner.device)
