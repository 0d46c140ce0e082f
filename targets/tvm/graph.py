"""From a template's ONNX graph to fused kernels, and from scheduled kernels to one function, all in TVM's own IR.

Weights are inputs, so whatever TVM would do to them at run time (transpose a matrix, turn a convolution's OIHW into HWIO) is
written into the plan instead, and done once a model. Imported only while a template is compiled, as it needs TVM.
"""

# ruff: noqa: TID251 - this is the folder that imports TVM, and only while a template is compiled
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import onnx
import tvm
from tvm import relax, tirx
from tvm.relax import PyExprMutator
from tvm.relax import transform as passes
from tvm.relax.expr_functor import mutator
from tvm.relax.frontend.onnx import from_onnx
from tvm.s_tir.stmt import SBlock, SBlockRealize

from modelgpt_edge.targets.tvm.arguments import CONSTANT, INPUT, OUTPUT, SCRATCH, WEIGHT, Argument
from modelgpt_edge.targets.tvm.operators import lowerings, narrow_product
from modelgpt_edge.targets.tvm.schedule import LANES, on_stack
from modelgpt_edge.targets.tvm.template import Template

CORE = "core"


@dataclass
class Kernels:
    """A module of fused kernels and the main function that calls them, and what its parameters are."""

    module: Any
    arguments: list[Argument] = field(default_factory=list)

    def functions(self) -> list[tuple[Any, Any]]:
        """The kernels, by their global variables."""
        return [(name, f) for name, f in self.module.functions_items() if isinstance(f, tirx.PrimFunc)]


def import_kernels(template: Template) -> Kernels:
    """Fused, unscheduled kernels of a template."""
    graph = onnx.load_model_from_string(template.structure)
    module = from_onnx(graph, sanitize_input_names=False)
    # Convolutions run in NHWC, where neighbouring channels fill a vector.
    convolves = any(node.op_type == "Conv" for node in graph.graph.node)
    layout = [passes.ConvertLayout({"relax.nn.conv2d": ["NHWC", "HWIO"]})] if convolves else []
    steps = [passes.DecomposeOpsForInference(), passes.CanonicalizeBindings(), *layout, passes.Normalize()]
    module = tvm.transform.Sequential(steps)(module)
    module, weights = _lay_out_weights(module, template)
    lower = [passes.LegalizeOps(lowerings()), passes.AnnotateTIROpPattern(), passes.FoldConstant()]
    fuse = [passes.FuseOps(), passes.FuseTIR(), passes.DeadCodeElimination()]
    module = tvm.transform.Sequential([*lower, *fuse])(module)
    module, constants = _hoist_constants(module)
    inputs = [_argument(INPUT, v.name, v.ty) for v in module["main"].params[: len(template.inputs)]]
    return Kernels(module, [*inputs, *weights, *constants])


def _argument(role: str, name: str, kind: Any, axes: tuple[int, ...] = ()) -> Argument:
    return Argument(role, name, str(kind.dtype), tuple(int(size) for size in kind.shape), axes)


@mutator
class _WeightLayout(PyExprMutator):  # type: ignore[misc]
    """Replaces transposed weights by parameters that are stored so."""

    def __init__(self, module: Any, weights: dict[str, Any]) -> None:
        super().__init__(module)
        self._sources = {name: (name, tuple(range(len(v.ty.shape)))) for name, v in weights.items()}
        self._shapes = {name: [int(size) for size in v.ty.shape] for name, v in weights.items()}
        self._types = {name: v.ty.dtype for name, v in weights.items()}
        self.stored: dict[tuple[str, tuple[int, ...]], Any] = {}

    def source(self, variable: Any) -> tuple[str, tuple[int, ...]] | None:
        """The weight that a variable holds, and in which order of axes; None where it is no weight."""
        return self._sources.get(variable.name) if isinstance(variable, relax.Var) else None

    def _transposed(self, variable: Any, axes: list[int]) -> Any:
        name, now = self._sources[variable.name]
        order = tuple(now[a] for a in axes)
        if (name, order) not in self.stored:
            shape = [self._shapes[name][a] for a in order]
            stored = f"{name}.{''.join(map(str, order))}"
            self._sources[stored] = (name, order)
            self.stored[name, order] = relax.Var(stored, relax.TensorType(shape, self._types[name]))
        return self.stored[name, order]

    def visit_call_(self, call: Any) -> Any:
        """See `PyExprMutator`."""
        call = super().visit_call_(call)
        name = getattr(call.op, "name", "")
        if name == "relax.permute_dims" and self.source(call.args[0]):
            x, axes = call.args[0], call.attrs.axes
            rank = len(x.ty.shape)
            return self._transposed(x, list(reversed(range(rank))) if axes is None else [int(a) for a in axes])
        if name == "relax.matmul" and self.source(call.args[1]) and len(call.args[1].ty.shape) == 2:
            x, weight = call.args
            depth, outputs = (int(size) for size in weight.ty.shape)
            if outputs % LANES and depth % LANES == 0:
                stored = self._transposed(weight, [1, 0])
                return self.builder_.call_te(narrow_product, x, stored, primfunc_name_hint="narrow")
        return call


