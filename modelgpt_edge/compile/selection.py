"""Which precisions of a backend go into the package: what was measured decides, and is told."""

from __future__ import annotations

from dataclasses import replace

from modelgpt_edge.compile.candidate import Candidate
from modelgpt_edge.errors import BudgetError

# A lower precision is taken where it is cheaper by a tenth, loses at most half a point, and gives fp32's label to 995 rows
# in a thousand; otherwise it isn't worth its rounding.
CHEAPER, LOSS, AGREEMENT = 0.9, 0.005, 0.995
# So many bytes less are worth a form of its own: where a row takes as long, give or take a tenth; and of what a page must fetch
# each time, up to twice as long.
LIGHTER, SLOWER = 1_000_000, 2.0


def keep_best(forms: list[Candidate], fetched: bool = False) -> list[Candidate]:
    """The forms of one backend and target, the best kept and first.

    Where one row's cost was measured the cheapest that is as good as fp32 stays; where the device must tell, every good one.

    Args:
        fetched: whether the device fetches the model before it runs it, so that a much smaller one goes before a quicker one.
    """
    # A fp32 form that fails its gate is kept, to fail the build: a lower precision's wider tolerance must not hide it.
    if any(f.precision == "fp32" and not f.passed for f in forms):
        return [f if f.precision == "fp32" else replace(f, kept=False, because="fp32 left its tolerance") for f in forms]
    faults = {f.precision: _fault(f) for f in forms}
    good = [f for f in forms if not faults[f.precision]]
    if not good:  # nothing as good as fp32 was built: the most faithful stays, its measure beside it
        best = max(forms, key=lambda f: (f.passed, f.agreement or 0, -(f.loss or 0)))
        return [best if f is best else replace(f, kept=False, because=faults[f.precision]) for f in forms]
    costs = [f.cost for f in good]
    light = _lightest(good) if fetched else None
    if light is not None:
        kept = [light]
    elif len(good) > 1 and all(cost is not None for cost in costs):
        kept = [_cheapest(good)]
    else:  # a device that wants fp16 needs no fp32 beside it
        kept = [f for f in good if f.precision != "fp32" or good[0].precision != "fp16"]
    explained = [_explain(f, kept, faults, forms, light is not None) for f in forms]
    return sorted(explained, key=lambda f: not f.kept)


def _fault(form: Candidate) -> str:
    """What speaks against a lower precision; "" where nothing does."""
    if form.precision == "fp32" or form.hop is None:
        return ""
    if not form.hop.passed:
        return f"leaves its tolerance: {form.hop.failure}"
    if form.loss is not None and form.loss > LOSS:
        return "loses too much accuracy"
    if form.agreement is not None and form.agreement < AGREEMENT:
        return f"gives fp32's label to {form.agreement:.1%} of the rows only"
    return ""


def _cheapest(good: list[Candidate]) -> Candidate:
    """The cheapest, but fp32 unless it is beaten by a tenth, or takes far more bytes for as long a time.

    On a processor fp16 computes in fp32 and only saves storage.
    """
    fp32 = next((f for f in good if f.precision == "fp32"), None)
    able = [f for f in good if f.precision != "fp16"]
    best = min(able, key=lambda f: f.cost or 0, default=good[0])
    if fp32 is None or (best.cost or 0) < CHEAPER * (fp32.cost or 0):
        return best
    level = [f for f in able if CHEAPER * (f.cost or 0) <= (fp32.cost or 0) and fp32.bytes - f.bytes >= LIGHTER]
    return min(level, key=lambda f: f.bytes, default=fp32)


def _lightest(good: list[Candidate]) -> Candidate | None:
    """The smallest form where that saves a long download and costs no more than twice the time; None where it doesn't."""
    fp32 = next((f for f in good if f.precision == "fp32"), None)
    best = min(good, key=lambda f: f.bytes)
    if fp32 is None or fp32.bytes - best.bytes < LIGHTER:
        return None
    return best if best.cost is None or fp32.cost is None or best.cost <= SLOWER * fp32.cost else None


