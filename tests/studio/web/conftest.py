"""A studio that is being served, and a real chromium in front of it."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

LEAVING = ("AbortError", "Connection errored out")
"""What gradio says of its open connections when a window is closed or loaded again."""


@dataclass(frozen=True)
class Studio:
    """A server over an empty folder of outputs, which lives as long as the test file."""

    url: str
    outputs: Path
    readable: Path
    """A folder that the page may read besides, empty at first."""
    bench: Any

    def paused(self) -> AbstractContextManager[None]:
        """See the fixture of this name."""
        return _paused(self.bench.queue)

    def wait_for_stop(self) -> None:
        """Until the newest piece of work was told to stop."""
        self.wait_until(lambda: self.bench.queue._tickets[-1].stopping)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Wait for what is not seen in the page."""
        ends = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < ends, "it did not come to that"
            time.sleep(0.002)


@contextmanager
def _paused(queue: Any) -> Iterator[None]:
    worker = queue._worker.pid
    os.kill(worker, signal.SIGSTOP)
    try:
        while psutil.Process(worker).status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


@pytest.fixture
def paused() -> Callable[[Any], AbstractContextManager[None]]:
    """The process that computes for a queue stands still meanwhile. What is pressed then is pressed
    in the middle of its work, however quick the machine is."""
    return _paused


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, warm: Any) -> Iterator[Studio]:
    from studio.web import app, process
    from studio.web.bench import Bench
    from studio.web.places import Places
    from studio.web.queue import Queue

    folder = tmp_path_factory.mktemp("studio")
    outputs, readable = folder / "outputs", folder / "pictures"
    outputs.mkdir()
    readable.mkdir()
    places = Places([readable], outputs)
    queue = Queue(outputs, places, warm=False)
    queue.start()
    bench = Bench(outputs, places, queue)
    served = _serve(app, bench)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(process, "get_context", lambda _: warm)
            yield Studio(app.address(served), outputs, readable, bench)
    finally:
        served.close(verbose=False)
        queue.close()


def _serve(app: Any, bench: Any, chances: int = 5) -> Any:
    """Another program may take the port that was free a moment ago."""
    try:
        return app.serve(bench, free_port())
    except OSError:
        if chances == 1:
            raise
        return _serve(app, bench, chances - 1)


@pytest.fixture
def page(browser: Any, studio: Studio) -> Iterator[Any]:
    """A window of 1280 px on nothing yet: `page.goto(studio.url)`. The test fails when the page
    asks another machine for anything, or has anything to complain of in its console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(120_000)  # a busy machine takes its time; nothing here measures it
    window = context.new_page()
    complaints: list[str] = []
    window.on("request", lambda request: _note_stranger(request.url, complaints))
    window.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    window.on("console", lambda said: _note_error(said, complaints))
    yield window
    context.close()
    assert complaints == []


def _note_stranger(url: str, complaints: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1:", "data:", "blob:", "about:")):
        complaints.append(f"asked for {url}")


def _note_error(said: Any, complaints: list[str]) -> None:
    if said.type == "error" and not any(text in said.text for text in LEAVING):
        complaints.append(said.text)