def _lay_out_weights(module: Any, template: Template) -> tuple[Any, list[Argument]]:
    main = module["main"]
    inputs = list(main.params[: len(template.inputs)])
    weights = {v.name: v for v in main.params[len(template.inputs) :]}
    layout = _WeightLayout(module, weights)
    body = layout.visit_expr(main)
    module = layout.builder_.get()
    used = {v.name for v in relax.analysis.free_vars(body.body)}
    parameters = [v for v in (*weights.values(), *layout.stored.values()) if v.name in used]
    laid_out = relax.Function([*inputs, *parameters], body.body, body.ret_ty).with_attr("global_symbol", "main")
    module.update_func(module.get_global_var("main"), laid_out)
    arguments = []
    for variable in parameters:
        name, axes = layout.source(variable) or (variable.name, ())
        arguments.append(_argument(WEIGHT, name, variable.ty, () if axes == tuple(sorted(axes)) else axes))
    return module, arguments


@mutator
class _Constants(PyExprMutator):  # type: ignore[misc]
    """Replaces constants by parameters: one function of all kernels may hold none."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self.variables: list[Any] = []
        self.arguments: list[Argument] = []

    def visit_generic_const_(self, constant: Any) -> Any:
        """See `PyExprMutator`."""
        array = constant.value.numpy()
        name = f"constant{len(self.variables)}"
        values = tuple(array.ravel().tolist())
        self.variables.append(relax.Var(name, constant.ty))
        self.arguments.append(Argument(CONSTANT, name, str(array.dtype), array.shape, value=values))
        return self.variables[-1]


def _hoist_constants(module: Any) -> tuple[Any, list[Argument]]:
    constants = _Constants(module)
    main = constants.visit_expr(module["main"])
    parameters = [*main.params, *constants.variables]
    module.update_func(module.get_global_var("main"), relax.Function(parameters, main.body, main.ret_ty, attrs=main.attrs))
    return module, constants.arguments


def join_kernels(kernels: Kernels, outputs: tuple[str, ...], on_cpu: bool = True) -> tuple[Any, list[Argument]]:
    """One function of all kernels, to be called without TVM's virtual machine, and its arguments in order.

    Intermediate results lie in arguments too, so that nothing is allocated while it runs.
    """
    main = kernels.module["main"]
    rest = tvm.IRModule({name: f for name, f in kernels.module.functions_items() if name.name_hint != "main"})
    builder = relax.BlockBuilder(rest)
    whole = builder.add_func(main.without_attr("global_symbol").with_attr("Primitive", 1), CORE)
    parameters = [relax.Var(v.name, v.ty) for v in main.params]
    with builder.function("main", parameters):
        with builder.dataflow():
            result = builder.emit_output(builder.emit(relax.Call(whole, parameters)))
        builder.emit_func_output(result)
    fused = passes.FuseTIR()(builder.get())
    (joined,) = (f for name, f in fused.functions_items() if isinstance(f, tirx.PrimFunc))
    function, scratch = _scratch_as_arguments(joined)
    if on_cpu:
        function = on_stack(function)
    function = function.with_attr("global_symbol", CORE).with_attr("tirx.noalias", True)
    count = len(joined.params) - len(kernels.arguments)
    results = [_argument(OUTPUT, n, v.ty) for n, v in zip(outputs, joined.params[-count:])]
    return function, [*kernels.arguments, *results, *(_argument(SCRATCH, "", v.ty) for v in scratch)]


def _scratch_as_arguments(function: Any) -> tuple[Any, list[Any]]:
    realize = function.body
    root = realize.block
    scratch = [b for b in root.alloc_buffers if b.scope() == "global"]
    kept = [b for b in root.alloc_buffers if b.scope() != "global"]
    parts = (root.iter_vars, root.reads, root.writes, root.name_hint, root.body, root.init)
    block = SBlock(*parts, kept, root.match_buffers, root.annotations)
    body = SBlockRealize(realize.iter_values, realize.predicate, block)
    made = tirx.PrimFunc([*function.params, *scratch], body, function.ret_type, function.attrs)
    return made, scratch