def _explain(form: Candidate, kept: list[Candidate], faults: dict[str, str], forms: list[Candidate], light: bool) -> Candidate:
    otherwise = "is no cheaper" if form.cost is not None else "isn't needed beside fp16"
    if form.precision == "fp32" and form.bytes - min(k.bytes for k in kept) >= LIGHTER:
        otherwise = "is larger, and no cheaper"
    if light:
        otherwise = "is more to fetch"
    elif form.precision == "fp16" and form.cost is not None:
        otherwise = "only saves storage here"
    left_out = {f.precision: faults[f.precision] or otherwise for f in forms if f not in kept}
    if form not in kept:
        return replace(form, kept=False, because=left_out[form.precision])
    if form.precision == "fp32" and len(kept) == 1:
        low = next((p for p in left_out if p.startswith("int8")), None)
        return form if low is None else replace(form, because=f"{low} isn't worth it here: it {left_out[low]}")
    if light:
        return replace(form, because="less to fetch than fp32 and as good")
    fp32 = next((f for f in forms if f.precision == "fp32"), None)
    if fp32 is None or fp32 in kept or form.cost is None or fp32.cost is None:
        return form
    cheaper = form.cost < CHEAPER * fp32.cost
    return replace(form, because="cheaper than fp32 and as good" if cheaper else "as quick as fp32, as good, and smaller")


def within(
    candidates: list[Candidate], flash_bytes: int | None, ram_bytes: int | None, latency_ms: float | None
) -> list[Candidate]:
    """Candidates of a target, those over a limit left out, another precision as good as fp32 taken in where that fits.

    Raises:
        BudgetError: none fits; names the closest.
    """
    limits = (("bytes of flash", flash_bytes), ("bytes of RAM", ram_bytes), ("ms", latency_ms))
    if all(limit is None for _, limit in limits) or any(c.kept and not c.passed for c in candidates):
        return candidates  # one that fails its gate fails the build, whatever its size
    over = [_over(c, flash_bytes, ram_bytes, latency_ms) for c in candidates]
    checked = [replace(c, kept=False, because=why) if why else c for c, why in zip(candidates, over)]
    if any(c.kept for c in checked):
        return checked
    fitting = next((c for c, why in zip(candidates, over) if not why and c.passed and not _fault(c)), None)
    if fitting is None:
        raise BudgetError(
            f"no variant for {candidates[0].target} fits the budget",
            where="budget",
            seen=", ".join(f"{limit:,} {unit}" for unit, limit in limits if limit is not None),
            cure=_cure(candidates, over),
            reason=_reason(candidates, over),
        )
    return [replace(c, kept=True, because="the best that fits the budget") if c.path == fitting.path else c for c in checked]


def _reason(candidates: list[Candidate], over: list[str]) -> str:
    """What speaks against what comes nearest to the budget."""
    closest = _closest(candidates, over)
    why = over[candidates.index(closest)]
    return f"{closest.backend} {closest.precision} {f'is {why}' if why else _fault(closest) or 'was left out'}"


def _cure(candidates: list[Candidate], over: list[str]) -> str:
    """What comes nearest to the budget, what speaks against it, and what to do."""
    closest = _closest(candidates, over)
    why = over[candidates.index(closest)]
    if why:
        return f"The closest, {closest.backend} {closest.precision}: {why}. Raise the limit."
    # It is no limit that keeps it out: which one the least of the others needs is what can be mended.
    told = f"{closest.backend} {closest.precision} would fit, but {_fault(closest) or 'was left out'}."
    good = [c for c in candidates if c.passed and not _fault(c)]
    if not good:
        return f"{told} No other form is as good as fp32 either."
    best = _closest(good, [over[candidates.index(c)] for c in good])
    return f"{told} {best.backend} {best.precision} is {over[candidates.index(best)]}: raise the limit by as much."


def _closest(candidates: list[Candidate], over: list[str]) -> Candidate:
    """What comes nearest to the budget: the quickest of those that are only too slow, else the smallest."""
    slow = [c for c, why in zip(candidates, over) if why.startswith("slower")]
    return min(slow, key=lambda c: c.latency_us or 0) if slow else min(candidates, key=lambda c: c.bytes)


def _over(candidate: Candidate, flash_bytes: int | None, ram_bytes: int | None, latency_ms: float | None) -> str:
    """Which limit a candidate breaks, in words; "" for none. What could not be measured breaks nothing."""
    ram, latency = candidate.facts.get("ram_bytes"), candidate.latency_us
    if flash_bytes is not None and candidate.bytes > flash_bytes:
        return f"over the limit of {flash_bytes:,} bytes of flash by {candidate.bytes - flash_bytes:,}"
    if ram_bytes is not None and ram is not None and ram > ram_bytes:
        return f"over the limit of {ram_bytes:,} bytes of RAM by {ram - ram_bytes:,}"
    if latency_ms is not None and latency is not None and latency > 1000 * latency_ms:
        return f"slower than {latency_ms:g} ms: {latency / 1000:.3g} ms here"
    return ""
