"""Checkpoints of a trunk's training on disk, and the trunk exported from one: safetensors, so no code is ever loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch  # noqa: TID251 - what is trained is a torch model
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_arrays
from safetensors.torch import save

from modelgpt_edge.architecture.image.trunk import FORMAT as TRUNK_FORMAT
from modelgpt_edge.architecture.image.trunk import Trunk
from modelgpt_edge.architecture.image.trunk_shape import TrunkShape
from modelgpt_edge.errors import InputError
from modelgpt_edge.training.checkpoint import CHECKPOINT, DAMAGED, write_whole
from modelgpt_edge.training.image.judge import ShotScore
from modelgpt_edge.training.image.learner import ImageLearner, ImageProgress, ImageRecipe

__all__ = ["CHECKPOINT", "TRUNK", "export", "load_checkpoint", "save_checkpoint", "trunk_of"]

TRUNK = "trunk.safetensors"
FORMAT = "modelgpt-edge image training 1"


def save_checkpoint(learner: ImageLearner, path: Path) -> None:
    """Write all that a training needs to go on, whole or not at all.

    Raises:
        InputError: it can't be written; what lay there before is as it was.
    """
    tensors = {f"model.{name}": tensor.contiguous() for name, tensor in learner.model.state_dict().items()}
    for name, parameter in learner.model.named_parameters():
        state = learner.optimizer.state.get(parameter, {})
        if state.get("momentum_buffer") is not None:
            tensors[f"momentum.{name}"] = state["momentum_buffer"].contiguous()
    facts = {"recipe": learner.recipe.to_json(), "classes": learner.classes, "progress": asdict(learner.progress)}
    write_whole(path, save(tensors, {"format": FORMAT, "training": json.dumps(facts)}))


def load_checkpoint(path: Path, recipe: ImageRecipe, device: torch.device) -> ImageLearner:
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
        found = ImageRecipe(**facts["recipe"] | {"shape": TrunkShape.from_json(facts["recipe"]["shape"])})
        learner = ImageLearner(found, facts["classes"], device)
        learner.progress = ImageProgress(**facts["progress"])
        own = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
        learner.model.load_state_dict(own)
        for name, parameter in learner.model.named_parameters():
            momentum = tensors.get(f"momentum.{name}")
            if momentum is not None:
                # As the parameter lies in memory, so that sums are of the same order as before.
                learner.optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(momentum)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise InputError("this checkpoint can't be read", where=str(path), seen=str(error), cure=DAMAGED) from error
    if found != recipe:
        cure = "Give the same seed, batch, steps and data again, or another folder for --out."
        raise InputError("the training was begun with other settings", where=str(path), seen=found.to_json(), cure=cure)
    return learner


def trunk_of(learner: ImageLearner) -> Trunk:
    """The trunk as it would ship, in float16.

    Raises:
        InputError: a parameter is too large for float16.
    """
    weights = {name: array.astype(np.float16).astype(np.float32) for name, array in learner.trunk.folded().items()}
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise InputError("a parameter is no finite float16", where=CHECKPOINT, cure=DAMAGED)
    return Trunk(learner.recipe.shape, weights, {}, "")


def export(learner: ImageLearner, scores: Sequence[ShotScore], out: Path) -> int:
    """Write the trunk in float16 with what it was trained on and how good it is; returns the bytes.

    Raises:
        InputError: a parameter is too large for float16, or the file can't be written.
    """
    recipe = learner.recipe
    drawn = f"; {recipe.drawn} drawn classes of {recipe.each} pictures" if recipe.drawn else ""
    metadata = {
        "format": TRUNK_FORMAT,
        "shape": json.dumps(recipe.shape.to_json()),
        "data": recipe.data + drawn,
        "seed": str(recipe.seed),
        "steps": str(learner.progress.step),
        "pictures": str(learner.progress.step * recipe.batch),
        "seconds": f"{learner.progress.seconds:.0f}",
        "scores": json.dumps([asdict(score) for score in scores]),
    }
    content = save_arrays({name: array.astype(np.float16) for name, array in trunk_of(learner).weights.items()}, metadata)
    write_whole(out, content)
    return len(content)
