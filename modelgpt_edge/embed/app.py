"""The one entry: a package in, an app's folder out."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from modelgpt_edge.child import Child
from modelgpt_edge.child_file import read_child
from modelgpt_edge.embed.columns import AppColumn, app_columns
from modelgpt_edge.embed.image_app import image_app
from modelgpt_edge.embed.readme import EXAMPLE, README, example_rows, readme
from modelgpt_edge.embed.text_app import text_app
from modelgpt_edge.embed.writing import ORIGIN, check_place, origin, write_app
from modelgpt_edge.errors import InputError, TargetUnavailableError, nearest
from modelgpt_edge.manifest import Variant
from modelgpt_edge.runtime.choosing import named_variant
from modelgpt_edge.runtime.opening import Package, open_package

LANGUAGES = ("python", "c", "cpp", "javascript")
ALIASES = {"py": "python", "c++": "cpp", "cxx": "cpp", "js": "javascript", "node": "javascript", "html": "javascript"}
GRAPH = "model.onnx"


@dataclass(frozen=True)
class Embedded:
    """A written app.

    Attributes:
        path: its folder.
        language: of `LANGUAGES`.
        variant: the package's variant in it; None where the model itself was written anew, or the package chooses.
        files: names of its files, those of a package inside left out.
        bytes: of all its files.
    """

    path: Path
    language: str
    variant: str | None
    files: tuple[str, ...]
    bytes: int


def embed(
    package_path: str | Path, language: str, out: str | Path, variant: str | None = None, force: bool = False
) -> Embedded:
    """Write a small app around a package's model.

    Args:
        language: ``python``, ``c``, ``cpp`` or ``javascript``.
        out: folder to write.
        variant: which of the package's variants; what suits the language where not given.
        force: replace an app that lies at `out`.

    Raises:
        InputError: an unknown language, or none for such a model, a variant that it can't take, or a place that can't be
            written.
        PackageError: the package is damaged, or has no such variant.
    """
    tongue = find_language(language)
    place = Path(out)
    check_place(place, force)
    package = open_package(package_path)
    chosen = None if variant is None else named_variant(package, variant)
    requirement = package.manifest.requirement
    if requirement.modality == "image":
        files, used = image_app(package, tongue, chosen)
    elif requirement.modality == "text":
        files, used = text_app(package, tongue, chosen)
    else:
        child = read_child(package.child)
        columns = app_columns(child, requirement.schema.columns)
        files, used = _sources(tongue, package, child, columns, chosen)
        files |= {
            README: readme(tongue, requirement.sentence, child, columns).encode(),
            EXAMPLE: example_rows(columns).encode(),
        }
    files |= {
        ORIGIN: origin(version=version("modelgpt-edge"), package=package.path.resolve().name, language=tongue, variant=used)
    }
    write_app(place, files, force)
    names = tuple(sorted(name for name in files if "/" not in name))
    return Embedded(place, tongue, used, names, sum(map(len, files.values())))


def find_language(name: str) -> str:
    """The language of a name or an alias, in any case; InputError with the nearest names."""
    folded = name.casefold()
    language = ALIASES.get(folded, folded)
    if language not in LANGUAGES:
        raise InputError("there are no apps in this language", where="--language", seen=name, cure=nearest(name, LANGUAGES))
    return language


def _sources(
    language: str, package: Package, child: Child, columns: tuple[AppColumn, ...], variant: Variant | None
) -> tuple[dict[str, bytes], str | None]:
    """The app's files, and the name of the variant in it."""
    sentence, name = package.manifest.requirement.sentence, None if variant is None else variant.name
    if language == "python":
        from modelgpt_edge.embed.python_app import python_files

        return python_files(package, child, columns, name), name
    if language == "javascript":
        from modelgpt_edge.embed.javascript_app import javascript_files

        graph, used = _packed(package, child, variant)
        return javascript_files(child, columns, package.manifest.requirement.schema.columns, graph), used
    model = None if variant is None else _compiled_c(package, variant)
    if language == "c":
        from modelgpt_edge.embed.c_app import c_files

        return c_files(child, columns, sentence, model), name
    from modelgpt_edge.embed.cpp_app import cpp_files

    return cpp_files(child, columns, sentence, model), name


def _compiled_c(package: Package, variant: Variant) -> dict[str, bytes]:
    """``model.c`` and ``model.h`` of a variant of the C emitter."""
    if variant.backend != "c":
        fitting = [v.name for v in package.manifest.variants if v.backend == "c"]
        cure = (
            f"Give one of: {', '.join(fitting)}." if fitting else "Leave --variant out: the app then holds the model in fp32."
        )
        raise InputError("this variant is no C source", where="--variant", seen=variant.name, cure=cure)
    return {name: package.file(f"{variant.path}/{name}").read_bytes() for name in ("model.c", "model.h")}


def _packed(package: Package, child: Child, variant: Variant | None) -> tuple[bytes, str | None]:
    """A packed ONNX graph: the variant's, else one of the package's in fp32 (the browser's first), else made from the child."""
    fitting = [v for v in package.manifest.variants if v.front == "packed" and f"{v.path}/{GRAPH}" in package.manifest.files]
    if variant is not None and variant not in fitting:
        cure = f"Give one of: {', '.join(v.name for v in fitting)}." if fitting else "Leave --variant out."
        raise InputError("onnxruntime-web doesn't run this variant", where="--variant", seen=variant.name, cure=cure)
    plain = sorted((v for v in fitting if v.precision == "fp32"), key=lambda v: v.target != "browser")
    chosen = variant or next(iter(plain), None)
    if chosen is not None:
        return package.file(f"{chosen.path}/{GRAPH}").read_bytes(), chosen.name
    try:
        from modelgpt_edge.compile.graph import packed_graph
    except ModuleNotFoundError as error:
        what = "the package has no ONNX variant, and onnx, which would write one, isn't installed"
        raise TargetUnavailableError(what, where="embed", cure="Run: pip install 'modelgpt-edge[build]'") from error
    return packed_graph(child, version("modelgpt-edge")).SerializeToString(), None
