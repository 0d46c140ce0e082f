"""The LoRA hypernetwork in numpy: what a task is goes in, a sentence encoder whose attention fits it better comes out.

A small perceptron reads the task and emits, for each layer, coefficients c of a learned basis. An update of a weight (inputs,
outputs) is  SCALE * A(c) B  with A(c) = sum_j c_j Basis_j  and a learned B (LoRA, Hu et al. 2022; emitted for a task by a
hypernetwork, Charakorn et al. 2025). B begins at zero, so step 0 is exactly the plain encoder. The same equations stand in
torch in `training/text/hypernetwork.py`, for many requests at once in `batched_lora.py`; tests hold the three together.

Shape letters: D width of the encoder, L layers, J members of the basis, r rank, K classes, N examples.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.shape import Shape
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError, PackageError, TargetUnavailableError

SHIPPED = Path(__file__).with_name("lora.safetensors")
FORMAT = "modelgpt-edge lora 1"
# What the products A(c) B are multiplied by.
SCALE = 1.0
# Products of a layer that are updated, and how many times D their outputs are: queries, keys and values are one.
PRODUCTS = {"qkv": 3, "out": 1}
PARTS = ("query", "key", "value")


@dataclass(frozen=True)
class LoraShape:
    """Sizes of a generator: L, D, r, J, and hidden units of its perceptron."""

    layers: int
    width: int
    rank: int = 8
    basis: int = 8
    hidden: int = 64

    @staticmethod
    def of(encoder: Shape) -> LoraShape:
        """The usual sizes for an encoder."""
        return LoraShape(encoder.layers, encoder.width)

    @property
    def arrays(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes of the parameters by name."""
        found: dict[str, tuple[int, ...]] = {
            "hidden.weight": (self.hidden, 2 * self.width + 3),
            "hidden.bias": (self.hidden,),
            "coefficients.weight": (self.layers * self.basis, self.hidden),
            "coefficients.bias": (self.layers * self.basis,),
        }
        for product, outputs in PRODUCTS.items():
            found[f"{product}.basis"] = (self.layers, self.basis, self.width * self.rank)
            found[f"{product}.up"] = (self.layers, self.rank, outputs * self.width)
        return found


@dataclass(frozen=True, eq=False)
class LoraGenerator:
    """A trained generator.

    Attributes:
        shape: its sizes; weights: float32, by the names of `LoraShape.arrays`.
        encoder_sha256: of the encoder that it was trained for.
        default: whether held-out examples choose it unasked, as they do the others.
        sha256: of its file.
    """

    shape: LoraShape
    weights: Mapping[str, Floats]
    encoder_sha256: str
    default: bool
    sha256: str

    @staticmethod
    def read(path: Path) -> LoraGenerator:
        """Read what `train text` exported.

        Raises:
            PackageError: the file is missing, cut short or no such generator.
        """
        try:
            content = path.read_bytes()
            facts = _metadata(content)
            shape = LoraShape(**json.loads(facts["shape"]))
            arrays = load(content)
            weights = {name: _checked(name, arrays[name], sizes) for name, sizes in shape.arrays.items()}
            return LoraGenerator(
                shape, weights, facts["encoder_sha256"], facts["default"] == "yes", hashlib.sha256(content).hexdigest()
            )
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            cure = "Give the file that `modelgpt-edge train text` writes; of one that came with modelgpt-edge, install it anew."
            raise PackageError("the generator of LoRA can't be read", where=str(path), seen=str(error), cure=cure) from error

    @staticmethod
    def shipped() -> LoraGenerator | None:
        """The one that comes with the package; None where there is none."""
        return LoraGenerator.read(SHIPPED) if SHIPPED.exists() else None

    def fits(self, encoder: TextEncoder) -> bool:
        """Whether it was trained for this encoder."""
        return encoder.files.sha256 == self.encoder_sha256

    def coefficients(self, task: Floats) -> Floats:
        """What multiplies the basis (L, J) for a task as `describe_task` has it (2 D + 3,)."""
        hidden = np.tanh(self.weights["hidden.weight"] @ task + self.weights["hidden.bias"])
        made: Floats = self.weights["coefficients.weight"] @ hidden + self.weights["coefficients.bias"]
        return made.reshape(self.shape.layers, self.shape.basis)

    def adapt(self, encoder: TextEncoder, task: Floats) -> TextEncoder:
        """The encoder with the updates for a task fused into its weights.

        Raises:
            InputError: it was trained for another encoder.
        """
        require_fit(self, encoder)
        coefficients = self.coefficients(task)
        merged = []
        for layer in range(self.shape.layers):
            for product, base in zip(PRODUCTS, attention(encoder, layer)):
                down = coefficients[layer] @ self.weights[f"{product}.basis"][layer]
                left = down.reshape(self.shape.width, self.shape.rank)
                merged.append(base + np.float32(SCALE) * (left @ self.weights[f"{product}.up"][layer]))
        return with_attention(encoder, merged)


