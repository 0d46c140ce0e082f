"""Which template a model of pictures gets: a backbone at one of its sizes, or the tiny trunk, by limits and measured score.

A network that was asked for is taken whatever the limits: what it costs is known once it is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelgpt_edge.architecture.image.backbone import Backbone
from modelgpt_edge.architecture.image.files import DEFAULT, find_backbone
from modelgpt_edge.architecture.image.networks import find_network, is_network
from modelgpt_edge.architecture.image.shape import LITE, Shape
from modelgpt_edge.architecture.image.template import SIZES, TINY, PictureTemplate, SizedBackbone, TrunkTemplate
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import BudgetError, InputError
from modelgpt_edge.limits import Limits
from modelgpt_edge.parameters.image.choosing import CLEAR, clearly_better
from modelgpt_edge.parameters.image.generate import PICTURES
from modelgpt_edge.requirement.wording import sized_name, spoken
from modelgpt_edge.targets.target import Target

# Of losses of the same held-out pictures under each template: a place.
First = Callable[[Sequence[Floats]], int]
# Held-out pictures that may find a much smaller template level: fewer find everything so.
LEVEL_IN_ALL = 50
# Bytes over what a backbone takes at least, below which it is tried without the trunk too.
SHORT = 1_000_000
INSTEAD = "the tiny trunk is taken instead"
SHOW = "Give some pictures of each class by --data."


@dataclass(frozen=True)
class Choice:
    """Templates that may do, the likeliest to be accurate first.

    Attributes:
        why: why there is no larger one, or what it can't do, in a sentence; "" where there is nothing to say.
        first: place of the one to begin with, by losses (N,) of the same held-out pictures under each; None where those aren't
            asked.
        least: pictures of a typical class that they take to choose; the first template is begun with where there are fewer.
    """

    templates: tuple[PictureTemplate, ...]
    why: str
    first: First | None = None
    least: int = CLEAR

    def able(self, generator: str | None) -> Choice:
        """Without those that can't serve a generator that was asked for; the same where none can, which is told later."""
        if generator not in ("stages", "shapes"):
            return self
        kept = tuple(t for t in self.templates if t.linear is None and (generator == "stages" or t.beside is not None))
        return replace(self, templates=kept) if kept else self

    def begin(self, losses: Sequence[Floats]) -> tuple[int, str]:
        """The place that `first` finds, and why, in a sentence that holds once that one is taken; "" where nothing chose."""
        if self.first is None:
            return 0, ""
        place = self.first(losses)
        name = called(self.templates[place])
        if self.first is smallest_as_good:
            return place, f"The smallest size that held-out pictures can't tell from the best is taken: {name}."
        if place:
            return place, f"Held-out pictures clearly favour {name}: it is taken."
        if len(losses[0]) >= LEVEL_IN_ALL and smallest_as_good([losses[0], losses[-1]]):
            level = f"Held-out pictures can't tell {called(self.templates[-1])} alone from {name}"
            return place, f"{level}, and it is far smaller: --encoder tiny takes it."
        return place, ""


def called(template: PictureTemplate) -> str:
    """A template at its size, in words."""
    return sized_name(template.kind, template.name, template.size)


def find_templates(
    encoder: str | None, size: int | None, without: Sequence[str], targets: Sequence[Target], limits: Limits
) -> Choice:
    """Templates for a task.

    Args:
        encoder, size: what the user asked for, see `Request`.
        without: classes that have no picture, which the trunk, knowing no names, can't serve.

    Raises:
        InputError: there is no such size or network; or one that knows no names, asked for, lacks pictures.
        BudgetError: nothing fits the limits.
        TargetUnavailableError: the backbone isn't installed.
    """
    if encoder is not None and is_network(encoder):
        return _asked_for(encoder, size, without)
    trunk = TrunkTemplate.shipped()
    tiny = encoder == TINY
    sizes = (trunk.size,) if tiny else SIZES
    if size not in (None, *sizes):
        cure = f"Give {spoken([str(side) for side in sizes], 'or')}; or leave it out."
        raise InputError("there is no such input size", where="--size", seen=size, cure=cure)
    if tiny:
        if without:
            raise InputError(_untaught("the tiny trunk", without), where="--encoder", seen=TINY, cure=SHOW)
        return Choice((trunk,), "")
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
        return Choice((trunk,), f"{why}: {INSTEAD}.")
    backbone = Backbone.of(find_backbone(encoder))
    smaller = () if without or size is not None else (trunk,)
    if limits.latency_ms is not None or ram is not None:
        sized = tuple(SizedBackbone(backbone, side, trunk) for side in fitting)
        return Choice((*sized, *smaller), "", smallest_as_good, PICTURES.enough)
    # All sizes take the same storage. The trunk alone sees little of a photograph, but more of a drawing.
    largest = SizedBackbone(backbone, fitting[0], trunk)
    # Where storage is short the backbone may fit without the trunk.
    short = flash is not None and flash < shape.least_bytes + SHORT
    alone = (replace(largest, beside=None),) if short else ()
    first = clearly_better if smaller and encoder is None else None
    return Choice((largest, *alone, *smaller), "", first)


def smallest_as_good(losses: Sequence[Floats]) -> int:
    """Place of the template to begin with: the last whose loss is within one standard error of the best, picture by picture.

    Args:
        losses: (N,) of the same held-out pictures, of each template, the largest first.
    """
    best = min(losses, key=lambda own: float(own.mean()))
    apart = [own - best for own in losses]
    return max(place for place, each in enumerate(apart) if each.mean() <= each.std() / np.sqrt(len(each)))


def _asked_for(encoder: str, size: int | None, without: Sequence[str]) -> Choice:
    """A network that none of our own is."""
    network = find_network(encoder, size)
    if network.classifier is not None:
        return Choice((network,), "")
    if without:
        raise InputError(_untaught(network.name, without), where="--encoder", seen=encoder, cure=SHOW)
    return Choice((network,), f"The names of the classes weren't used: {network.name} has no classifier of ImageNet.")


def _untaught(name: str, without: Sequence[str]) -> str:
    shown = ", ".join(map(repr, without[:3])) + (" and others" if len(without) > 3 else "")
    return f"{name} knows classes by their pictures alone, and there is none of {shown}"


def _least(limits: Sequence[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
