"""`pseudoword studio`: the page in the browser, until Ctrl-C."""

import argparse
import contextlib
import getpass
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.errors import UserError
from studio.web.offline import stay_on_this_machine

PASSWORD = "PSEUDOWORD_STUDIO_PASSWORD"
ABOUT = "open the whole bench as a page in the browser"
_READABLE = ("datasets", "experiments")
_EPILOG = f"""\
The page is served to this machine alone (127.0.0.1), and asks nothing of any other machine. It
reads pictures and models in datasets/, experiments/, the folder of results and each --pictures
folder, and writes to the folder of results only. Work goes on when the page is closed; Ctrl-C here
ends it, and the next start goes on.

With --login NAME the page asks for a name and a password: that of the environment variable
{PASSWORD}, else one that is asked for here.
"""


def add_parser(commands: Any) -> None:
    """Add `studio` to the program's commands."""
    parser = commands.add_parser(
        "studio",
        help=ABOUT,
        description=ABOUT[0].upper() + ABOUT[1:] + ".",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=7860, help="(default: %(default)s)")
    parser.add_argument(
        "--outputs",
        metavar="DIR",
        default="outputs",
        help="the folder of results (default: %(default)s)",
    )
    parser.add_argument(
        "--pictures",
        metavar="DIR",
        action="append",
        default=[],
        help="another folder of pictures or models that the page may read; more than one may be "
        "given",
    )
    parser.add_argument("--login", metavar="NAME", help="ask for this name and a password")
    parser.add_argument(
        "--no-browser", action="store_true", help="say the address only, open nothing"
    )


def run(arguments: argparse.Namespace) -> None:
    """Serve the page until the program is told to end.

    Raises:
        UserError: a port that is taken, a folder that is not there, outputs in use, no password.
    """
    if not 0 < arguments.port < 65536:
        raise UserError(f"--port {arguments.port} is no port; use one from 1024 to 65535")
    for folder in arguments.pictures:
        if not Path(folder).is_dir():
            raise UserError(f"--pictures {folder} is no folder")
    login = _login(arguments.login)
    _require_free(arguments.port)
    from studio.web.bench import Bench
    from studio.web.places import Places
    from studio.web.queue import Queue

    outputs = Path(arguments.outputs).resolve()
    places = Places([Path(folder) for folder in (*_READABLE, *arguments.pictures)], outputs)
    queue = Queue(outputs, places)
    ended = threading.Event()
    with _telling(ended):
        queue.start()
        try:
            stay_on_this_machine()
            from studio.web import app  # and with it gradio, which takes seconds

            page = _serve(app, Bench(outputs, places, queue), arguments.port, login)
            print(f"The studio is at {app.address(page)}  (Ctrl-C ends it)", flush=True)
            if not arguments.no_browser:
                webbrowser.open(app.address(page))
            ended.wait()
            page.close(verbose=False)
        finally:
            if any(standing.status == "running" for standing in queue.all()):
                print("\nstopping the work; the next start goes on", file=sys.stderr, flush=True)
            queue.close()


def _serve(app: Any, bench: Any, port: int, login: tuple[str, str] | None) -> Any:
    try:
        return app.serve(bench, port, login)
    except OSError:
        _require_free(port)
        raise


def _require_free(port: int) -> None:
    """Make sure that we may listen on a port of this machine.

    Raises:
        UserError: when another program does, or the system keeps it for others.
    """
    with socket.socket() as asked:
        if sys.platform != "win32":
            asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind(("127.0.0.1", port))
        except PermissionError:
            raise UserError(f"port {port} is kept for the system; use 1024 or more") from None
        except OSError:
            raise UserError(
                f"port {port} is taken, perhaps by another studio; choose another with --port"
            ) from None


def _login(name: str | None) -> tuple[str, str] | None:
    if name is None:
        return None
    if not name.strip():
        raise UserError("--login needs a name")
    password = os.environ.get(PASSWORD, "")
    if not password:
        if not sys.stdin.isatty():
            raise UserError(f"--login needs a password; set {PASSWORD}")
        password = getpass.getpass(f"password for {name}: ")
    if not password:
        raise UserError("a password cannot be empty")
    return name, password


@contextlib.contextmanager
def _telling(ended: threading.Event) -> Iterator[None]:
    """Inside, SIGTERM and Ctrl-C set `ended`, and so end the program in order."""
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
