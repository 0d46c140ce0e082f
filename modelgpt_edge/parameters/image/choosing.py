"""When a few held-out pictures may overrule what is usual."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelgpt_edge.child import Floats

# Pictures of a typical class, and in all, that it takes to see that something is clearly better: of two classes, two pictures
# each erred in one draw of ten.
CLEAR, CLEAR_IN_ALL = 2, 10


def clearly_better(losses: Sequence[Floats]) -> int:
    """Place of the last where its loss is lower than the first's by more than one standard error, else of the first.

    Args:
        losses: (N,) of the same held-out pictures, of each; fewer than `CLEAR_IN_ALL` show nothing clearly.
    """
    gain = losses[0] - losses[-1]
    clear = len(gain) >= CLEAR_IN_ALL and gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain))
    return len(losses) - 1 if clear else 0
