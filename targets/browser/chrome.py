"""Headless Chromium: found, started on one page with a profile of its own and no network but localhost, and ended whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.browser.server import FAILED, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
INSTALL = "sudo apt install chromium"
SECONDS = 120
FLAGS = (
    "--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
    "--disable-domain-reliability", "--disable-sync", "--disable-quic", "--metrics-recording-only", "--mute-audio",
    "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip


def find_chromium() -> str | None:
    """Path of the browser: the one that ``CHROMIUM`` names, or else Chromium or Chrome."""
    names = (os.environ.get("CHROMIUM", ""), *NAMES)
    return next((found for name in names if name and (found := shutil.which(name))), None)


def chromium_version(program: str) -> str:
    """``Chromium 156.0.8078.79``; OSError or SubprocessError where it doesn't start."""
    run = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=True)
    words = run.stdout.split()
    return " ".join(words[: next((i for i, w in enumerate(words) if w[:1].isdigit()), 0) + 1])


def visit(page: Page, seconds: float = SECONDS) -> bytes:
    """Open a page and wait for what it posts.

    Raises:
        TargetUnavailableError: there is no browser, it ended, the page told of an error, or nothing came in time.
    """
    program = find_chromium()
    if program is None:
        raise TargetUnavailableError("Chromium is not installed", where="browser", cure=f"Run: {INSTALL}")
    with _started(program, page.url) as (process, log):
        until = time.monotonic() + seconds
        while (answer := page.answer(0.2)) is None:
            if process.poll() is not None:
                what = f"Chromium ended with status {process.returncode}: {_tail(log)}"
                raise TargetUnavailableError(what, where=program, cure="Start it by hand to see why.")
            if time.monotonic() > until:
                what = f"the page didn't answer within {seconds:g} s: {_tail(log)}"
                raise TargetUnavailableError(what, where="browser", cure="Try again on a machine that is less busy.")
    kind, body = answer
    if kind == FAILED:
        what = f"the page failed: {body.decode('utf-8', 'replace')[:1000]}"
        raise TargetUnavailableError(what, where="browser", cure="Please report this message.")
    return body


@contextmanager
def _started(program: str, url: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    # Chromium writes into its profile while it ends.
    with tempfile.TemporaryDirectory(prefix="modelgpt-edge-chromium-", ignore_cleanup_errors=True) as profile:
        log = Path(profile) / "stderr.txt"
        # Its sandbox doesn't start for root; the page is our own and reaches nothing but this machine.
        root = ("--no-sandbox",) if os.geteuid() == 0 else ()
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [program, *FLAGS, *root, f"--user-data-dir={profile}", url],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, "TMPDIR": profile},
            )
        try:
            yield process, log
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _tail(log: Path) -> str:
    return " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-300:] or "it said nothing"
