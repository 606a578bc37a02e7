"""What a run about keys starts: gateways on a store, and a way to a database that can be cut.

Everything listens on loopback, on ports of the kernel's choice, and is ended by its process id. Not
here: what is proved with it (`keys.py`).
"""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path

ADMIN_TOKEN = "load-run-admin-token-of-more-than-enough-length"
START_SECONDS_MAX = 60
ANSWER_SECONDS_MAX = 60
ACCOUNT = "acme"
LISTENS = b"listen colonnade"
BODY = "/bench/200"


class Program:
    """A child process with its log in a file."""

    def __init__(self, command, folder, name, stdout=subprocess.DEVNULL):
        self.log = Path(folder) / f"{name}.log"
        self.began = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=log,
                env={"COLONNADE_ADMIN_TOKEN": ADMIN_TOKEN})

    def said(self):
        """What it has said on standard error since it was started."""
        with open(self.log, "rb") as log:
            log.seek(self.began)
            return log.read().decode(errors="replace")

    def kill(self):
        """As a crash does: no handler runs."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
        self.child.wait()


class Gateway:
    """One node, which may be killed and started again on the same files."""

    #: A command that hands its process over to the gateway's.
    before = ()

    def __init__(self, binary, folder, store, upstream):
        self.binary, self.folder = str(binary), Path(folder)
        self.folder.mkdir()
        self.config = self.folder / "gateway.yaml"
        self.config.write_text(json.dumps(settings(store, upstream)))
        self.program = None

    def spawn(self):
        command = [*self.before, self.binary, "run", "--config", str(self.config)]
        self.program = Program(command, self.folder, "gateway")

    def start(self):
        """Returns when every address answers."""
        self.spawn()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not (ready := self._ready()):
            if self.program.child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the gateway did not start:\n{self.program.said()[-2000:]}")
            time.sleep(0.005)
        self.proxy, self.admin_address = address(ready["proxy"]), address(ready["admin"])
        self.telemetry = ready["telemetry"]

    def _ready(self):
        for line in self.program.said().splitlines():
            if '"ready"' in line:
                fields = json.loads(line)["fields"]
                if fields["message"] == "ready":
                    return fields
        return None

    def kill(self):
        if self.program:
            self.program.kill()

    def command(self, *arguments):
        """Another command on the same files, which must end well."""
        done = subprocess.run([self.binary, *arguments], capture_output=True, cwd=self.folder,
                              timeout=60, check=False, env={"COLONNADE_CONFIG": str(self.config)})
        if done.returncode:
            raise SystemExit(f"{arguments} ended with {done.returncode}: {done.stderr.decode()}")

    # ---- as an admin ----

    def admin(self, method, path, body=None, headers=None):
        """Status and body of one request to the admin API, on a connection of its own."""
        caller = Caller(self.admin_address)
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", **(headers or {})}
        payload = None if body is None else json.dumps(body).encode()
        if payload:
            headers["Content-Type"] = "application/json"
        try:
            status, _, text = caller.ask(method, f"/admin/v1{path}", headers, payload)
        finally:
            caller.close()
        return status, json.loads(text) if text else None

    def good(self, method, path, body=None):
        status, answer = self.admin(method, path, body)
        if not 200 <= status < 300:
            raise SystemExit(f"{method} {path} answers {status}: {answer}")
        return answer

    def fill(self):
        account = {"id": ACCOUNT, "name": "Acme Heating", "plan": "load", "live_max": 1000}
        self.good("POST", "/accounts", account)

    def create(self, name, **members):
        """Id and text of a new key."""
        body = {"name": name, "scopes": ["bench:read"], **members}
        answer = self.good("POST", f"/accounts/{ACCOUNT}/keys", body)
        return answer["id"], answer["key"]

    def revoke(self, key):
        return self.good("POST", f"/keys/{key}/revoke")

    # ---- as a customer ----

    def status(self, text, target="/api/key"):
        caller = Caller(self.proxy)
        try:
            return caller.ask("GET", target, bearer(text))[0]
        finally:
            caller.close()

    def await_status(self, text, status, seconds=30):
        deadline = time.monotonic() + seconds
        while (seen := self.status(text)) != status:
            if time.monotonic() > deadline:
                raise SystemExit(f"{seen} instead of {status} after {seconds} s")
            time.sleep(0.005)


def settings(store, upstream):
    return {
        "version": 1,
        "listeners": [{"address": "127.0.0.1:0"}],
        "admin": {"address": "127.0.0.1:0"},
        "telemetry": {"address": "127.0.0.1:0", "access_log": "off"},
        "store": store,
        "upstreams": {"bench": {"servers": [upstream]}},
        "plans": {"load": {"limits": {"minute": {"requests": 1_000_000, "window": "1m"}}}},
        "scopes": {"bench:read": "Bodies of any size"},
        "resources": {"bench": {"columns": "all"}},
        "routes": [{"match": "GET /bench/{bytes:int}", "upstream": "bench", "scope": "bench:read",
                    "resource": "bench", "rows": "data[]", "query": []}],
        "drain": {"delay": "0s", "grace": "1s"},
    }


@contextlib.contextmanager
def running(*programs):
    """Ends them, whatever happens; later ones first."""
    try:
        yield
    finally:
        for program in reversed(programs):
            program.kill()


@contextlib.contextmanager
def upstream(binary, folder):
    """The address of a stand-in service."""
    command = [str(binary), "--journal", "0"]
    command += [flag for name in ("calls", "coach", "leads") for flag in (f"--{name}", "127.0.0.1:0")]
    program = Program(command, folder, "upstream", stdout=subprocess.PIPE)
    with running(program):
        yield json.loads(program.child.stdout.readline())["calls"]


def metric(telemetry, name, **labels):
    """The sum of the samples that have these labels."""
    text = urllib.request.urlopen(f"http://{telemetry}/metrics", timeout=30).read().decode()
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = (line for line in text.splitlines() if re.match(rf"{name}[ {{]", line))
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines
               if all(label in line for label in wanted))


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


class Caller:
    """A kept connection."""

    def __init__(self, place):
        self.connection = http.client.HTTPConnection(*place, timeout=ANSWER_SECONDS_MAX)

    def ask(self, method, target, headers, body=None):
        self.connection.request(method, target, body=body, headers=headers)
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def close(self):
        self.connection.close()


class Load:
    """One key asked for without pause on several connections, until it is told to stop."""

    def __init__(self, gateway, text, connections):
        self.stop = threading.Event()
        self.statuses, self.rises, self.slowest, self.faults = Counter(), 0, 0.0, []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(gateway.proxy, text), daemon=True)
                        for _ in range(connections)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(ANSWER_SECONDS_MAX)

    def _run(self, place, text):
        caller, left = Caller(place), None
        statuses, rises, slowest = Counter(), 0, 0.0
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                status, headers, _ = caller.ask("GET", BODY, bearer(text))
            except (OSError, http.client.HTTPException) as error:
                status, headers = type(error).__name__, {}
                caller.close()
            slowest = max(slowest, time.monotonic() - began)
            statuses[status] += 1
            now = int(headers.get("x-ratelimit-remaining", -1))
            rises += left is not None and now > left
            left = now
        caller.close()
        with self.lock:
            self.statuses += statuses
            self.rises += rises
            self.slowest = max(self.slowest, slowest)

    def told(self):
        return {"requests": self.statuses.total(), "by_status": dict(self.statuses),
                "slowest_ms": round(self.slowest * 1e3, 1)}


class Database:
    """A database of the run's own on a PostgreSQL server; gone when the run ends."""

    def __init__(self, server):
        self.server = server
        self.name = f"colonnade_load_{os.getpid()}_{time.monotonic_ns()}"
        psql(server, f"create database {self.name}")

    def url(self, place):
        """By way of another address."""
        parts = urllib.parse.urlsplit(self.server)
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        return f"{parts.scheme}://{user}{place[0]}:{place[1]}/{self.name}"

    def address(self):
        parts = urllib.parse.urlsplit(self.server)
        return parts.hostname, parts.port or 5432

    def kill(self):
        psql(self.server, f"drop database if exists {self.name} with (force)")


