"""The pipe to an emulated process, with this machine's own Python at its other end: what is told when things go wrong there."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.targets.aarch64.conversation import Conversation, describe_end, open_variant
from modelgpt_edge.targets.onnxruntime import ONE_OP_MODEL
from modelgpt_edge.targets.registry import find_target

INSIDE = [sys.executable, "-m", "modelgpt_edge.targets.aarch64.inside"]


def process(code: str) -> Conversation:
    return Conversation([sys.executable, "-c", code], os.environ, "a board")


def test_an_answer_comes_back():
    said = process("import sys; print('{\"heard\": ' + sys.stdin.readline().strip() + '}', flush=True)").ask({"n": 1}, 60)
    assert said == {"heard": {"n": 1}}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.abort()", "a board: the emulated process was ended by SIGABRT"),
        ("import sys; sys.exit(132)", "was ended by SIGILL"),
        ("raise RuntimeError('no such kernel')", "ended with code 1: RuntimeError: no such kernel"),
        ("print('{', end='')", "ended with code 0"),
    ],
)
def test_a_process_that_ends_is_told_with_its_last_words(code, words):
    with pytest.raises(TargetUnavailableError) as crashed:
        process(code).ask({}, 60)
    assert words in str(crashed.value)


def test_a_process_that_hangs_is_ended():
    talk = process("import time; time.sleep(600)")
    with pytest.raises(TargetUnavailableError, match=r"a board: no answer in 0\.2 seconds"):
        talk.ask({}, 0.2)
    assert talk._process.poll() is not None


def test_what_is_not_there_to_start_is_told():
    with pytest.raises(TargetUnavailableError, match="nowhere-qemu can't be started"):
        Conversation(["nowhere-qemu"], os.environ, "a board")


def test_the_process_ends_with_its_executor(tmp_path):
    (tmp_path / "model.onnx").write_bytes(ONE_OP_MODEL)
    executor = open_variant(INSIDE, os.environ, "here", "onnxruntime", lambda name: tmp_path / name, find_target("x86"))
    child = executor._process._process
    assert child.poll() is None
    del executor
    assert child.poll() == 0


def test_a_variant_runs_at_the_other_end_and_nothing_is_rounded(tmp_path):
    onnx = pytest.importorskip("onnx")
    numbers = onnx.helper.make_tensor_value_info("numbers", onnx.TensorProto.FLOAT, [None, 2])
    outputs = onnx.helper.make_tensor_value_info("value", onnx.TensorProto.FLOAT, [None, 2])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["numbers"], ["value"])], "g", [numbers], [outputs])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "model.onnx")
    executor = open_variant(INSIDE, os.environ, "here", "onnxruntime", lambda name: tmp_path / name, find_target("x86"))
    rows = np.array([[1 / 3, np.nan], [np.inf, 1e-42]], np.float32)
    for part in (rows, rows[:1], rows[::-1]):
        assert executor.run(part, np.zeros((len(part), 0), np.int32)).tobytes() == part.tobytes()


def test_a_damaged_file_is_the_backends_own_error_and_names_the_board(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(PackageError) as refused:
        open_variant(INSIDE, os.environ, "a board", "onnxruntime", lambda name: tmp_path / name, find_target("x86"))
    assert str(refused.value).startswith(f"a board: {tmp_path / 'model.onnx'}: ONNX Runtime can't load the model")


def test_a_refused_file_is_the_packages_own_error():
    error = PackageError("the package has no checksum for this file")

    def files(name):
        raise error

    with pytest.raises(PackageError) as refused:
        open_variant(INSIDE, os.environ, "a board", "onnxruntime", files, find_target("x86"))
    assert refused.value is error


def test_what_libraries_print_does_not_disturb_the_answers():
    """The process answers on a copy of its stdout: what else is written there goes to stderr."""
    code = """
import os
from modelgpt_edge.targets.aarch64 import inside

class Noisy:
    def __init__(self, questions, answers):
        self.answers = answers

    def serve(self):
        os.write(1, b"noise")
        self.answers.write("{}")
        self.answers.flush()

inside.Session = Noisy
inside.main()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ran.stdout, ran.stderr) == ("{}", "noise")


@pytest.mark.parametrize(("code", "words"), [(-11, "SIGSEGV"), (139, "SIGSEGV"), (3, "code 3"), (-500, "code -500")])
def test_an_end_has_a_name(code, words):
    assert words in describe_end(code)
