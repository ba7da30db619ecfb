"""A proxy before a tracking server, whose faults a test switches on and off."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 60
_HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "keep-alive")


class Fault(Enum):
    """What is wrong with the server."""

    NONE = auto()
    ERROR = auto()
    """It answers 500, and does nothing."""
    LOST_ANSWER = auto()
    """It does what it is asked and answers 500."""
    HANG = auto()
    """It takes requests and answers none, before another fault is switched on."""
    DROP = auto()
    """It closes the connection."""
    DELAY = auto()
    """It takes `FaultyProxy.delay_seconds` for each answer."""
    REFUSE_TRIAL = auto()
    """It answers 400 to what holds `FaultyProxy.refused_text`."""


class FaultyProxy:
    """Passes requests on to a server, or does not."""

    def __init__(self, target: str) -> None:
        self.fault = Fault.NONE
        self.delay_seconds = 2.0
        self.refused_text = b""
        self.requests: list[tuple[float, str, int]] = []
        """The time, path and status of what was answered."""
        self.faults = 0
        """Requests that met a fault."""
        self._target = urlsplit(target).netloc
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                proxy.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """A client that gives up is what happens here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def answered(self) -> int:
        """How many requests were answered by the server, and the answer passed back."""
        return len(self.requests)

    def close(self) -> None:
        """Answer nothing more."""
        self.fault = Fault.DROP
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request, or do not."""
        length = int(request.headers.get("content-length") or 0)
        body = request.rfile.read(length) if length else b""
        fault = self.fault
        if fault is not Fault.NONE:
            self.faults += 1
        while self.fault is Fault.HANG:
            time.sleep(0.02)
        if fault is Fault.HANG or fault is Fault.DROP:
            request.close_connection = True
            return
        if fault is Fault.DELAY:
            time.sleep(self.delay_seconds)
        if fault is Fault.ERROR:
            _answer(request, 500, b"out of order")
            return
        if fault is Fault.REFUSE_TRIAL and self.refused_text in body:
            message = b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "not this one"}'
            _answer(request, 400, message)
            return
        status, headers, content = self._pass_on(request, body)
        if fault is Fault.LOST_ANSWER:
            _answer(request, 500, b"out of order")
            return
        self.requests.append((time.monotonic(), request.path, status))
        _answer(request, status, content, headers)

    def _pass_on(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self._target, timeout=_TIMEOUT_SECONDS)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        try:
            connection.request(request.command, request.path, body, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        except OSError:
            return 502, [], b"no server"
        finally:
            connection.close()


def _answer(
    request: BaseHTTPRequestHandler,
    status: int,
    content: bytes,
    headers: list[tuple[str, str]] | None = None,
) -> None:
    try:
        request.send_response(status)
        for name, value in headers or []:
            if name.lower() not in (*_HOP_BY_HOP, "server", "date"):
                request.send_header(name, value)
        request.send_header("content-length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
    except OSError:  # the client has given up
        request.close_connection = True


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """A proxy that is well at first."""
    proxy = FaultyProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
