"""The bytes of a file, which may be anything, as a decoded picture, or an error that says what is wrong.

What a header claims is checked before a pixel is decoded, and only formats that are listed here are tried.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING

from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.pillow import QUIET

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
# More than any camera for people takes; decoded, a picture of this size holds 300 MB.
MOST_PIXELS = 100_000_000
# The longest that a JPEG can be. The coefficients of a resize grow with a side, however thin the picture is.
LONGEST_SIDE = 65_535
MOST_BYTES = 256 << 20
_KINDS = "PNG, JPEG, GIF, BMP, WebP, TIFF or PPM"


def decode(content: bytes, where: str) -> Image.Image:
    """A file's picture, its first frame where it moves; still in the file's colours, and not turned yet.

    Raises:
        InputError: it is empty, of another format, damaged, cut short or too large.
    """
    from PIL import Image, UnidentifiedImageError

    check_bytes(len(content), where)
    if not content:
        raise InputError("the file is empty", where=where, cure="Copy or save it again.")
    with QUIET:
        try:
            image = Image.open(BytesIO(content), formats=FORMATS)
        except UnidentifiedImageError as error:
            what = "this is no picture of a kind that is read, or its header is damaged"
            raise InputError(what, where=where, seen=content[:12], cure=f"Save it as {_KINDS}.") from error
        except Image.DecompressionBombError as error:  # the guard of Pillow's own, met first by the largest
            raise _too_large(f"{_number(str(error)):,} pixels", where) from error
        except Exception as error:  # whatever a decoder makes of bytes that somebody may have made up
            raise _damaged(error, where) from error
        check_size(image.size, where)
        load(image, where)
    return image


def load(image: Image.Image, where: str) -> None:
    """Decode the pixels of a picture whose header was read; InputError where they are damaged or cut short."""
    try:
        image.load()
    except Exception as error:  # as above
        raise _damaged(error, where) from error


def check_size(size: tuple[int, int], where: str) -> None:
    """InputError where a picture of (width, height) is too large to decode."""
    width, height = size
    if width * height > MOST_PIXELS or max(size) > LONGEST_SIDE:
        raise _too_large(f"{width:,} x {height:,} pixels", where)


def check_bytes(count: int, where: str) -> None:
    """InputError where a file of so many bytes is too large to read."""
    if count > MOST_BYTES:
        cure = f"At most {MOST_BYTES >> 20} MB are read: save the picture smaller."
        raise InputError("the file is too large for a picture", where=where, seen=f"{count:,} bytes", cure=cure)


def _too_large(seen: str, where: str) -> InputError:
    cure = (
        f"At most {MOST_PIXELS // 10**6} megapixels and {LONGEST_SIDE:,} pixels a side are decoded: make the picture smaller."
    )
    return InputError("the picture is too large", where=where, seen=seen, cure=cure)


def _number(text: str) -> int:
    found = re.search(r"[0-9]+", text)
    return int(found[0]) if found else MOST_PIXELS


def _damaged(error: Exception, where: str) -> InputError:
    reason = str(error) or type(error).__name__
    return InputError("the picture is damaged or cut short", where=where, seen=reason, cure="Copy or save it again.")
