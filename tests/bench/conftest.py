"""The benches are scripts beside each other, not a package: their folder goes on the path, as it does when one is run."""

import sys
from pathlib import Path

BENCH = str(Path(__file__).resolve().parents[2] / "bench")
if BENCH not in sys.path:
    sys.path.insert(0, BENCH)
