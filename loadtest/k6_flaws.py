"""A relay in front of a gateway that does one thing wrong, for scripts that must notice.

Each flaw is a function of one answer. What it may change: status, headers, body, and whether the
connection breaks. Standard library alone; HTTP/1.1 with kept connections, a thread for each.
"""

import contextlib
import http.client
import http.server
import json
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

ENDS_HERE = ("connection", "transfer-encoding", "content-length", "keep-alive")


@dataclass
class Answer:
    status: int
    #: Names in lower case.
    headers: dict
    body: bytes
    path: str
    #: Bytes of the body that are sent before the connection breaks.
    breaks_at: int | None = None
    closes: bool = False
    #: What this connection remembers from answer to answer.
    kept: dict = field(default_factory=dict)

    def is_list(self):
        return self.status == 200 and b'"data":[' in self.body

    def change(self, edit):
        """Edits the body as JSON."""
        body = json.loads(self.body)
        edit(body)
        self.body = json.dumps(body, ensure_ascii=False).encode()


def breaks_off(answer):
    if answer.is_list():
        answer.breaks_at = len(answer.body) // 2


def half_a_body(answer):
    """Of the length that it says, and no JSON any more."""
    if answer.is_list():
        answer.body = answer.body[:len(answer.body) // 2]


def loses_a_row(answer):
    if answer.is_list():
        answer.change(lambda body: body["data"].pop())


def shows_a_column(answer):
    """Spelled with an escape, and two levels down."""
    if answer.is_list():
        answer.body = answer.body.replace(b'"pagination":{', b'"pagination":{"deep":[{"l\\u0061st_name":"x"}],', 1)


def shows_a_new_column(answer):
    """One that no list of hidden ones knows."""
    if answer.is_list():
        answer.change(lambda body: body["data"][0].update(new_tomorrow=1))


def shows_a_text(answer):
    """In a refusal, under a name that may be shown."""
    if answer.status >= 400:
        answer.change(lambda body: body.update(message="see https://recordings.example.com/1.wav"))


def counts_below_zero(answer):
    if "x-ratelimit-remaining" in answer.headers:
        answer.headers["x-ratelimit-remaining"] = "-1"


def says_no_retry_after(answer):
    answer.headers.pop("retry-after", None)


class SaysTooEarly:
    """Whoever was refused and waited is refused again."""

    def __init__(self):
        self.refusal, self.at = None, 0.0

    def __call__(self, answer):
        waited, self.at = time.monotonic() - self.at, time.monotonic()
        if answer.status == 429:
            self.refusal = (answer.body, dict(answer.headers))
        elif self.refusal and waited > 0.8:
            answer.status, (answer.body, answer.headers) = 429, self.refusal


class After:
    """Nothing is wrong with the first answers."""

    def __init__(self, answers, flaw):
        self.left, self.flaw = answers, flaw

    def __call__(self, answer):
        self.left -= 1
        if self.left < 0:
            self.flaw(answer)


class LetsMoreThrough:
    """Every hundredth refusal of the limit is an answer after all."""

    def __init__(self):
        self.good, self.turn = b"", 0

    def __call__(self, answer):
        if answer.is_list():
            self.good = answer.body
        elif answer.status == 429:
            self.turn += 1
            if self.turn % 100 == 0 and self.good:
                answer.status, answer.body = 200, self.good


class ForgetsNothing:
    """A key that got through once gets through for ever."""

    def __init__(self):
        self.good = {}

    def __call__(self, answer):
        remember(self.good, answer)


def remember(good, answer):
    if answer.is_list():
        good["answer"] = (answer.body, dict(answer.headers))
    elif answer.status == 401 and "answer" in good:
        answer.status, (answer.body, answer.headers) = 200, good["answer"]


def trusts_its_connections(answer):
    """A key is looked up once a connection: new ones are refused, old ones are not."""
    remember(answer.kept, answer)


def closes(answer):
    answer.closes = True


class TakesFromOthers:
    """While one key is over its limit, every tenth good answer of any becomes its 429."""

    def __init__(self):
        self.refusal, self.turn = None, 0

    def __call__(self, answer):
        if answer.status == 429:
            self.refusal = (answer.body, dict(answer.headers))
        elif answer.is_list() and self.refusal:
            self.turn += 1
            if self.turn % 10 == 0:
                answer.status, (answer.body, answer.headers) = 429, self.refusal


def does_not_say_revoked(answer):
    if answer.path.endswith("/revoke"):
        answer.status = 500


class GrowsAndGrows:
    """Resident memory as it tells it: 100 MiB more each time."""

    def __init__(self):
        self.bytes = 0

    def __call__(self, answer):
        if answer.path == "/metrics":
            self.bytes += 100 << 20
            answer.body = f"process_resident_memory_bytes {self.bytes}\n".encode()


@contextlib.contextmanager
def relay(target, flaw):
    """The address of a relay to `target` with that flaw."""
    address = urllib.parse.urlsplit(target)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two writes; the second would wait for the first one's acknowledgement.
        disable_nagle_algorithm = True

        def setup(self):
            super().setup()
            self.upward = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
            self.kept = {}

        def finish(self):
            self.upward.close()
            super().finish()

        def relayed(self):
            answer = self.asked()
            flaw(answer)
            sent = answer.body if answer.breaks_at is None else answer.body[:answer.breaks_at]
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            if answer.closes:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(sent)
            self.close_connection = answer.closes or answer.breaks_at is not None

        def asked(self):
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ENDS_HERE}
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.upward.request(self.command, self.path, body or None, headers)
            got = self.upward.getresponse()
            kept = {name.lower(): value for name, value in got.getheaders() if name.lower() not in ENDS_HERE}
            return Answer(got.status, kept, got.read(), self.path, kept=self.kept)

        do_GET = do_OPTIONS = do_POST = do_PATCH = relayed

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
