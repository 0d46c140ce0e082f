"""An interpreter of the few pickle instructions that a torch state dict is written in. It can't be made to run anything.

``pickle`` itself calls what a file names. Here a name is looked up in a table of five, and what they make are plain tuples; any
other instruction or name is an error. Method: the instructions' documentation in the standard library's ``pickletools``.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

# Instructions whose argument is the value itself; those that torch writes, protocols 2 to 5.
VALUES = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES"}
    | {"SHORT_BINBYTES", "SHORT_BINSTRING", "BINSTRING"}
)
FIXED: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class Storage:
    """A row of numbers that lies elsewhere in the file.

    Attributes:
        kind: torch's name of its type; key: how the file calls it; count: of its numbers.
    """

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage: place of its first number, sizes and steps, in numbers."""

    storage: Storage
    start: int
    sizes: tuple[int, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class _Kind:
    """A storage's type, as the file names it."""

    name: str


def _tensor(storage: Any = None, start: Any = 0, sizes: Any = (), steps: Any = (), *rest: Any) -> Tensor:
    whole = [start, *sizes, *steps] if isinstance(sizes, tuple) and isinstance(steps, tuple) else [None]
    if not isinstance(storage, Storage) or len(sizes) != len(steps) or not all(type(n) is int and n >= 0 for n in whole):
        raise ValueError("a tensor is described badly")
    return Tensor(storage, start, sizes, steps)


def _parameter(data: Any = None, *rest: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise ValueError("a parameter holds no tensor")
    return data


def _mapping(*pairs: Any) -> dict[Any, Any]:
    if pairs not in ((), ([],)):
        raise ValueError("a mapping is described in a way that torch doesn't write")
    return {}


CALLS: Mapping[str, Callable[..., Any]] = {
    "collections OrderedDict": _mapping,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
}
# torch's types of storages, as numpy has them; bfloat16, which numpy lacks, as the bits of it.
KINDS: Mapping[str, str] = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<u1",
}


def unpickle(file: BinaryIO) -> Any:
    """The value that begins at a file's place, which is left behind it.

    Returns:
        Numbers, strings, bytes, None, tuples, lists, dicts, and `Tensor`.

    Raises:
        ValueError: it is cut short, or holds what no state dict does.
    """
    machine = _Machine()
    for instruction, argument, _ in pickletools.genops(file):
        try:
            machine.step(instruction.name, argument)
        except (IndexError, KeyError, TypeError) as error:  # a stack that runs dry, a memo never written, a list that is none
            raise ValueError(f"its instruction {instruction.name} makes no sense") from error
    if len(machine.stack) != 1:
        raise ValueError("it ends in the middle of a value")
    return machine.stack[0]


@dataclass
class _Machine:
    """A stack, the stacks under it that wait for a mark's end, and what was noted for later use."""

    stack: list[Any] = field(default_factory=list)
    waiting: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        if name in ("PROTO", "FRAME", "STOP"):
            return
        if name in VALUES:
            self.stack.append(argument)
        elif name in FIXED:
            self.stack.append(FIXED[name])
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            self.stack.append({} if name == "EMPTY_DICT" else [])
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name == "MARK":
            self.waiting.append(self.stack)
            self.stack = []
        elif name in TUPLES or name == "TUPLE":
            values = self._last(TUPLES[name]) if name in TUPLES else self._marked()
            self.stack.append(tuple(values))
        else:
            self._build(name, argument)

    def _build(self, name: str, argument: Any) -> None:
        if name in ("GLOBAL", "STACK_GLOBAL"):
            self.stack.append(_looked_up(argument if name == "GLOBAL" else " ".join(map(str, self._last(2)))))
        elif name == "REDUCE":
            call, arguments = self._last(2)
            if call not in CALLS.values() or not isinstance(arguments, tuple):
                raise ValueError("it calls what can't be called")
            self.stack.append(call(*arguments))
        elif name == "BINPERSID":
            self.stack.append(_storage(self.stack.pop()))
        elif name in ("SETITEM", "SETITEMS"):
            pairs = self._last(2) if name == "SETITEM" else self._marked()
            _put(self.stack[-1], pairs)
        elif name in ("APPEND", "APPENDS"):
            values = self._last(1) if name == "APPEND" else self._marked()
            if not isinstance(self.stack[-1], list):
                raise ValueError("it appends to what is no list")
            self.stack[-1].extend(values)
        elif name == "BUILD":  # an OrderedDict's attributes, such as the versions of a module's parts: nothing to compute with
            (state,) = self._last(1)
            if not isinstance(self.stack[-1], dict) or not isinstance(state, dict):
                raise ValueError("it sets attributes of an object")
        else:
            raise ValueError(f"it holds the instruction {name}, which no state dict needs")

    def _last(self, count: int) -> list[Any]:
        """Take so many values off the stack."""
        if len(self.stack) < count:
            raise IndexError
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def _marked(self) -> list[Any]:
        """Take all values since the last mark."""
        taken, self.stack = self.stack, self.waiting.pop()
        return taken


def _looked_up(name: str) -> Any:
    module, _, own = name.partition(" ")
    if name in CALLS:
        return CALLS[name]
    if module == "torch" and own in KINDS:
        return _Kind(own)
    raise ValueError(f"it asks for {name.replace(' ', '.')[:80]}, which no state dict needs")


def _storage(given: Any) -> Storage:
    """What torch tells of a storage: a word, its type, its key, a device, its length, and of old files a view."""
    if not isinstance(given, tuple) or len(given) not in (5, 6) or given[5:] not in ((), (None,)):
        raise ValueError("a storage is described badly")
    word, kind, key, _, count = given[:5]
    if word != "storage" or not isinstance(kind, _Kind) or not isinstance(key, str) or type(count) is not int or count < 0:
        raise ValueError("a storage is described badly")
    return Storage(kind.name, key, count)


def _put(mapping: Any, pairs: list[Any]) -> None:
    # Keys are no tuples: hashing a small file's tuples of tuples can take for ever.
    if not isinstance(mapping, dict) or not all(isinstance(key, (str, int)) for key in pairs[::2]) or len(pairs) % 2:
        raise ValueError("it fills what is no mapping of names")
    mapping.update(zip(pairs[::2], pairs[1::2]))
