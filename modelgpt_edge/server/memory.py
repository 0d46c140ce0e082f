"""How much memory the machine has, how much of it a worker process may take, and the system's limit that keeps it to that.

A small upload can unpack to more than any machine has: then one worker runs short, and nothing else does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Of the machine's memory, how much all processes that work for requests may take together, and the least for one of them.
SHARE, LEAST = 0.8, 64 << 20
# What protobuf and ONNX Runtime say where memory is short; they have no type of their own for it.
_SHORT = ("Failed to serialize proto", "bad_alloc", "Failed to allocate memory")
# What a container may take, by the kernel's two interfaces.
_GROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def fair_share(workers: int) -> int:
    """Bytes for each of so many workers: they have one half of the share together, and the builder the other."""
    return max(LEAST, int(SHARE * machine_memory()) // (2 * workers))


def machine_memory() -> int:
    """Bytes of memory of this machine, or of the container that it is."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in _GROUPS:
        try:
            found.append(int(file.read_text(encoding="ascii")))
        except (OSError, ValueError):  # there is no such group, or "max"
            continue
    return min(found)


def limit_memory(more: int) -> None:
    """Let this process, and each that it starts, take so many bytes more than it holds now; beyond that comes MemoryError.

    Linux counts what is private and writable, mapped files and shared libraries left out; other systems keep to no such limit.
    """
    if sys.platform != "linux":
        return
    import resource

    # The sixth number is pages of data and stack.
    held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5]) * resource.getpagesize()
    most = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = held + more if most == resource.RLIM_INFINITY else min(held + more, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def says_short(error: Exception) -> bool:
    """Whether an error that is no MemoryError says that memory is."""
    return any(words in str(error) for words in _SHORT)
