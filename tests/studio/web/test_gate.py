"""What the page's server answers, and to whom: asked over HTTP, without the page."""

import http.client
import itertools
import json
import urllib.parse
from pathlib import Path

import pytest

from lab.errors import UserError
from studio.web import offline

SECRET = "what nobody else may read"
ROUTES = (
    "/gradio_api/file=", "/gradio_api/file/", "/file=", "/static/", "/assets/", "/svelte/",
    "/gradio_api/custom_component/1/client/component/",
)  # fmt: skip


@pytest.fixture(scope="module")
def secret(studio):
    """A file beside outputs/, with links to it from outputs/ and from a readable folder."""
    outside = studio.outputs.parent / "outside"
    outside.mkdir()
    secret = outside / "secret.txt"
    secret.write_text(SECRET)
    for folder in (studio.outputs, studio.readable):
        (folder / "link.txt").symlink_to(secret)
        (folder / "away").symlink_to(outside)
    return secret


def ask(studio, path, method="GET", body=None, **headers):
    """(status, headers, body) of a request whose path is sent as it is."""
    place = urllib.parse.urlsplit(studio.url).netloc
    connection = http.client.HTTPConnection(place, timeout=120)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host="Host" in named)
    if body is not None:
        named |= {"Content-Length": str(len(body))}
    for name, value in named.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    return answer.status, answer.headers, read


def ways_to(studio, secret: Path) -> list[str]:
    outputs, readable = studio.outputs, studio.readable
    return [
        str(secret), f"{outputs}/link.txt", f"{outputs}/away/secret.txt", f"{readable}/link.txt",
        f"{readable}/away/secret.txt", f"{outputs}/../outside/secret.txt",
        f"{outputs}/.studio/../../outside/secret.txt", f"{outputs}//../outside/secret.txt",
        f"file://{secret}", "/etc/passwd", "../../../../../../../../etc/passwd",
        "/proc/self/environ", str(secret).upper(), f"{secret}\x00.png", f"{outputs}\x00/../x",
        "http://127.0.0.1:1/x", "//etc/passwd", f"{outputs}/..\\outside\\secret.txt", "x" * 5000,
    ]  # fmt: skip


def test_no_file_outside_is_sent(studio, secret):
    (studio.outputs / "fine.txt").write_text("fine")
    quotes = (urllib.parse.quote, lambda text: urllib.parse.quote(text, safe=""))
    for path, quote, route in itertools.product(ways_to(studio, secret), quotes, ROUTES):
        status, _, body = ask(studio, route + quote(path))
        assert status >= 400, path
        assert SECRET.encode() not in body
        assert b"Traceback" not in body
    status, _, body = ask(studio, f"/gradio_api/file={studio.outputs}/fine.txt")
    assert (status, body) == (200, b"fine")


def test_a_file_that_is_opened_by_itself_reaches_nothing(studio):
    report = studio.outputs / "report.html"
    report.write_text("<script>fetch('/config')</script>")
    _, headers, _ = ask(studio, f"/gradio_api/file={report}")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_may_load_from_here_only(studio):
    _, headers, body = ask(studio, "/")
    sources = headers["Content-Security-Policy"]
    assert "default-src 'self'" in sources
    assert "http" not in sources
    assert "frame-ancestors 'self'" in sources
    assert b"googleapis" not in body


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example:7860"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Dest": "document"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_other_sites_are_refused(studio, headers, method):
    """Another page's script, or a name of its own that it lets point here (DNS rebinding)."""
    preflight = {"Access_Control_Request_Method": "POST"} if method == "OPTIONS" else {}
    path = "/gradio_api/upload" if method == "POST" else "/config"
    body = b"" if method == "POST" else None
    status, sent, _ = ask(studio, path, method, body, **headers, **preflight)
    assert status == 403
    assert sent["Access-Control-Allow-Origin"] is None


def test_localhost_is_this_machine_too(studio):
    port = urllib.parse.urlsplit(studio.url).port
    host = f"localhost:{port}"
    assert ask(studio, "/", Host=host, Origin=f"http://{host}")[0] == 200


def test_a_link_elsewhere_may_open_the_page(studio):
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "document"}
    assert ask(studio, "/?tab=runs", **link)[0] == 200
    assert ask(studio, "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="iframe")[0] == 403


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/file=http://example.org/x", "/gradio_api/file=HTTPS://example.org/x",
     "/gradio_api/proxy=http://example.org/x", "/gradio_api/proxy=https%3A//x.hf.space/x",
     "/gradio_api/vibe-code", "/gradio_api/file=http%3A%2F%2Fexample.org/x"],
)  # fmt: skip
def test_no_other_machine_is_asked(studio, path):
    assert ask(studio, path)[0] in (403, 404)


