"""A picture from anywhere as the one array that a model takes: (S, S, 3) uint8 RGB.

Building, predicting and the page in a browser all do the same: first frame, turned as EXIF says, over white, RGB, and the
whole squashed to S x S by Pillow's BILINEAR resize, rows first, which averages where it shrinks. Nothing else may be done here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.arrays import image_of_array
from modelgpt_edge.pictures.colours import rgb_of
from modelgpt_edge.pictures.decode import MOST_BYTES, check_bytes, check_size, decode, load
from modelgpt_edge.pictures.pillow import QUIET, require_pillow
from modelgpt_edge.pictures.resample import squash

if TYPE_CHECKING:
    from PIL import Image

Picture: TypeAlias = Union[str, "os.PathLike[str]", bytes, IO[bytes], NDArray[Any], "Image.Image"]


def read_picture(source: Picture, size: int, name: str | None = None) -> NDArray[np.uint8]:
    """Read a picture as (size, size, 3) levels of red, green and blue.

    Args:
        source: a path, a file's bytes, an open binary file, a Pillow image (at the frame where it stands), or an array
            (H, W) or (H, W, 1 | 3 | 4): uint8 as it is; bool as black and white; uint16 by its high byte; floats as 0 to 1;
            other integers where they lie in 0 to 255.
        size: pixels of a side.
        name: what to call it in messages; the path, or "picture", where not given.

    Files are PNG, JPEG, GIF, BMP, WebP, TIFF or PPM, of any mode: transparency goes over white, grey is taken thrice, of more
    than 8 bits the highest 8 count, and floats are 0 to 1.

    Raises:
        InputError: there is no such file, it is no picture, damaged, cut short or too large, or Pillow isn't installed.
    """
    require_pillow()
    image, where = _open(source, name)
    return squash(rgb_of(image, where), size)


def _open(source: Picture, name: str | None) -> tuple[Image.Image, str]:
    """A loaded picture in its own colours, and what to call it."""
    from PIL import Image

    where = name or "picture"
    if isinstance(source, Image.Image):
        check_size(source.size, where)
        if not min(source.size):
            raise InputError("the picture has no pixels", where=where, seen=source.size, cure="Give one of at least 1 x 1.")
        with QUIET:
            load(source, where)
        return source, where
    if isinstance(source, np.ndarray):
        if source.ndim >= 2:
            check_size((source.shape[1], source.shape[0]), where)
        return image_of_array(source, where), where
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode(bytes(source), where), where
    if isinstance(source, (str, os.PathLike)):
        path = Path(os.fsdecode(source)).expanduser()
        where = name or str(path)
        return decode(_content(path, where), where), where
    if hasattr(source, "read"):
        return decode(_rest(source, where), where), where
    cure = "Give a path, a file's bytes, an open file, a Pillow image or a numpy array."
    raise InputError("this is no picture", where=where, seen=type(source).__name__, cure=cure)


def _content(path: Path, where: str) -> bytes:
    """A file's bytes; a pipe or a device isn't read, for it may never end."""
    try:
        if path.is_dir():
            raise InputError("this is a folder, not a picture", where=where, cure="Give the path of one file.")
        if not path.exists():
            raise InputError("no such file", where=where, cure=f"Check the path; {path.name} is not there.")
        if not path.is_file():
            raise InputError("this is no plain file", where=where, cure="Give the path of a file.")
        check_bytes(path.stat().st_size, where)
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"the file cannot be read ({reason})", where=where, cure="Check its permissions.") from error


def _rest(file: IO[bytes], where: str) -> bytes:
    """What an open file holds from where it stands."""
    try:
        content = file.read(MOST_BYTES + 1)
    except UnicodeDecodeError as error:
        raise _as_text(where) from error
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise InputError(f"the file cannot be read ({error})", where=where, cure="Open it for reading.") from error
    if not isinstance(content, bytes):
        raise _as_text(where)
    return content


def _as_text(where: str) -> InputError:
    return InputError("the file was opened as text", where=where, cure='Open it with mode "rb".')
