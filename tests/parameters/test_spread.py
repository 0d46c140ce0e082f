"""Work spread over threads comes back in order, errors reach the caller, and an interrupt at any moment ends it."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from modelgpt_edge.parameters.spread import spread


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_results_come_in_the_order_of_the_items(workers):
    gate = threading.Event()

    def late_first(item: int) -> int:
        if item == 0 and workers > 1:
            gate.wait(30)
        elif item == 4:
            gate.set()
        return item * item

    assert list(spread(late_first, range(20), workers)) == [i * i for i in range(20)]
    assert list(spread(late_first, [], workers)) == []


def test_several_threads_are_at_work():
    met = threading.Barrier(3, timeout=30)
    assert list(spread(lambda item: met.wait() >= 0, range(3), 3)) == [True] * 3


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_reaches_the_caller_in_its_turn_and_ends_the_work(workers):
    before = threading.active_count()

    def fails(item: int) -> int:
        return 1 // (3 - item)

    results = spread(fails, range(1_000), workers)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before


INTERRUPTED = """
import os, signal, threading, time
from modelgpt_edge.parameters.spread import spread

threading.Thread(target=lambda: (time.sleep({delay}), os.kill(os.getpid(), signal.SIGINT)), daemon=True).start()
try:
    for _ in spread(lambda item: sum(range(2_000)), range(300_000), 2):
        pass
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("delay", [0.2, 0.21, 0.23, 0.26, 0.3])
def test_an_interrupt_among_thousands_of_results_is_never_lost_in_a_lock(delay):
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(delay=delay)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "interrupted\n"), ran.stderr
