"""Whether a GPU can run the kernels. `python -m modelgpt_edge.kernels.gpu cuda` prints why not, or an empty line.

Who mustn't have CUDA in its own process asks that way.
"""

from __future__ import annotations

import sys

import torch  # noqa: TID251 - asks for the GPU

# What the kernels are compiled for; an older GPU has no bfloat16.
LEAST_CAPABILITY = (8, 0)


def why_no_gpu(place: torch.device | None = None) -> str:
    """Why the kernels can't run on a GPU, the current one where none is named; "" where they can."""
    if not torch.cuda.is_available():
        return "torch.cuda sees no GPU"
    count, index = torch.cuda.device_count(), None if place is None else place.index
    if index is not None and index >= count:
        return f"torch.cuda sees {count} of them"
    capability = torch.cuda.get_device_capability(index)
    if capability < LEAST_CAPABILITY:
        name, seen, least = torch.cuda.get_device_name(index), *(".".join(map(str, c)) for c in (capability, LEAST_CAPABILITY))
        return f"{name} has compute capability {seen}, and the kernels need {least}"
    return ""


if __name__ == "__main__":
    print(why_no_gpu(torch.device(sys.argv[1])))
