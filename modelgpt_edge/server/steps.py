"""The three steps of a job whose heads are solved on a device: begun by a worker, solved with others, finished by a worker.

Plain values that go through pipes. What a worker has begun is packed once and passed on as bytes: the server's own process
never looks into it. They are pickled, as multiprocessing's pipes do with everything, because only processes that the server
started write them or read them, and because a generator's state, which they hold, is no array that safetensors takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any

from modelgpt_edge.server.jobs import ProfileJob, RefitJob, RowsJob

if TYPE_CHECKING:
    from modelgpt_edge.parameters.floor import Heads

Emitted = RowsJob | ProfileJob | RefitJob


@dataclass(frozen=True)
class Begin:
    """The first step, for a worker: rows read, units drawn. It gives `Packed`, or `Refused` where that is the end."""

    job: Emitted


@dataclass(frozen=True)
class Packed:
    """What was begun: a `parameters.quick.Begun`, the job's facts, and the seconds that it took."""

    content: bytes

    @staticmethod
    def of(*values: Any) -> Packed:
        """Values as a pipe would pack them."""
        return Packed(bytes(ForkingPickler.dumps(values)))

    def values(self) -> Any:
        """The values, in a process of this server."""
        return ForkingPickler.loads(self.content)


@dataclass(frozen=True)
class Solve:
    """The second step, for the device: the heads of many. It gives `Solved`, or a MemoryError for so many at once."""

    begun: tuple[Packed, ...]


@dataclass(frozen=True)
class Solved:
    """Heads over each of the parts of every table, None for a table that has none; and the seconds that all took together."""

    heads: tuple[tuple[Heads, ...] | None, ...]
    seconds: float


@dataclass(frozen=True)
class Finish:
    """The third step, for a worker: the child, distilled and fused. It gives what the whole job would."""

    job: Emitted
    begun: Packed
    heads: tuple[Heads, ...] | None
    seconds: float
