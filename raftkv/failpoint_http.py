"""Failpoints over HTTP, as gofail serves them: on an address and a thread of its own, and only when asked for.

    GET  /            name=text of every place, switched on or not
    GET  /NAME        its text; 404 when it is off        PUT /NAME   switches it on with the body's text
    GET  /NAME/count  how often it acted                  DELETE /NAME  switches it off
    PUT  /failpoints  several at once, name=text, separated by semicolons or line ends

A thread, because a place that pauses or sleeps may hold the loop. Nobody is asked who they are: bind it to the loopback.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from raftkv import failpoints
from raftkv.errors import ConfigError

BODY_BYTES_MAX = 1 << 16


class FailpointServer:
    """Serves from `start` to `close`."""

    def __init__(self, address: str, effects: failpoints.Effects) -> None:
        """Binds `host:port`. Raises ConfigError, OSError."""
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ConfigError(f"failpoint address {address!r} is not host:port")
        self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), _handler(effects))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        """Begins to serve."""
        threading.Thread(target=self._server.serve_forever, name="failpoints", daemon=True).start()

    def close(self) -> None:
        """Serves no more."""
        self._server.shutdown()
        self._server.server_close()


def answer(method: str, path: str, body: str, effects: failpoints.Effects) -> tuple[int, str]:
    """Status and text of one request."""
    name, _, detail = path.strip("/").partition("/")
    if not name and method == "GET":
        return 200, "".join(f"{place}={_text(place)}\n" for place in failpoints.PLACES)
    try:
        if method == "PUT" and name == "failpoints":
            failpoints.switch_on_all(body.replace("\n", ";"), effects)
            return 204, ""
        if method == "PUT" and not detail:
            failpoints.switch_on(name, body.strip(), effects)
            return 204, ""
    except ConfigError as error:
        return 400, f"{error}\n"
    found = failpoints.FAILPOINTS.get(name)
    if method not in ("GET", "DELETE") or detail not in ("", "count") or (detail and method == "DELETE"):
        return 405, "GET, PUT or DELETE of /NAME, or GET of /NAME/count\n"
    if found is None:
        return 404, f"failpoint {name} is off\n"
    if method == "DELETE":
        failpoints.switch_off(name)
        return 204, ""
    return 200, f"{found.hits}" if detail else f"{found.text}\n"


def _text(place: str) -> str:
    found = failpoints.FAILPOINTS.get(place)
    return "" if found is None else found.text


def _handler(effects: failpoints.Effects) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            size = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
            status, text = answer(self.command, self.path, self.rfile.read(size).decode(errors="replace"), effects)
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_PUT = do_DELETE = do_POST = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Requests are not logged: what they do is."""

    return Handler
