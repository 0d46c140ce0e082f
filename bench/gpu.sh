#!/usr/bin/env bash
# All that a GPU is wanted for, in one command of at most ten minutes: tests of the kernels at full size and of a server's launches,
# the bench of the kernels and of models end to end, and a leg of training. Nothing is downloaded: torch, triton, numpy, safetensors,
# onnx, onnxruntime, click, pyarrow, threadpoolctl, scipy, scikit-learn, httpx, pytest and setuptools must be installed.
#
#     OUT=results bench/gpu.sh [MINUTES]       MINUTES of training, 2 where not given
#
# OUT gets the log of each step and what it measured, files of at most 16 MB. A training that lies in OUT/training goes on.
# A step that fails doesn't stop the others; the exit status is then 1.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${OUT:?set OUT to the folder for results}
minutes=${1:-2}
[[ $minutes =~ ^[12]$ ]] || { echo "MINUTES is $minutes: give 1 or 2, so that all of it ends in ten" >&2; exit 1; }
python=${PYTHON:-python3}
mkdir -p "$out"
failed=0

step() { # NAME SECONDS COMMAND...: run it with a limit, its output into OUT/NAME.log and the last lines here
  local name=$1 limit=$2 began=$SECONDS
  shift 2
  echo "== $name: $*"
  timeout --preserve-status --kill-after=4 "$limit" "$@" >"$out/$name.log" 2>&1
  local status=$?
  tail -n 5 "$out/$name.log"
  echo "== $name: exit $status after $((SECONDS - began)) s"
  [ $status -eq 0 ] || failed=1
}

step install 25 "$python" -m pip install --quiet --no-build-isolation --no-deps -e .
# The bench lists what kernels take of several GPUs: on other cores they are compiled meanwhile, into Triton's cache.
for kernel in emit merge gram; do
  timeout --kill-after=4 220 "$python" -m modelgpt_edge.kernels.ahead "$kernel" >"$out/ahead_$kernel.log" 2>&1 &
done
# Large launches choose the configurations before a test's small ones would.
step tune 55 "$python" -m modelgpt_edge.kernels.tune
# Those of adapters of texts are in tests/kernels/test_adapters.py.
step tests 165 "$python" -m pytest -q -m gpu tests/kernels tests/server/test_device.py
wait
step kernels 140 "$python" -m modelgpt_edge bench kernels --out "$out/kernels"
# Tables for the first minutes; the training draws more as it goes on.
step tables 40 "$python" -m modelgpt_edge train tabular --minutes 0 --tables-ahead 5000 --out "$out/training"
step training $((minutes * 60 + 30)) "$python" -m modelgpt_edge train tabular --minutes "$minutes" --out "$out/training" --json
# Shards are drawn again from their numbers; what is kept is the checkpoint, the generator and the log.
rm -rf "$out/training/shards"
exit $failed
