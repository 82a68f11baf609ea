"""What stands before the page: who may ask, what may not be asked, what an answer may do."""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HERE = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")
_PAGE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' "
    "data:; connect-src 'self'; worker-src 'self' blob:; frame-src 'self'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
_FILE = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src "
    "'unsafe-inline'; img-src data:; media-src data:; font-src data:"
)
"""A file that is opened by itself, such as a report, is a page of nobody: its scripts run, and
reach nothing."""


class Gate:
    """ASGI middleware around gradio's application."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # the page opens none
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = _refusal(scope)
        if refusal:
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)
            return
        is_file = scope["path"].startswith("/gradio_api/file")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _FILE if is_file else _PAGE
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
            await send(message)

        await self.app(scope, receive, answer)


def _refusal(scope: Scope) -> str:
    """Why a request is not answered: another site's page asks, or it asks for another machine."""
    headers = Headers(scope=scope)
    if not _HERE.fullmatch(headers.get("host", "")):
        return "This studio answers to 127.0.0.1 only."
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{headers['host']}":
        return "This studio answers to its own page only."
    follows_link = scope["path"] == "/" and headers.get("sec-fetch-dest") == "document"
    if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not follows_link:
        return "This studio answers to its own page only."
    asked = scope["path"]
    if re.match(r"/gradio_api/(file=\w+:|proxy=|vibe|process_recording)", asked):
        return "This studio asks no other machine."
    return ""
