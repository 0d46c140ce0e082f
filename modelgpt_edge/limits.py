"""What a model may cost on its device: limits that the task names, options that overrule them, and a device's own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the model may cost on the device; None where the user named no limit.

    Attributes:
        latency_ms: milliseconds for one prediction.
        flash_bytes: bytes of what is stored on the device.
        ram_bytes: bytes of working memory.
    """

    latency_ms: float | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None

    def overruled(self, by: Limits) -> Limits:
        """These limits, each replaced where `by` names one."""
        return Limits(
            self.latency_ms if by.latency_ms is None else by.latency_ms,
            self.flash_bytes if by.flash_bytes is None else by.flash_bytes,
            self.ram_bytes if by.ram_bytes is None else by.ram_bytes,
        )

    def within(self, flash_bytes: int | None, ram_bytes: int | None) -> Limits:
        """These limits and a device's own, the tighter of each."""
        return Limits(self.latency_ms, _least(self.flash_bytes, flash_bytes), _least(self.ram_bytes, ram_bytes))

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return any(limit is not None for limit in (self.latency_ms, self.flash_bytes, self.ram_bytes))


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


NO_LIMITS = Limits()
