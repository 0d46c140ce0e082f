"""A picture squashed to a square by Pillow's BILINEAR resize, an axis at a time.

Pillow 13 begins with the rows or the columns, whichever it finds quicker, where those before always began with the rows.
Levels are rounded in between, so some would differ by one. Asked for an axis at a time every version does the same, as does the
twin in a page (targets/browser/picture.mjs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image


def squash(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """An RGB picture as levels (size, size, 3); where it shrinks, a level is a mean over all that it covers."""
    from PIL import Image

    across = image.resize((size, image.height), Image.Resampling.BILINEAR)
    return np.array(across.resize((size, size), Image.Resampling.BILINEAR))
