"""How the two zips of handwritten digits beside this file were made, from scikit-learn's copy of the UCI set (CC BY 4.0):

    python examples/digits.py

E. Alpaydin and C. Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
doi 10.24432/C50P49.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LEARNT, ASKED = 15, 3
HERE = Path(__file__).parent


def main() -> None:
    """Write 15 pictures of each digit to learn from, and three others to ask about."""
    levels, labels = load_digits(return_X_y=True)
    pictures = (levels.reshape(-1, 8, 8) * 255 / 16).round().astype(np.uint8)
    with zipfile.ZipFile(HERE / "digits.zip", "w") as learnt, zipfile.ZipFile(HERE / "digits_asked.zip", "w") as asked:
        for digit, name in enumerate(NAMES):
            for count, place in enumerate(np.flatnonzero(labels == digit)[: LEARNT + ASKED]):
                png = io.BytesIO()
                Image.fromarray(pictures[place]).save(png, "PNG")
                # A date of its own would make other bytes each time.
                entry = zipfile.ZipInfo(f"{name}/{count:02}.png")
                (learnt if count < LEARNT else asked).writestr(entry, png.getvalue())


if __name__ == "__main__":
    main()
