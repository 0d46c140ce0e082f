"""Compile a template for a processor, or take it from the cache: a hit needs neither TVM nor a C compiler.

The library is kept with the plan of its arguments in one file, under a key of all that it depends on: the template's structure,
the processor, TVM's version and our schedule's.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from modelgpt_edge.cache import cached, keep
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.backend import first_line, installed_version
from modelgpt_edge.targets.tvm.arguments import Plan
from modelgpt_edge.targets.tvm.linker import export, find_linker
from modelgpt_edge.targets.tvm.machine import Processor, Tile, runs_here

if TYPE_CHECKING:
    from modelgpt_edge.targets.tvm.template import Template

INSTALL = "Run: pip install 'apache-tvm==0.27.0.post1' 'apache-tvm-ffi==0.1.14.post1'"
SCHEDULE = 2  # raise it with any change of the generated code: it is part of the key of what is cached


@dataclass(frozen=True)
class Compiled:
    """A template's library, the plan of its arguments, and whether it came from the cache."""

    library: bytes
    plan: Plan
    from_cache: bool


def template_key(template: Template, processor: Processor) -> str:
    """What a compiled template depends on, as a name for it."""
    parts = (template.key, processor.triple, processor.cpu, installed_version("apache-tvm"), str(SCHEDULE))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def compile_template(template: Template, processor: Processor) -> Compiled:
    """The template as a library for a processor.

    Raises:
        TargetUnavailableError: it isn't in the cache and TVM or the C compiler is missing, or failed.
    """
    name = f"tvm/{template_key(template, processor)}.safetensors"
    found = _unpack(cached(name))
    if found is not None:
        return found
    made = compile_now(template, processor)
    library, plan = np.frombuffer(made.library, np.uint8), np.frombuffer(made.plan.to_json().encode(), np.uint8)
    keep(name, bytes(save({"library": library, "plan": plan})))
    return made


def _unpack(content: bytes | None) -> Compiled | None:
    """A cached template; None where there is none, or it can't be read, which compiling anew mends."""
    if content is None:
        return None
    try:
        tensors = load(content)
        return Compiled(tensors["library"].tobytes(), Plan.from_json(tensors["plan"].tobytes()), True)
    except (SafetensorError, KeyError, TypeError, ValueError):
        return None


def import_tvm() -> Any:
    """The tvm module.

    Raises:
        TargetUnavailableError: it isn't installed, or doesn't import.
    """
    try:
        return importlib.import_module("tvm")
    except ModuleNotFoundError as error:
        raise TargetUnavailableError("tvm is not installed here", where="tvm backend", cure=INSTALL) from error
    except Exception as error:  # a broken binary raises what its loader likes
        what = f"tvm is installed but doesn't import: {first_line(error)}"
        raise TargetUnavailableError(what, where="tvm backend", cure=INSTALL) from error


def compile_now(template: Template, processor: Processor) -> Compiled:
    """`compile_template` without the cache."""
    tvm = import_tvm()
    linker = find_linker(processor)
    from modelgpt_edge.targets.tvm.graph import CORE, import_kernels, join_kernels

    try:
        target = tvm.target.Target(processor.llvm())
        with target:
            kernels = import_kernels(template)
        _schedule(kernels, processor, target, functools.partial(export, linker))
        function, arguments = join_kernels(kernels, template.outputs)
        with target:
            built = tvm.compile(tvm.IRModule({CORE: function}), target=target)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.so"
            export(linker, built, path)
            library = path.read_bytes()
    except TargetUnavailableError:
        raise
    except Exception as error:  # TVM raises many types for a graph that it can't compile
        what = f"TVM can't compile this model: {first_line(error)}"
        raise TargetUnavailableError(what, where="tvm backend", cure="Choose another backend.") from error
    return Compiled(library, Plan(template.key, tuple(arguments)), False)


def _schedule(kernels: Any, processor: Processor, target: Any, link_to: Callable[[Any, Path], None]) -> None:
    """Schedule each kernel, by measurement where this machine can run it."""
    from modelgpt_edge.targets.tvm.schedule import tiles_tried
    from modelgpt_edge.targets.tvm.tuning import quickest

    functions = kernels.functions()
    tiles: tuple[Tile, ...] = processor.tiles if runs_here(processor) else processor.tiles[:1]
    candidates = [list(tiles_tried(tiles, function)) for _, function in functions]
    for (name, _), chosen in zip(functions, quickest(candidates, target, link_to)):
        kernels.module[name] = chosen