NAMES = ["../../evil.png", "/tmp/evil.png", "..\\..\\evil.png", "a\x00.png", ".." + "/x" * 50,
         "x" * 400 + ".png", ".studio", "C:\\evil.png", "\u202egnp.exe", "", "."]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:24])
def test_an_upload_stays_in_outputs(studio, name):
    around = studio.outputs.parent
    before = {path for path in around.rglob("*") if not path.is_relative_to(studio.outputs)}
    quoted = name.encode("unicode_escape").decode().replace('"', "")
    for form in (f'filename="{name}"', f"filename*=UTF-8''{urllib.parse.quote(quoted)}"):
        head = f'--b\r\nContent-Disposition: form-data; name="files"; {form}\r\n\r\n'
        body = head.encode() + b"evil\r\n--b--\r\n"
        kind = "multipart/form-data; boundary=b"
        status, _, answer = ask(studio, "/gradio_api/upload", "POST", body, Content_Type=kind)
        if status == 200:
            for path in json.loads(answer):
                assert Path(path).resolve().is_relative_to(studio.outputs / ".studio" / "files")
        assert b"Traceback" not in answer
    after = {path for path in around.rglob("*") if not path.is_relative_to(studio.outputs)}
    assert after == before


def payloads(count: int, secret: Path):
    """Values that no form would send, as many as a handler takes; each comes at each place."""
    file = {"meta": {"_type": "gradio.FileData"}, "orig_name": "x.png", "size": 3}
    elsewhere = {"path": "http://example.org/x", "url": f"file://{secret}"}
    values = [
        str(secret), file | {"path": str(secret)}, "../outside/secret.txt",
        [file | {"path": "/etc/passwd"}, file | elsewhere],
    ]  # fmt: skip
    for first in range(len(values)):
        yield list(itertools.islice(itertools.cycle(values), first, first + count))


@pytest.mark.slow
def test_no_handler_gives_the_secret_away(studio, secret, monkeypatch):
    """Every handler of every tab is called with payloads that its form cannot send."""

    def submit(experiment, what, *, front=False):
        studio.bench.places.check(experiment)
        raise UserError("nothing is run here")

    monkeypatch.setattr(studio.bench.queue, "submit", submit)
    around = studio.outputs.parent
    before = {path for path in around.rglob("*") if not path.is_relative_to(studio.outputs)}
    config = json.loads(ask(studio, "/config")[2])
    for k, dependency in enumerate(config["dependencies"]):
        session = f"fuzz{k}"
        wanted = 0
        for data in payloads(len(dependency["inputs"]), secret):
            body = {"data": data, "fn_index": dependency["id"], "session_hash": session}
            sent = json.dumps(body).encode()
            status, _, answer = ask(
                studio, "/gradio_api/queue/join", "POST", sent, Content_Type="application/json"
            )
            assert b"Traceback" not in answer
            wanted += status == 200
        if wanted:
            _, _, answer = ask(studio, f"/gradio_api/queue/data?session_hash={session}")
            assert SECRET.encode() not in answer
            assert b"root:x:" not in answer
            assert b"Traceback" not in answer
    after = {path for path in around.rglob("*") if not path.is_relative_to(studio.outputs)}
    assert after == before
    for path in (studio.outputs / ".studio").rglob("*"):
        assert path.is_dir() or SECRET not in path.read_text(errors="replace")


@pytest.mark.parametrize(
    ("event", "arguments", "refused"),
    [
        ("socket.connect", (None, ("127.0.0.1", 7860)), False),
        ("socket.connect", (None, ("::1", 7860, 0, 0)), False),
        ("socket.connect", (None, "/tmp/.X11-unix/X0"), False),
        ("socket.connect", (None, ("10.0.0.1", 80)), True),
        ("socket.connect", (None, ("2606:4700::1", 443, 0, 0)), True),
        ("socket.sendto", (None, ("8.8.8.8", 53)), True),
        ("socket.getaddrinfo", ("localhost", 80, 0, 0, 0), False),
        ("socket.getaddrinfo", (b"api.gradio.app", 443, 0, 0, 0), True),
        ("socket.getaddrinfo", ("127.0.0.1.evil.example", 443, 0, 0, 0), True),
        ("socket.gethostbyname", ("huggingface.co",), True),
        ("open", ("x", "r", 0), False),
    ],
)
def test_the_server_connects_to_itself_only(event, arguments, refused):
    if refused:
        with pytest.raises(PermissionError):
            offline.refuse(event, arguments)
    else:
        offline.refuse(event, arguments)
