"""`pseudoword studio` as a program: its address, its mistakes, its login, its end."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

from studio.cli import main

CALL = "import sys; from studio.cli import main; sys.exit(main(sys.argv[1:]))"
ROOT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(folder: Path, *options: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", CALL, "studio", "--no-browser", *options],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip


def ask(port: int, path: str, method: str = "GET", body: str = "", **headers: str):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    connection.request(method, path, body or None, {**kind, **headers})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A studio with a login, in a folder of its own."""
    folder = tmp_path_factory.mktemp("served")
    for _ in range(5):  # another program may take the port that was free a moment ago
        port = free_port()
        process = start(
            folder, "--port", str(port), "--login", "beatrix", PSEUDOWORD_STUDIO_PASSWORD="mopsy"
        )
        if line := process.stdout.readline():  # type: ignore[union-attr]
            break
    assert line == f"The studio is at http://127.0.0.1:{port}/  (Ctrl-C ends it)\n"
    yield folder, port, process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_the_login_is_asked_for(served):
    folder, port, _ = served
    secret = folder / "outputs" / "x.txt"
    secret.write_text("what lies in outputs")
    for path in ("/config", f"/gradio_api/file={secret}", "/gradio_api/info", "/queue/join"):
        status, _, body = ask(port, path)
        assert status in (401, 404, 405)
        assert "what lies" not in body
    page = ask(port, "/")[2]
    assert '"auth_required":true' in page
    assert '"components":[]' in page
    assert '"named_endpoints":{}' in page
    for name, password in (("beatrix", "wrong"), ("", ""), ("mopsy", "beatrix")):
        form = urllib.parse.urlencode({"username": name, "password": password})
        assert ask(port, "/login", "POST", form)[0] in (400, 422)
    form = urllib.parse.urlencode({"username": "beatrix", "password": "mopsy"})
    status, headers, _ = ask(port, "/login", "POST", form)
    cookie = "; ".join(each.split(";")[0] for each in headers.get_all("Set-Cookie", []))
    assert status == 200
    assert '"components":[{' in ask(port, "/", Cookie=cookie)[2]
    assert ask(port, f"/gradio_api/file={secret}", Cookie=cookie)[2] == "what lies in outputs"


def test_the_server_has_no_torch(served):
    _, _, process = served
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    assert "libtorch" not in loaded
    assert "python" in loaded


def test_a_port_that_is_taken_and_outputs_in_use_are_said(served, tmp_path):
    folder, port, _ = served
    for where, options, sentence in (
        (tmp_path, ["--port", str(port)], f"error: port {port} is taken, perhaps by another"),
        (folder, ["--port", str(free_port())], "error: another studio works in"),
    ):
        process = start(where, *options)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 2
        assert said.strip().splitlines()[-1].startswith(sentence)
        assert "Traceback" not in said


def test_sigterm_ends_it_in_order(served):
    """The last test of the file: the one server is gone afterwards."""
    _, port, process = served
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "")
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--port", "0"], "--port 0 is no port"),
        (["--port", "x"], "invalid int value"),
        (["--pictures", "nowhere"], "--pictures nowhere is no folder"),
        (["--login", " "], "--login needs a name"),
        (["--login", "me"], "--login needs a password; set PSEUDOWORD_STUDIO_PASSWORD"),
        (["--password", "x"], "is not understood here"),
    ],
)
def test_mistakes_are_said_before_anything_is_started(
    tmp_path, monkeypatch, capsys, options, sentence
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PSEUDOWORD_STUDIO_PASSWORD", raising=False)
    monkeypatch.setattr(sys, "stdin", (tmp_path / "empty").open("w+"))
    try:
        code = main(["studio", "--no-browser", *options])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert re.search(re.escape(sentence), capsys.readouterr().err)
    assert not (tmp_path / "outputs").exists()


CONNECTS = """
import sys, urllib.request
from studio.web.offline import stay_on_this_machine
stay_on_this_machine()
for address in ("http://192.0.2.1/", "http://example.org/", "https://api.gradio.app/"):
    try:
        urllib.request.urlopen(address, timeout=5)
    except OSError as error:
        assert "does not ask" in str(error), error
    else:
        sys.exit(address)
assert "torch" not in sys.modules
"""


def test_the_sealed_process_asks_nobody(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CONNECTS], env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
