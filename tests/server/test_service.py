"""The service behind the routes, with an emitter that answers when a test says: what is told when, and what health says."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from modelgpt_edge.server.app import create_app
from modelgpt_edge.server.archive import tar_of
from modelgpt_edge.server.errors import RequestError
from modelgpt_edge.server.jobs import Done, RefitJob, Refused, Result
from modelgpt_edge.server.launches import DeviceMemoryError
from modelgpt_edge.server.service import Service
from modelgpt_edge.server.settings import Settings

MEGABYTE = 1 << 20


class Emitter:
    """Hands out futures, which the test makes true, or a megabyte at once."""

    gathers, alive = False, 1

    def __init__(self, at_once: bool = False) -> None:
        self.at_once, self.futures = at_once, []

    def start(self) -> None: ...

    def close(self) -> None: ...

    def launch(self, jobs: Sequence[Any]) -> list[Future[Result]]:
        made = [Future() for _ in jobs]
        if not self.at_once:
            self.futures += made
            return made
        for future in made:
            future.set_result(Done(bytes(MEGABYTE), {"rows": 1}))
        return made


@asynccontextmanager
async def _service(emitter: Emitter, **limits: Any) -> AsyncIterator[Service]:
    service = Service(Settings(workers=1, wait=0, **limits), emitter)
    await service.start()
    try:
        yield service
    finally:
        await service.close()


JOBS = [RefitJob(Path("template"), Path(f"{n}.csv")) for n in range(4)]


def test_each_of_many_is_told_as_soon_as_it_is_there(eventually):
    async def run() -> None:
        emitter, told = Emitter(), {}
        async with _service(emitter) as service:
            many = asyncio.ensure_future(service.emit_many(JOBS, told.__setitem__))
            await eventually(lambda: len(emitter.futures) == 4)
            emitter.futures[2].set_result(Done(b"two", {}))
            await eventually(lambda: 2 in told)
            emitter.futures[0].set_result(Refused(422, {"error": "x"}))
            await eventually(lambda: 0 in told)
            assert set(told) == {0, 2}
            assert not many.done()
            for place in (1, 3):
                emitter.futures[place].set_result(Done(b"x", {}))
            await many
            assert set(told) == {0, 1, 2, 3}

    asyncio.run(run())


def test_the_templates_fault_ends_all_of_them(eventually):
    async def run() -> None:
        emitter = Emitter()
        async with _service(emitter) as service:
            many = asyncio.ensure_future(service.emit_many(JOBS, lambda place, result: None))
            await eventually(lambda: len(emitter.futures) == 4)
            fault = {"error": "the template is wrong", "where": "here", "seen": "", "cure": "Mend it.", "code": 1}
            emitter.futures[1].set_result(Refused(422, fault, shared=True))
            with pytest.raises(RequestError, match="the template is wrong") as refused:
                await many
            assert refused.value.status == 422
            await eventually(lambda: all(f.done() for f in emitter.futures))
            assert [f.cancelled() for f in emitter.futures] == [True, False, True, True]
            assert service.health()["accepted"] == 0

    asyncio.run(run())


def test_many_are_given_up_when_their_time_is_out(eventually):
    async def run() -> None:
        emitter = Emitter()
        async with _service(emitter, build_timeout=0.5) as service:
            with pytest.raises(RequestError, match="it takes too long") as refused:
                await service.emit_many(JOBS, lambda place, result: None)
            assert refused.value.status == 504
            await eventually(lambda: service.health()["accepted"] == 0)
            assert all(f.cancelled() for f in emitter.futures)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("error", "what", "cure"),
    [
        (MemoryError(), "the server ran out of memory", "--worker-memory"),
        (DeviceMemoryError(), "the server's device ran out of memory", "on a device with more memory"),
    ],
)
def test_whose_memory_was_too_short_is_told_with_a_cure_that_fits(error, what, cure, eventually):
    async def run() -> None:
        emitter = Emitter()
        async with _service(emitter) as service:
            asked = asyncio.ensure_future(service.emit(JOBS[0]))
            await eventually(lambda: len(emitter.futures) == 1)
            emitter.futures[0].set_exception(error)
            with pytest.raises(RequestError, match=what) as refused:
                await asked
            assert refused.value.status == 503
            assert cure in refused.value.cure
            assert ("--worker-memory" in refused.value.cure) is (type(error) is MemoryError)

    asyncio.run(run())


def test_health_is_down_when_nothing_is_launched_any_more(eventually):
    async def run() -> None:
        async with _service(Emitter()) as service:
            assert service.health()["status"] == "ok"
            service._running.cancel()
            await eventually(lambda: service._running.done())
            assert service.health()["status"] == "down"

    asyncio.run(run())


def test_the_weights_of_many_are_never_in_memory_together():
    """A megabyte for each of sixty-four users, through the whole application, to a client that keeps nothing."""
    body = tar_of((f"user{n}.csv", b"a\n1\n") for n in range(64))
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/refit",
        "query_string": b"template=kept",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/x-tar")],
    }

    async def run() -> tuple[int, int]:
        app, sent = create_app(Settings()), 0
        asked, over = iter([{"type": "http.request", "body": body}]), asyncio.Event()

        async def receive() -> dict[str, Any]:
            first = next(asked, None)
            if first is None:
                await over.wait()
            return first or {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                assert message["status"] == 200
            sent += len(message.get("body", b""))

        async with _service(Emitter(at_once=True), queue=8) as service:
            app.state.service = service
            service.packages.add("kept")
            tracemalloc.start()
            try:
                await app(scope, receive, send)
                return sent, tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    sent, peak = asyncio.run(run())
    assert sent > 64 * MEGABYTE
    assert peak < 16 * MEGABYTE
