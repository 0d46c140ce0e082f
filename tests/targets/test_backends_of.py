"""Which backends a build uses: the target's order, those asked for alone, and a clear word for a name that isn't there."""

from __future__ import annotations

import pytest

from modelgpt_edge.errors import InputError, TargetUnavailableError
from modelgpt_edge.targets import backends
from modelgpt_edge.targets.backend import Availability
from modelgpt_edge.targets.backends import BACKENDS, backends_of, require_toolchain
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.registry import find_target


def test_unasked_a_build_uses_those_of_the_target_that_do_not_wait_to_be_asked() -> None:
    assert backends_of(find_target("x86"), ()) == ["native", "onnxruntime"]
    assert backends_of(find_target("jetson"), ()) == ["tensorrt", "onnxruntime"]
    for target in BUILTIN:
        found = backends_of(target, ())
        assert found == [b for b in target.backends if BACKENDS[b].by_default]
        assert found, "something is built for every target"


def test_those_asked_for_come_in_the_target_s_order_of_preference() -> None:
    x86 = find_target("x86")
    assert backends_of(x86, ("onnxruntime", "native")) == ["native", "onnxruntime"]
    assert backends_of(x86, ("tvm",)) == ["tvm"]
    assert backends_of(x86, ["tvm", "tvm"]) == ["tvm"]
    assert backends_of(x86, ("tensorrt", "native")) == ["native"], "another target may be meant by the other"


@pytest.mark.parametrize(
    ("name", "cure"),
    [("onxruntime", "'onnxruntime'"), ("tensorRT", "'tensorrt'"), ("tvn", "'tvm'"), ("qqqq", "Known: 'c', 'native'")],
)
def test_an_unknown_name_is_refused_with_the_nearest_whatever_stands_beside_it(name: str, cure: str) -> None:
    for wanted in ((name,), ("native", name), (name, "native")):
        with pytest.raises(InputError, match="there is no such backend") as refused:
            backends_of(find_target("x86"), wanted)
        assert refused.value.exit_code == 1
        assert refused.value.seen == name
        assert cure in refused.value.cure


def test_a_name_that_the_target_does_not_have_is_unavailable_and_told_with_those_that_it_has() -> None:
    with pytest.raises(TargetUnavailableError, match=r"x86 has no such backend.*seen: 'tensorrt'") as refused:
        backends_of(find_target("x86"), ("tensorrt",))
    assert refused.value.exit_code == 4
    assert refused.value.cure == "It has: native, onnxruntime, tvm."


@pytest.fixture
def nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any toolchain."""

    class Absent:
        by_default = True

        def probe(self) -> Availability:
            return Availability(False, "", "there is no such thing here", "Run: apt install it")

    monkeypatch.setattr(backends, "BACKENDS", dict.fromkeys(BACKENDS, Absent()))


@pytest.mark.usefixtures("nothing_here")
@pytest.mark.parametrize(
    ("target", "names"),
    [("cortex-m4", ("c",)), ("browser", ("onnxruntime-web",)), ("rtx", ("tensorrt-rtx", "onnxruntime")), ("x86", ("native",))],
)
def test_what_a_target_cannot_do_without_must_be_here(target: str, names: tuple[str, ...]) -> None:
    with pytest.raises(TargetUnavailableError, match="there is no such thing here") as missing:
        require_toolchain(find_target(target), names)
    assert missing.value.exit_code == 4
    assert missing.value.where == f"target {find_target(target).name}"
    assert missing.value.cure == "Run: apt install it"


@pytest.mark.usefixtures("nothing_here")
@pytest.mark.parametrize(
    ("target", "names"),
    [("x86", ("native", "onnxruntime")), ("rpi", ("native", "onnxruntime", "tvm")), ("jetson", ("tensorrt",))],
)
def test_where_there_is_another_way_or_the_board_builds_nothing_must_be_here(target: str, names: tuple[str, ...]) -> None:
    require_toolchain(find_target(target), names)


def test_what_is_here_is_enough() -> None:
    require_toolchain(find_target("x86"), ("onnxruntime",))
