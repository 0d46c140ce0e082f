"""Arrays of numbers as Pillow's pictures: what each kind of number means is settled here, and refused where it isn't clear.

It knows no files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

# Floats that an earlier resizing has pushed a little out of 0..1.
SLACK = 1e-3
_CURE = "Give (height, width), or (height, width, channels) of 1, 3 or 4 channels: grey, RGB or RGBA."


def image_of_array(array: NDArray[Any], where: str) -> Image.Image:
    """An array (H, W) or (H, W, 1 | 3 | 4) as a grey, RGB or RGBA picture.

    uint8 is taken as it is; bool is black and white; of uint16 the high byte is taken, as of a file of 16 bits; floats are
    0 to 1; other integers must lie in 0 to 255.

    Raises:
        InputError: another shape, or numbers out of range.
    """
    from PIL import Image

    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        cure = "Move the channels to the end: array.transpose(1, 2, 0)." if first else _CURE
        raise InputError("the array is not of a picture's shape", where=where, seen=array.shape, cure=cure)
    levels = np.ascontiguousarray(levels_of(array, where))
    return Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels)


def levels_of(values: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Numbers of any shape as levels 0 to 255, by the rules of `image_of_array`."""
    kind = values.dtype
    if kind == np.uint8:
        return values
    if kind == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if kind == np.uint16:
        return (values >> 8).astype(np.uint8)
    if kind.kind == "f":
        low, high = float(values.min()), float(values.max())
        if not (low >= -SLACK and high <= 1 + SLACK):  # NaN too
            cure = "Divide by the largest value that can be (255, say), and leave no NaN."
            raise InputError("levels in floats must be 0 to 1", where=where, seen=_span(low, high), cure=cure)
        return np.rint(np.clip(values, 0, 1).astype(np.float32) * 255).astype(np.uint8)
    if kind.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 255:
            cure = "Bring them to 0..255, or give uint16 or floats in 0..1."
            raise InputError("levels in integers must be 0 to 255", where=where, seen=_span(low, high), cure=cure)
        return values.astype(np.uint8)
    cure = "Give uint8, bool, uint16 or floats in 0..1."
    raise InputError("these are no levels of a picture", where=where, seen=str(kind), cure=cure)


def wide_levels(values: NDArray[np.int32], format: str, bits: int, signed: bool, where: str) -> NDArray[np.uint8]:
    """Levels of a file whose pixels Pillow gives as 32-bit integers, of which the highest byte is taken.

    PNG and PPM hold 16 bits; a TIFF is taken to hold 16 where no pixel is more, else 32 (31 where it is signed). Values below
    zero: InputError; and 32 bits a pixel of which none uses more than 8, which are a byte's levels rather than all but black.

    Args:
        bits: of a pixel in the file; 0 where it doesn't say.
    """
    if signed and values.min() < 0:
        cure = "Bring the values to 0..65535 and save it as 16-bit PNG or TIFF."
        raise InputError("the picture has levels below zero", where=where, seen=int(values.min()), cure=cure)
    wide = values.view(np.uint32)
    if bits == 32 and 0 < wide.max() <= 0xFF:
        cure = 'Save it with 8 bits a pixel, such as by Pillow\'s convert("L"), or bring the levels to 0..65535.'
        raise InputError("no level of this picture of 32 bits is above 255", where=where, seen=int(wide.max()), cure=cure)
    if format != "TIFF" or wide.max() <= 0xFFFF:
        return (wide >> 8).clip(0, 255).astype(np.uint8)
    return (wide >> (23 if signed else 24)).astype(np.uint8)


def _span(low: float, high: float) -> str:
    return f"{low:g} to {high:g}"
