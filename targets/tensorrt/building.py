"""Build an engine from explicit-precision ONNX, with TensorRT 10 or 11: the ONNX says every type, so both build alike.

TensorRT 11 has no precision flags and no calibrator any more, and types every network strongly; 10 does so when asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelgpt_edge.cache import cached, keep
from modelgpt_edge.targets.tensorrt.library import failed, open_log
from modelgpt_edge.targets.tensorrt.recipe import Recipe

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Plan:
    """A serialised engine, and what the user should know of its making ("" for nothing)."""

    content: bytes
    note: str = ""


def build_engine(trt: Any, onnx: bytes, recipe: Recipe, sm: str, workspace_bytes: int, stage: str, progress: Progress) -> Plan:
    """Build a refittable engine; what tactics were timed is kept in the user's cache for the next time.

    Where TensorRT refuses to make it refittable, it is built so that new weights need a new engine, and the note says so.

    Args:
        trt: the ``tensorrt`` module.
        workspace_bytes: most scratch memory of a layer.
        stage: name of the work for `progress`, which is told the share done, 0 to 1.

    Raises:
        TargetUnavailableError: the parser or the builder refuses; its own words are passed on.
        KeyboardInterrupt: the user interrupted; the build has been stopped.
    """
    log = open_log(trt)
    log.take_errors()
    builder = trt.Builder(log)
    network = builder.create_network(_network_flags(trt))
    _parse(trt, network, onnx)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_bytes)
    config.set_flag(trt.BuilderFlag.REFIT)
    if recipe.precision == "fp32":
        config.clear_flag(trt.BuilderFlag.TF32)  # on by default, with 10 bits of mantissa: that would be no fp32
    profile = builder.create_optimization_profile()
    profile.set_shape(recipe.feed.name, recipe.feed.least, recipe.feed.best, recipe.feed.most)
    config.add_optimization_profile(profile)
    timings = f"tensorrt/timing-{trt.__version__}-{sm}"
    _attach_timings(config, cached(timings))
    config.progress_monitor = _monitor(trt, stage, progress)
    plan, note = _serialized(builder, network, config), ""
    if plan is None:
        refused = log.take_errors()
        config.clear_flag(trt.BuilderFlag.REFIT)
        plan = _serialized(builder, network, config)
        note = f"it can't be refitted, as TensorRT refused that: {refused}"
    if plan is None:
        cure = "Where it wants more memory pass --workspace MB; otherwise report the message with the package's recipe.json."
        raise failed(trt, "the engine can't be built", cure)
    _keep_timings(config, timings)
    return Plan(bytes(plan), note)


def _serialized(builder: Any, network: Any, config: Any) -> Any:
    """The serialised engine, or None where the builder failed; KeyboardInterrupt where the user stopped it."""
    plan = builder.build_serialized_network(network, config)
    if config.progress_monitor.interrupted:
        raise KeyboardInterrupt
    return plan


def _network_flags(trt: Any) -> int:
    """Strong typing asked for; where the flag is gone it is no longer a choice."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(trt: Any, network: Any, onnx: bytes) -> None:
    parser = trt.OnnxParser(network, open_log(trt))
    if not parser.parse(onnx):
        said = parser_errors(parser)
        raise failed(trt, "TensorRT doesn't take the model", "Please report this message and the version.", said)


def parser_errors(parser: Any) -> str:
    """What an `OnnxParser` or `OnnxParserRefitter` has to say, with the node each time."""
    errors = (parser.get_error(i) for i in range(parser.num_errors))
    return "; ".join(f"node {e.node_name()!r} ({e.node_operator()}): {e.desc()}" for e in errors)


def _attach_timings(config: Any, stored: bytes | None) -> None:
    """Give the builder the timings of earlier builds; a cache that it doesn't accept is begun anew."""
    cache = config.create_timing_cache(stored or b"")
    if stored and (cache is None or not config.set_timing_cache(cache, False)):
        stored, cache = None, config.create_timing_cache(b"")
    if not stored and cache is not None:
        config.set_timing_cache(cache, False)


def _keep_timings(config: Any, name: str) -> None:
    cache = config.get_timing_cache()
    if cache is not None:
        keep(name, bytes(cache.serialize()))


def _monitor(trt: Any, stage: str, progress: Progress) -> Any:
    """TensorRT's progress as one growing share; an interrupt in between stops the build instead of crossing C++."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the base is known at run time alone
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.interrupted = False
            self._phases: dict[str, tuple[str | None, int, int]] = {}  # name: parent, steps, steps done
            self._best = 0.0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases[phase_name] = (parent_phase, max(num_steps, 1), 0)

        def phase_finish(self, phase_name: str) -> None:
            self._phases.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                if phase_name in self._phases:
                    parent, steps, _ = self._phases[phase_name]
                    self._phases[phase_name] = (parent, steps, min(step + 1, steps))
                    self._best = max(self._best, min(1.0, self._share(phase_name)))
                    progress(stage, self._best)
            except KeyboardInterrupt:
                self.interrupted = True
            return not self.interrupted

        def _share(self, phase_name: str) -> float:
            """Share of the whole that is done, by what the phase and those around it have done."""
            inner, name = 0.0, phase_name
            while name in self._phases:
                parent, steps, done = self._phases[name]
                inner = (done + inner) / steps
                if parent is None:
                    return inner
                name = parent
            return 0.0

    return Monitor()
