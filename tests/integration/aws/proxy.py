"""A proxy in front of the emulated cloud that answers chosen calls with a failure instead."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>{code}</Code>'
    "<Message>made by the test</Message></Error></Errors><RequestID>test</RequestID></Response>"
)


@dataclass
class Fault:
    """The next `times` calls of an action fail so; `after` calls of it are let through first."""

    action: str
    code: str = "RequestLimitExceeded"
    status: int = 503
    times: int = 1
    after: int = 0


@dataclass
class FaultyCloud:
    """Where the proxy listens, which faults are to come, and what was called."""

    target: tuple[str, int]
    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, action: str, code: str = "RequestLimitExceeded", **options: int) -> None:
        """Let calls of an action fail."""
        self.faults.append(Fault(action=action, code=code, **options))

    def reset(self) -> None:
        self.faults.clear()
        self.calls.clear()

    def fault_of(self, action: str) -> Fault | None:
        """The fault that this call is to meet."""
        with self.lock:
            self.calls.append(action)
            for fault in self.faults:
                if fault.action == action:
                    if fault.after > 0:
                        fault.after -= 1
                        return None
                    if fault.times > 0:
                        fault.times -= 1
                        return fault
        return None


@contextmanager
def faulty_cloud(host: str, port: int) -> Iterator[FaultyCloud]:
    """Run the proxy in this process."""
    cloud = FaultyCloud(target=(host, port))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            action = parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
            fault = cloud.fault_of(action)
            if fault is not None:
                self.answer(fault.status, ERROR.format(code=fault.code).encode())
                return
            self.forward(body)

        def do_GET(self) -> None:
            self.forward(None)

        def forward(self, body: bytes | None) -> None:
            connection = http.client.HTTPConnection(*cloud.target, timeout=120)
            try:
                connection.request(self.command, self.path, body, dict(self.headers))
                response = connection.getresponse()
                self.answer(response.status, response.read(), dict(response.getheaders()))
            finally:
                connection.close()

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {"Content-Type": "text/xml"}).items():
                if name.lower() in ("content-type", "x-amzn-requestid"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    cloud.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
