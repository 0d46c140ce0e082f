"""Which template a model of pictures gets: a backbone at one of its sizes, or the tiny trunk, by limits and measured score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelgpt_edge.architecture.image.backbone import Backbone
from modelgpt_edge.architecture.image.files import DEFAULT, find_backbone
from modelgpt_edge.architecture.image.shape import LITE, Shape
from modelgpt_edge.architecture.image.template import SIZES, TINY, PictureTemplate, SizedBackbone, TrunkTemplate
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import BudgetError, InputError
from modelgpt_edge.limits import Limits
from modelgpt_edge.targets.target import Target

INSTEAD = "the tiny trunk is taken instead"
SHOW = "Give some pictures of each class by --data."


@dataclass(frozen=True)
class Choice:
    """Templates that may do, the likeliest to be accurate first.

    Attributes:
        why: why there is no larger one, in a sentence; "" where that is no matter of limits.
        weighed: whether there is a limit that a smaller one may keep, so that held-out pictures choose the size.
    """

    templates: tuple[PictureTemplate, ...]
    why: str
    weighed: bool


def find_templates(
    encoder: str | None, size: int | None, without: Sequence[str], targets: Sequence[Target], limits: Limits
) -> Choice:
    """Templates for a task.

    Args:
        encoder, size: what the user asked for, see `Request`.
        without: classes that have no picture, which the trunk, knowing no names, can't serve.

    Raises:
        InputError: there is no such size or backbone; or the trunk, asked for, lacks pictures.
        BudgetError: nothing fits the limits.
        TargetUnavailableError: the backbone isn't installed.
    """
    trunk = TrunkTemplate.shipped()
    tiny = encoder == TINY
    sizes = (trunk.size,) if tiny else SIZES
    if size not in (None, *sizes):
        cure = f"Give {' or '.join(map(str, sizes))}, or leave it out."
        raise InputError("there is no such input size", where="--size", seen=size, cure=cure)
    if tiny:
        if without:
            raise InputError(_untaught(without), where="--encoder", seen=TINY, cure=SHOW)
        return Choice((trunk,), "", weighed=False)
    within = [limits.within(target.flash_bytes, target.ram_bytes) for target in targets]
    flash, ram = _least([one.flash_bytes for one in within]), _least([one.ram_bytes for one in within])
    # The usual one's sizes are known, so nothing need be installed to see that it can't fit.
    shape = Shape.scaled(*LITE[DEFAULT]) if encoder is None else find_backbone(encoder).shape
    asked = SIZES if size is None else (size,)
    fitting = [side for side in asked if ram is None or shape.least_ram(side) <= ram]
    why = ""
    if flash is not None and shape.least_bytes > flash:
        why, fitting = f"{shape.name} takes {shape.least_bytes:,} bytes at least, and the limit is {flash:,}", []
    elif not fitting:
        why = f"{shape.name} takes {shape.least_ram(asked[-1]):,} bytes of RAM at least, and the limit is {ram:,}"
    if why and (without or size is not None):
        cure = f"Give --data with pictures of every class: then {INSTEAD}." if without else "Raise it, or leave --size out."
        raise BudgetError("no model of these pictures fits the budget", where="budget", seen=why, cure=cure)
    if why:
        return Choice((trunk,), f"{why}: {INSTEAD}.", weighed=False)
    backbone = Backbone.of(find_backbone(encoder))
    smaller = () if without or size is not None else (trunk,)
    weighed = limits.latency_ms is not None or ram is not None
    if not weighed:  # all sizes take the same storage
        fitting = fitting[:1]
    return Choice((*(SizedBackbone(backbone, side) for side in fitting), *smaller), "", weighed)


def smallest_as_good(losses: Sequence[Floats | None]) -> int:
    """Place of the template to begin with: the last whose loss is within one standard error of the best, picture by picture.

    Args:
        losses: (N,) of the same held-out pictures, of each template, the largest first; None where those are too few to tell,
            and the first place is returned.
    """
    known = [own for own in losses if own is not None]
    if len(known) < len(losses):
        return 0
    best = min(known, key=lambda own: float(own.mean()))
    apart = [own - best for own in known]
    return max(place for place, each in enumerate(apart) if each.mean() <= each.std() / np.sqrt(len(each)))


def _untaught(without: Sequence[str]) -> str:
    shown = ", ".join(map(repr, without[:3])) + (" and others" if len(without) > 3 else "")
    return f"the tiny trunk knows classes by their pictures alone, and there is none of {shown}"


def _least(limits: Sequence[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
