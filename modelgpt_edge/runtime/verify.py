"""Verify a package where it stands: each form, the nearest way to its device, against the golden rows, one hop each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelgpt_edge.errors import ModelgptEdgeError, PackageError
from modelgpt_edge.gate import Hop, compare, tolerance_of
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import GOLDEN, Variant
from modelgpt_edge.runtime.choosing import MODEL, named_variant
from modelgpt_edge.runtime.executors import open_anywhere, open_truth, variant_parts
from modelgpt_edge.runtime.model import Model, model_of
from modelgpt_edge.runtime.opening import Package
from modelgpt_edge.targets.backend import first_line
from modelgpt_edge.targets.running import Opened
from modelgpt_edge.targets.target import BUILT_NOT_RUN, RUNS_HERE


@dataclass(frozen=True)
class Verified:
    """One form of the model, held against the golden rows.

    Attributes:
        form: name of the variant, ``model`` for the package's own ONNX model.
        checked: how near to its device it ran, of `targets.target.CHECKED`; "" where it didn't run.
        because: why no nearer, and the cure; "" on the device.
        hop: what was measured; None where it didn't run.
        error: why it didn't run; None where it did.
        damaged: whether that is the package's own fault, rather than that something isn't here.
    """

    form: str
    checked: str
    because: str
    hop: Hop | None
    error: ModelgptEdgeError | None
    damaged: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON values; those of the hop among them where it ran."""
        hop = {} if self.hop is None else self.hop.to_json()
        why = str(self.error) if self.error else None
        return {"variant": self.form, "checked": self.checked or None, "because": self.because or None, "error": why, **hop}


def verify_forms(package: Package, name: str | None = None) -> list[Verified]:
    """The ONNX model and every variant, or the one of a name alone.

    Raises:
        PackageError: the golden rows can't be read, or the package has no such variant.
    """
    golden = Golden.read(package.file(GOLDEN))
    forms = [None, *package.manifest.variants] if name is None else [named_variant(package, name)]
    return [_verify(package, variant, golden) for variant in forms]


def _verify(package: Package, variant: Variant | None, golden: Golden) -> Verified:
    form = MODEL if variant is None else variant.name
    try:
        if variant is not None:
            variant_parts(package, variant)
    except PackageError as error:  # made by a newer version, or for a plug-in's target: nothing is wrong with it
        return Verified(form, "", "", None, error)
    try:
        opened = Opened(open_truth(package), RUNS_HERE) if variant is None else open_anywhere(package, variant)
        got = _outputs(model_of(package, variant, opened.executor), golden, form)
    except ModelgptEdgeError as error:
        return Verified(form, "", "", None, error, isinstance(error, PackageError))
    if variant is None:
        hop = compare("onnx", golden.outputs, got, "fp32", golden.unit)
    else:
        name = f"{variant.target} {variant.backend} {variant.precision} ({_how(opened)})"
        hop = compare(name, golden.outputs, got, tolerance_of(variant.precision, variant.front), golden.unit)
    return Verified(form, opened.checked, opened.because, hop, None)


def _how(opened: Opened) -> str:
    if opened.checked == RUNS_HERE:
        return "here"
    if opened.checked == BUILT_NOT_RUN:
        return "by a stand-in here; not run on the device"
    return opened.because  # in which emulator


def _outputs(model: Model, golden: Golden, form: str) -> Any:
    try:
        return model.run_golden(golden)
    except ModelgptEdgeError:
        raise
    except Exception as error:  # a backend's library raises what it likes
        cure = "Copy the package again, or build it anew."
        raise PackageError("the variant failed to run", where=form, seen=first_line(error), cure=cure) from error
