"""The server asks no other machine for anything, whoever writes it a request or an address."""

import ipaddress
import os
import sys
from typing import Any

_HERE = frozenset({"localhost", "127.0.0.1", "::1", "", None})


def stay_on_this_machine() -> None:
    """From now on this process looks up no name and opens no connection but to itself.

    It cannot be undone. gradio fetches what an address in a request names, asks home for newer
    versions, and tells it of its use; the settings against it are set besides.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    for name in ("NO_PROXY", "no_proxy"):  # a proxy would be asked even for our own address
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1,localhost"]))
    sys.addaudithook(refuse)


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """The audit hook.

    Raises:
        PermissionError: for a connection to elsewhere.
    """
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else ""  # else a socket in the file system
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not _is_here(host):
        raise PermissionError(f"the studio's server does not ask {host}")


def _is_here(host: Any) -> bool:
    host = host.decode(errors="replace") if isinstance(host, bytes) else host
    if host in _HERE:
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False
