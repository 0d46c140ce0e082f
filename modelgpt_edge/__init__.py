"""modelgpt-edge: a small, checked, compiled model for your task and device, in seconds and with no training.

The public API is `build` and `plan`, which tells what will fit (on a workstation), `load` (on the device) and `list_targets`.
Each is imported when first used, so that a device never loads what only a build needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelgpt_edge.pipeline import build as build
    from modelgpt_edge.pipeline import plan as plan
    from modelgpt_edge.runtime.model import load as load
    from modelgpt_edge.targets.registry import list_targets as list_targets

__all__ = ["build", "list_targets", "load", "plan"]

_HOMES = {
    "build": "modelgpt_edge.pipeline",
    "plan": "modelgpt_edge.pipeline",
    "load": "modelgpt_edge.runtime.model",
    "list_targets": "modelgpt_edge.targets.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'modelgpt_edge' has no attribute {name!r}")
    import importlib

    if _HOMES[name] == _HOMES["build"]:
        _require_building()
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def _require_building() -> None:
    """TargetUnavailableError where what every build imports isn't installed: a device only runs models."""
    from importlib.util import find_spec

    missing = [module for module in ("onnx", "threadpoolctl") if find_spec(module) is None]
    if missing:
        from modelgpt_edge.errors import TargetUnavailableError

        what, cure = f"{missing[0]} is not installed, and building needs it", "Run: pip install 'modelgpt-edge[build]'"
        raise TargetUnavailableError(what, where="build", cure=cure)
