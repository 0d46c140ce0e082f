"""What every backend and emulator offers, and the few types that pass between them and the compiler and the runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from modelgpt_edge.targets.target import Target

if TYPE_CHECKING:  # numpy itself may be what the doctor finds missing
    import numpy as np
    from numpy.typing import NDArray

    from modelgpt_edge.child import Child, Floats, Ints
    from modelgpt_edge.network import Network

# Path of a variant's file by its name; raises PackageError for one that the package doesn't vouch for.
Files = Callable[[str], Path]


@dataclass(frozen=True)
class Check:
    """One thing that a probe tried for real, such as a one-op inference on one provider."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Availability:
    """What a probe found.

    Attributes:
        available: whether the backend can be used on this machine.
        version: version of its library, ``unknown`` where it tells none; "" where it isn't installed.
        reason: what the verdict rests on, a clause without a full stop.
        how_to_get_it: the command or step that makes it available, or more of it; "" where nothing is missing.
        checks: what was tried, one by one.
    """

    available: bool
    version: str
    reason: str
    how_to_get_it: str
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class TextFacts:
    """What a device must know to feed a graph of token ids and to name what comes out.

    Attributes:
        columns: name of the text's column, or of both of a pair.
        tokens: most of a text; words: size of the vocabulary, by which ids of a pair's second text are raised.
    """

    columns: tuple[str, ...]
    classes: tuple[str, ...]
    tokens: int
    words: int


@dataclass(frozen=True)
class PictureFacts:
    """What a device must know to feed a graph of pixels and to name what comes out.

    Attributes:
        size: pixels of a side.
    """

    classes: tuple[str, ...]
    size: int


@dataclass(frozen=True, eq=False)
class PixelNetwork:
    """A model of pictures as layers that a small device runs.

    Attributes:
        network: its inputs are pixels less ``network.MIDDLE``.
        calibration: pictures (N, H, W, channels) uint8 that tell int8 how large values get.
        classes: names of its outputs, in their order; () where they have none.
    """

    network: Network
    calibration: NDArray[np.uint8]
    classes: tuple[str, ...] = ()


class Source(Protocol):
    """A model to compile, in the forms that backends take."""

    @property
    def front(self) -> str:
        """What the whole model takes: ``packed`` (numbers and codes of a table), ``tokens`` (ids of a text), or ``pixels``."""

    @property
    def child(self) -> Child:
        """The generated model as arrays; a backend that takes tables alone may ask for it."""

    @property
    def texts(self) -> TextFacts:
        """Of a model of texts; a backend that takes the front ``tokens`` may ask for it."""

    @property
    def pictures(self) -> PictureFacts:
        """Of a model of pictures; a backend that takes the front ``pixels`` may ask for it."""

    @property
    def pixels(self) -> PixelNetwork:
        """Of a model of pictures; a backend that takes the front ``pixels``, but no ONNX, may ask for it.

        Raises:
            TargetUnavailableError: it has layers that no small device runs.
        """

    @property
    def beside(self) -> Mapping[str, bytes]:
        """Files that the device needs beside the compiled model, by name, such as a tokenizer."""

    def onnx(self, front: str, precision: str) -> bytes:
        """It as ONNX, from its own `front` or from ``encoded`` (a table's numeric core [N, D]); fp32, fp16 or int8 QDQ."""

    def typed(self, precision: str) -> bytes:
        """It as ONNX whose every type is said, as compilers for GPUs want it: fp16 throughout, int8 signed and symmetric.

        From ``encoded`` where it is a table's, else from its own `front`.
        """


@dataclass(frozen=True)
class Artefact:
    """What a backend made of a source.

    Attributes:
        files: contents by name, all that goes on the device.
        front: ``native`` or ``packed`` (numbers and word positions in), ``encoded`` (the numeric core alone), ``tokens``, or
            ``pixels``.
        facts: what was measured while compiling, such as ``flash_bytes``; JSON values.
    """

    files: Mapping[str, bytes]
    front: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Executor(Protocol):
    """Runs a compiled form."""

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """Probabilities (N, K) or values (N, 1) of numbers (N, C), NaN missing, and word positions (N, S), -1 unknown.

        Of texts and pictures there are no numbers: codes are token ids (N, L), -1 after a text's end, or (N, S, S, 3) uint8.
        """


class Backend(Protocol):
    """A way to compile a model for targets and to run it there."""

    @property
    def name(self) -> str:
        """The name that targets list it by."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """What it can compile, of `targets.target.PRECISIONS`."""

    @property
    def fronts(self) -> tuple[str, ...]:
        """Which sources it compiles, by their `Source.front`."""

    @property
    def by_default(self) -> bool:
        """Whether a build uses it unasked; others wait for ``--backend``."""

    def probe(self) -> Availability:
        """Whether it works here. Never raises: a missing or broken toolchain is an answer."""

    def compile(self, source: Source, target: Target, precision: str) -> Artefact:
        """Compile a source for a target.

        Raises:
            TargetUnavailableError: the toolchain isn't here, or failed; its message and the cure are passed on.
        """

    def refit(self, files: Files, source: Source, target: Target, precision: str) -> Artefact:
        """A compiled form with the weights of a source of the same shapes; what knows no weights is kept, not compiled anew.

        Raises:
            TargetUnavailableError: it can't be done without a toolchain that isn't here.
            PackageError: a file is damaged.
        """

    def load(self, files: Files, target: Target) -> Executor:
        """Open a compiled form on the device that it was made for; never builds.

        Raises:
            TargetUnavailableError: its runtime isn't here, or this isn't such a device.
            PackageError: a file is damaged.
        """

    def stand_in(self, files: Files, target: Target) -> Executor:
        """Something that computes the same on this machine, where neither the device nor its emulator is at hand.

        Raises:
            TargetUnavailableError: there is nothing of the kind.
        """

    def profile(self, files: Files, target: Target, numbers: Floats, codes: Ints) -> Mapping[str, Any]:
        """Measure one row where it runs; what can be told from here, as JSON values with the unit in the name.

        Raises:
            TargetUnavailableError: it can't be run here, nor emulated in a way that counts.
        """


class Emulator(Protocol):
    """Runs other devices' artefacts on the build machine."""

    @property
    def name(self) -> str:
        """The name that targets list it by."""

    def probe(self) -> Availability:
        """Whether it works here."""

    def open(self, backend: str, files: Files, target: Target) -> Executor:
        """Open a compiled form of a backend as the target would.

        Raises:
            TargetUnavailableError: the emulator isn't here, or can't run this.
        """


def installed_version(package: str, module: object = None) -> str:
    """Version of an installed package, which need not import; its module's own word where there is no metadata."""
    try:
        return version(package)
    except PackageNotFoundError:
        return str(getattr(module, "__version__", "")) or "unknown"


def first_line(error: Exception) -> str:
    """What an error of someone else's library says, in one line short enough for a table."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
