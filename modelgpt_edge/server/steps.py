"""The three steps of a job that a device has a part in: begun by a worker, solved with others, finished by a worker.

Of a table the device solves heads; of texts it adapts the encoder's attention.

Plain values that go through pipes. What a worker has begun is packed once and passed on as bytes: the server's own process
never looks into it. They are pickled, as multiprocessing's pipes do with everything, because only processes that the server
started write them or read them, and because a generator's state, which they hold, is no array that safetensors takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats
from modelgpt_edge.server.jobs import ProfileJob, RefitJob, RowsJob, TextsJob

if TYPE_CHECKING:
    from modelgpt_edge.parameters.floor import Heads

Emitted = RowsJob | ProfileJob | RefitJob | TextsJob


@dataclass(frozen=True)
class Begin:
    """The first step, for a worker: rows read, units drawn, texts embedded. It gives `Packed`; `Refused` where that is all."""

    job: Emitted


@dataclass(frozen=True)
class Packed:
    """What was begun: a `parameters.quick.Begun` or a `BegunTexts`, the job's facts, and the seconds that it took.

    Attributes:
        answer: bytes that the device will give for it, where they are more than little.
    """

    content: bytes
    answer: int = 0

    @property
    def size(self) -> int:
        """Bytes that go to the device and come back."""
        return len(self.content) + self.answer

    @staticmethod
    def of(*values: Any, answer: int = 0) -> Packed:
        """Values as a pipe would pack them."""
        return Packed(bytes(ForkingPickler.dumps(values)), answer)

    def values(self) -> Any:
        """The values, in a process of this server."""
        return ForkingPickler.loads(self.content)


@dataclass(frozen=True)
class BegunTexts:
    """A task of texts before its encoder is adapted.

    Attributes:
        task: as `parameters.text.lora.describe_task` has it; precision: that the weights are sent in.
        texts: examples, perhaps none; labels: their class positions (N,).
        classes: their names; meanings: what some of them mean, by name.
    """

    task: Floats
    precision: str
    texts: list[str]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    meanings: Mapping[str, str]
    seed: int


@dataclass(frozen=True)
class Solve:
    """The second step, for the device: the heads of many. It gives `Solved`, or a MemoryError for so many at once."""

    begun: tuple[Packed, ...]


@dataclass(frozen=True)
class Adapt:
    """The second step of texts: the attention of many. It gives what `Solve` does."""

    begun: tuple[Packed, ...]


@dataclass(frozen=True)
class Solved:
    """What the device made of each: heads over each of the parts of a table, None where it has none; of texts the arrays of
    attention, as safetensors. And the seconds that all took together.
    """

    made: tuple[tuple[Heads, ...] | bytes | None, ...]
    seconds: float


@dataclass(frozen=True)
class Finish:
    """The third step, for a worker: the child distilled and fused, or the head solved. It gives what the whole job would."""

    job: Emitted
    begun: Packed
    made: tuple[Heads, ...] | bytes | None
    seconds: float