def require_fit(generator: LoraGenerator, encoder: TextEncoder) -> None:
    """InputError where a generator was trained for another encoder."""
    if not generator.fits(encoder):
        cure = "Leave out --encoder or --generator; or train one for this encoder: modelgpt-edge train text --encoder."
        raise InputError("LoRA was trained for another encoder", where="--encoder", seen=encoder.files.name, cure=cure)


def require_shipped() -> LoraGenerator:
    """The generator that comes with the package; TargetUnavailableError where none does."""
    found = LoraGenerator.shipped()
    if found is None:
        cure = f"Train one with `modelgpt-edge train text`, and copy its lora.safetensors to {SHIPPED.parent}."
        raise TargetUnavailableError("no trained generator of LoRA is installed", where="--generator", seen="lora", cure=cure)
    return found


def describe_task(names: Floats, support: Floats) -> Floats:
    """A task in numbers (2 D + 3,): mean of the classes' directions, mean of the examples, log K, log shots, a flag for none.

    Args:
        names: (D, K) of unit length; support: embeddings (N, D) of the examples, which may be none. No label is read.
    """
    width, classes = names.shape
    shots = len(support) / classes
    mean = support.mean(0) if len(support) else np.zeros(width, np.float32)
    told = np.array([np.log(classes), np.log1p(shots), float(not len(support))], np.float32)
    # Embeddings have length one: their root mean square is brought to that of the other numbers.
    return np.concatenate([np.sqrt(np.float32(width)) * names.mean(1), np.sqrt(np.float32(width)) * mean, told])


def attention(encoder: TextEncoder, layer: int) -> tuple[Floats, Floats]:
    """The two products of a layer's attention as (inputs, outputs): queries, keys and values in one (D, 3 D), and (D, D)."""
    own = f"encoder.layer.{layer}.attention"
    parts = [encoder.weights[f"{own}.self.{part}.weight"].T for part in PARTS]
    return np.concatenate(parts, 1), encoder.weights[f"{own}.output.dense.weight"].T


def with_attention(encoder: TextEncoder, products: Sequence[Floats]) -> TextEncoder:
    """The encoder with other products of attention, of each layer those of `attention` in turn."""
    weights = dict(encoder.weights)
    for layer, (qkv, out) in enumerate(zip(products[::2], products[1::2])):
        own = f"encoder.layer.{layer}.attention"
        for part, weight in zip(PARTS, np.split(qkv, len(PARTS), 1)):
            weights[f"{own}.self.{part}.weight"] = np.ascontiguousarray(weight.T)
        weights[f"{own}.output.dense.weight"] = np.ascontiguousarray(out.T)
    return replace(encoder, weights=weights, adapted=True)


def story(shape: LoraShape, encoder_sha256: str, default: bool) -> dict[str, str]:
    """What a generator's file says of itself, as far as reading it goes."""
    return {
        "format": FORMAT,
        "shape": json.dumps(asdict(shape)),
        "encoder_sha256": encoder_sha256,
        "default": "yes" if default else "no",
    }


def _metadata(content: bytes) -> dict[str, str]:
    """The metadata of safetensors' header; ValueError where it is no generator's."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    facts: dict[str, str] = header.get("__metadata__", {})
    if facts.get("format") != FORMAT:
        raise ValueError(f"its format is {facts.get('format')!r}, not {FORMAT!r}")
    return facts


def _checked(name: str, array: np.ndarray, shape: tuple[int, ...]) -> Floats:
    if array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise ValueError(f"{name} is {array.dtype} {array.shape} or not finite, where floats {shape} are due")
    return array.astype(np.float32)
