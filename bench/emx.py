"""emx-onnx-cgen as a peer: an ONNX file to C by another generator, wrapped so that our firmware runs it.

It needs another numpy than ours, so it lives in an environment of its own, made on first use in the user's cache.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np

VERSION = "1.4.0"
NAME = "emx_model"
_HEADER = """#include <stdint.h>
#define MODEL_INPUTS {inputs}
#define MODEL_OUTPUTS {outputs}
#define MODEL_SCRATCH_BYTES 0
typedef struct {{ int32_t unused; }} model_scratch;
int32_t model_run(const float *input, float *outputs, model_scratch *scratch);
"""
_WRAPPER = """
int32_t model_run(const float *input, float *outputs, model_scratch *scratch) {{
    (void)scratch;
    {name}((const float (*){inner_in})input, (float (*){inner_out})outputs);
    return 0;
}}

#ifdef __arm__
void *memcpy(void *to, const void *from, __SIZE_TYPE__ bytes) {{
    uint32_t *words = to;
    const uint32_t *source = from;
    for (; bytes >= 4; bytes -= 4) *words++ = *source++;
    return to; /* all its arrays are of float */
}}
#endif
"""


def tool() -> Path:
    """The generator's command, installed if it isn't yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelgpt-edge"
    place = cache / f"emx-onnx-cgen-{VERSION}"
    command, done = place / "bin" / "emx-onnx-cgen", place / "installed"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"emx-onnx-cgen-{VERSION}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes would install over each other
        if not done.is_file():
            venv.create(place, with_pip=True, clear=True)
            install = [place / "bin" / "python", "-m", "pip", "install", "--quiet", f"emx-onnx-cgen=={VERSION}"]
            subprocess.run(install, check=True, stdout=sys.stderr)
            done.touch()
    return command


def emit(model: bytes, before: tuple[int, ...], after: tuple[int, ...]) -> dict[str, bytes]:
    """``model.c`` and ``model.h`` of an ONNX model of one input and output, of these shapes, N = 1 in front."""
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / "model.onnx", Path(name) / "model.c"
        source.write_bytes(model)
        # All constants in the code, all buffers on the stack: no files, no heap.
        options = ["--model-name", NAME, "--large-weight-threshold", "0", "--large-temp-threshold", "0"]
        subprocess.run([tool(), "compile", source, out, *options], check=True, capture_output=True)
        code = out.read_text(encoding="utf-8")
    inner_in, inner_out = ("".join(f"[{d}]" for d in shape[1:]) for shape in (before, after))
    wrapper = _WRAPPER.format(name=NAME, inner_in=inner_in, inner_out=inner_out)
    header = _HEADER.format(inputs=int(np.prod(before)), outputs=int(np.prod(after)))
    return {"model.c": ('#include "model.h"\n' + code + wrapper).encode(), "model.h": header.encode()}
