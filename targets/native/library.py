"""Look at a shared library before it is loaded: a cut one would crash the process, and for the rest loaders have few words."""

from __future__ import annotations

import struct

ELF = b"\x7fELF"
# e_machine of the ELF specification, named as targets name them.
MACHINES = {3: "x86", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
HEADER = 64


def built_for(content: bytes) -> str:
    """The architecture that a shared library was built for; "" where it is no ELF file and so can't be told."""
    if not content.startswith(ELF) or len(content) < 20:
        return ""
    order = ">" if content[5] == 2 else "<"
    (number,) = struct.unpack_from(order + "H", content, 18)
    return MACHINES.get(number, f"ELF machine {number}")


def fault(content: bytes, arch: str) -> str:
    """Why a file can't be a shared library for an architecture; "" where it may be one.

    Only ELF files are looked into: another system's libraries are left to its loader.
    """
    if not content:
        return "the file is empty"
    if not content.startswith(ELF):
        return ""
    found = built_for(content)
    if found != arch:
        return f"it was built for {found or 'nothing known'}"
    if len(content) < HEADER or content[4] != 2:
        return "the file is cut short" if len(content) < HEADER else "it is a library of 32 bits"
    order = ">" if content[5] == 2 else "<"
    (sections,) = struct.unpack_from(order + "Q", content, 40)
    size, count = struct.unpack_from(order + "HH", content, 58)
    # The table of sections stands at the end of what a linker writes: without it, something is missing before.
    if sections + size * count > len(content):
        return "the file is cut short"
    return ""
