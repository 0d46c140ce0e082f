"""A decoded picture in any of Pillow's modes as plain RGB, the right way up.

Colour profiles are left alone: a level is taken for what it says, as in the pictures that the backbones have learnt from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.arrays import image_of_array, levels_of, wide_levels
from modelgpt_edge.pictures.pillow import QUIET

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112  # EXIF's tag
_BITS, _SAMPLE_FORMAT, _SIGNED = 258, 339, 2  # TIFF's


def rgb_of(image: Image.Image, where: str) -> Image.Image:
    """An RGB picture of a loaded one: transparency over white, grey thrice, 16 bits by their high byte, turned as EXIF says.

    Raises:
        InputError: its mode can't be read as colours, or its levels are out of range.
    """
    with QUIET:
        turned = _orientation(image)
        try:
            plain = _plain(image, where)
            return plain if turned is None else plain.transpose(turned)
        except InputError:
            raise
        except Exception as error:  # Pillow says in many ways that it can't
            cure = "Save it as RGB or grey."
            what = f"colours of the mode {image.mode} can't be read ({error})"
            raise InputError(what, where=where, cure=cure) from error


def _plain(image: Image.Image, where: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _deep(image, where)
    if image.has_transparency_data:
        return over_white(image.convert("RGBA"))
    return image.convert("RGB")


def over_white(image: Image.Image) -> Image.Image:
    """An RGBA picture before white: round((level * alpha + 255 * (255 - alpha)) / 255)."""
    from PIL import Image

    white = Image.new("RGB", image.size, "white")
    white.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return white


def _deep(image: Image.Image, where: str) -> Image.Image:
    """A grey picture of more than 8 bits; one level of it may stand for transparent."""
    values = np.asarray(image)
    if image.mode == "I" and image.format is not None:
        tags = getattr(image, "tag_v2", {})
        bits = max(tags.get(_BITS, (0,)))
        levels = wide_levels(values, image.format, bits, _SIGNED in tags.get(_SAMPLE_FORMAT, ()), where)
    else:
        levels = levels_of(values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("=")), where)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        levels = np.where(values == clear, np.uint8(255), levels)
    return image_of_array(levels, where).convert("RGB")


def _orientation(image: Image.Image) -> Image.Transpose | None:
    """How to turn a picture that the camera was held askew for, None where it stands upright; damaged EXIF says nothing."""
    from PIL import Image

    turn = Image.Transpose
    turns = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }
    try:
        return turns.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a tag's bytes can be anything, and the picture doesn't need them
        return None