def psql(server, statement):
    command = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-c", statement, server]
    subprocess.run(command, check=True, timeout=60)


class Relay:
    """What lies between a gateway and its database: it may be cut, or frozen.

    A *deaf* one lets everything through but what listens for notifications: that connection is
    never answered again, so that only polling tells of changes.
    """

    def __init__(self, server, deaf=False):
        self.server, self.deaf = server, deaf
        self.cut_off, self.passes = False, threading.Event()
        self.passes.set()
        self.lock, self.open = threading.Lock(), set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        with self.lock:
            self.cut_off = True
            streams, self.open = self.open, set()
        self.passes.set()
        for stream in streams:
            shut(stream)

    def freeze(self):
        self.passes.clear()

    def mend(self):
        self.cut_off = False
        self.passes.set()

    def kill(self):
        self.cut()
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                is_cut = self.cut_off
            if is_cut:
                client.close()
                continue
            try:
                server = socket.create_connection(self.server)
            except OSError:
                client.close()
                continue
            with self.lock:
                self.open |= {client, server}
            deafened = threading.Event()
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(*ends, deafened), daemon=True).start()

    def _carry(self, source, target, deafened):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self.passes.wait()
                if self.deaf and LISTENS in data:
                    deafened.set()
                if not deafened.is_set():
                    target.sendall(data)
        shut(source)
        shut(target)
        with self.lock:
            self.open -= {source, target}


def shut(stream):
    with contextlib.suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)
