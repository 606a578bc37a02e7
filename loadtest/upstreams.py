#!/usr/bin/env python3
"""Proofs about sick upstreams, measured: on real processes that are killed, frozen and started again.

Each prints one line of JSON with what it saw; `faults` must be empty, else the exit code is 1.
Python's standard library is all that they use. What they showed: docs/reliability.md.
"""

import contextlib
import hashlib
import http.client
import json
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter

sys.dont_write_bytecode = True  # the repository is no place for what Python caches

from fleet import Caller, Program, address, bearer, metric, running  # noqa: E402
from proofs import parser, run  # noqa: E402

KEY = "avoca_" + hashlib.sha256(b"upstreams").hexdigest()
#: The promises, in seconds.
FIRST_MAX, OPEN_MAX, BACK_MAX, PROBE_EVERY = 1.1, 0.005, 2.0, 1.0
#: How much more an upstream may get than it was asked for, and a healthy one be slowed by a sick one.
LOAD_MAX, SLOWER_MAX = 1.2, 1.2
FAILURES = 5
BODY = "/bench/200"


def main():
    options = arguments()
    run(options.name, lambda folder: options.proof(options, folder))


def arguments():
    whole, each = parser(__doc__, (
        ("dead", dead, "an upstream is killed and started again: refused at once, found soon"),
        ("frozen", frozen, "the same of one that is stopped, so that it accepts and says nothing"),
        ("isolation", isolation, "one upstream hangs and is full; another is as quick as ever"),
        ("retries", retries, "every second connection is reset: how often requests go up")))
    for its in each.values():
        its.add_argument("--rounds", type=int, default=5, help="how often (default: 5)")
    return whole.parse_args()


class Gateway:
    """One node on a directory file; `sick` and `well` are its upstreams."""

    def __init__(self, options, folder, sick, well=None, **members):
        digest = "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()
        scopes = ["sick:read", "sick:write", "well:read"]
        key = {"name": "Load", "display": "avoca_ab12…9f0c", "scopes": scopes, "digest": digest}
        account = {"name": "Acme", "plan": "load", "keys": {"load": key}}
        limits = {"minute": {"requests": 1_000_000, "window": "1m"}}
        route = lambda match, name, scope: {"match": match, "upstream": name, "scope": scope,
                                            "resource": "open", "rows": "$"}
        settings = {
            "version": 1, "listeners": [{"address": "127.0.0.1:0"}],
            "admin": {"address": "127.0.0.1:0"}, "store": {"file": "directory.yaml"},
            "telemetry": {"address": "127.0.0.1:0", "access_log": "off"},
            "upstreams": {"sick": {"servers": [sick], **members}, "well": {"servers": [well or sick]}},
            "plans": {"load": {"limits": limits}}, "scopes": {name: "Anything" for name in scopes},
            "resources": {"open": {"columns": "all", "visibility": "upstream"}},
            "routes": [route("GET|POST /bench/{bytes:int}", "sick", "sick"),
                       route("GET /healthz", "well", "well:read")],
            "drain": {"delay": "0s", "grace": "1s"},
        }
        (folder / "directory.yaml").write_text(json.dumps({"version": 1, "accounts": {"acme": account}}))
        (folder / "gateway.yaml").write_text(json.dumps(settings))
        self.command = [str(options.programs.resolve() / "colonnade"), "run", "--config",
                        str(folder / "gateway.yaml")]
        self.folder, self.program = folder, None

    def start(self):
        self.program = Program(self.command, self.folder, "gateway")
        deadline = time.monotonic() + 30
        while not (ready := self._ready()):
            if self.program.child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the gateway did not start:\n{self.program.said()[-2000:]}")
            time.sleep(0.01)
        self.proxy, self.telemetry = address(ready["proxy"]), ready["telemetry"]

    def _ready(self):
        lines = (line for line in self.program.said().splitlines() if '"ready"' in line)
        return next((json.loads(line)["fields"] for line in lines), None)

    def metric(self, name, **labels):
        return metric(self.telemetry, name, **labels)

    def kill(self):
        if self.program:
            self.program.kill()


class Service:
    """The stand-in upstream on a port of its own, which may be killed and come back."""

    def __init__(self, options, folder):
        self.options, self.folder, self.program = options, folder, None
        self.start()

    def start(self, port=0):
        others = ("--coach", "127.0.0.1:0", "--leads", "127.0.0.1:0")
        # A port that somebody took meanwhile is waited for.
        for _ in range(100):
            command = [str(self.options.programs.resolve() / "colonnade-upstream"), "--journal", "0",
                       "--calls", f"127.0.0.1:{port}", *others]
            self.program = Program(command, self.folder, "upstream", stdout=subprocess.PIPE)
            if line := self.program.child.stdout.readline():
                self.address = json.loads(line)["calls"]
                return
            time.sleep(0.05)
        raise SystemExit(f"the upstream did not start:\n{self.program.said()[-2000:]}")

    def start_again(self):
        self.start(address(self.address)[1])

    def kill(self):
        if self.program:
            self.program.kill()

    def freeze(self):
        self.program.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.program.child.send_signal(signal.SIGCONT)


class Asking:
    """Requests on a kept connection, each with its time."""

    def __init__(self, gateway):
        self.caller = Caller(gateway.proxy)

    def ask(self, target=BODY, method="GET", headers=None, body=None):
        began = time.perf_counter()
        try:
            headers = {**bearer(KEY), **(headers or {})}
            status, answered, _ = self.caller.ask(method, target, headers, body)
        except (OSError, http.client.HTTPException) as error:
            status, answered = type(error).__name__, {}
            self.caller.close()
        return status, time.perf_counter() - began, answered


def share(seconds, part):
    seconds = sorted(seconds)
    return seconds[min(len(seconds) - 1, int(part * len(seconds)))]


def ms(seconds):
    return round(seconds * 1e3, 2)


# ---- dead and frozen ----------------------------------------------------------------------------


def dead(options, folder):
    """Killed and started again."""
    return outages(options, folder, lambda service: service.kill(), Service.start_again, {})


def frozen(options, folder):
    """Stopped and continued: its kernel accepts, and nothing is answered."""
    members = {"timeouts": {"connect": "1s", "first_byte": "1s", "total": "5s"}}
    return outages(options, folder, Service.freeze, Service.thaw, members)


def outages(options, folder, leave, come_back, members):
    service = Service(options, folder)
    gateway = Gateway(options, folder, service.address, **members)
    faults, first, opened, probes, back = [], [], [], [], []
    chance = random.Random(1)
    with running(service, gateway):
        gateway.start()
        asking = Asking(gateway)
        for number in range(options.rounds):
            if (seen := asking.ask())[0] != 200:
                faults.append(f"outage {number} begins with {seen[0]}")
            leave(service)
            failed = [asking.ask() for _ in range(FAILURES)]
            first += [seconds for _, seconds, _ in failed]
            if any(status not in (502, 504) for status, *_ in failed):
                faults.append(f"outage {number} is noticed as {[status for status, *_ in failed]}")
            probes.append(refused_while_open(gateway, asking, opened, faults))
            # Not in step with the probes.
            time.sleep(chance.uniform(0, PROBE_EVERY))
            come_back(service)
            began = time.perf_counter()
            while asking.ask()[0] != 200 and time.perf_counter() < began + 30:
                time.sleep(0.005)
            back.append(time.perf_counter() - began)
    if max(first) > FIRST_MAX:
        faults.append(f"the first to notice waited {max(first):.3f} s")
    if share(opened, 0.99) > OPEN_MAX:
        faults.append(f"while open the 99th percentile is {share(opened, 0.99):.4f} s")
    if max(back) > BACK_MAX:
        faults.append(f"found again after {max(back):.3f} s")
    if any(not 0.5 <= rate * PROBE_EVERY <= 1.5 for rate in probes):
        faults.append(f"probes a second: {probes}")
    return {"outages": options.rounds, "first_ms": {"max": ms(max(first))},
            "open_ms": {"refused": len(opened), "p50": ms(share(opened, 0.5)),
                        "p99": ms(share(opened, 0.99)), "max": ms(max(opened))},
            "probes_per_second": probes, "found_again_ms": [ms(one) for one in back]}, faults


def refused_while_open(gateway, asking, opened, faults, seconds=4):
    """Asks for a while; what was refused at once, and how many probes a second went up meanwhile."""
    tried = lambda: gateway.metric("colonnade_upstream_failures_total", upstream="sick")
    before, began, seen = tried(), time.perf_counter(), Counter()
    while time.perf_counter() < began + seconds:
        status, waited, headers = asking.ask()
        seen[status] += 1
        if status == 503:
            opened.append(waited)
            if headers.get("retry-after") != "1":
                faults.append("a 503 without Retry-After")
        time.sleep(0.002)
    lasted = time.perf_counter() - began
    if set(seen) - {503, 502, 504}:
        faults.append(f"while open: {dict(seen)}")
    return round((tried() - before) / lasted, 2)


# ---- isolation ----------------------------------------------------------------------------------


def isolation(options, folder):
    """Turns of two seconds: nobody asks the sick one, and then 64 clients do while it hangs."""
    sick_folder = folder / "sick"
    sick_folder.mkdir()
    sick, well = Service(options, sick_folder), Service(options, folder)
    members = {"connections_max": 32, "timeouts": {"first_byte": "30s", "total": "60s"}}
    gateway = Gateway(options, folder, sick.address, well.address, **members)
    calm, hung, told, faults = [], [], Counter(), []
    with running(sick, well, gateway):
        gateway.start()
        for _ in range(options.rounds):
            calm.append(turn(gateway, faults))
            sick.freeze()
            with many(gateway, 64, told):
                time.sleep(0.3)
                hung.append(turn(gateway, faults))
                sick.thaw()
    # The same place of every turn: its middle one, so that another program's moment decides nothing.
    figures = {name: {label: share([share(turn, part) for turn in turns], 0.5)
                      for label, part in (("p50", 0.5), ("p99", 0.99))}
               for name, turns in (("calm", calm), ("hung", hung))}
    for label in ("p50", "p99"):
        if figures["hung"][label] > SLOWER_MAX * figures["calm"][label]:
            faults.append(f"{label} is slower: {figures}")
    return {"turns": options.rounds, "requests": sum(map(len, calm)) + sum(map(len, hung)),
            "milliseconds": {name: {label: ms(value) for label, value in one.items()}
                             for name, one in figures.items()},
            "answers_of_the_sick_one": {str(status): count for status, count in told.items()}}, faults


def turn(gateway, faults, seconds=2):
    asking, times, began = Asking(gateway), [], time.perf_counter()
    while time.perf_counter() < began + seconds:
        status, waited, _ = asking.ask("/healthz")
        times.append(waited)
        if status != 200:
            faults.append(f"the well one answers {status}")
        time.sleep(0.001)
    return times


@contextlib.contextmanager
def many(gateway, clients, told):
    """Clients of the sick upstream, each of which waits a moment after a refusal."""
    stop, lock = threading.Event(), threading.Lock()

    def run():
        asking = Asking(gateway)
        while not stop.is_set():
            status = asking.ask()[0]
            with lock:
                told[status] += 1
            stop.wait(0.5)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


# ---- retries ------------------------------------------------------------------------------------


class Resetting:
    """Answers one request a connection, and resets every second one when it has read its request."""

    def __init__(self):
        self.seen, self.lock, self.accepted = Counter(), threading.Lock(), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "%s:%d" % self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                stream, _ = self.listener.accept()
                self.accepted += 1
                threading.Thread(target=self._serve, args=(stream, self.accepted), daemon=True).start()

    def _serve(self, stream, number):
        with stream, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += stream.recv(65536)
            nonce = re.search(rb"(?i)x-request-id: (\S+)", head)[1].decode()
            with self.lock:
                self.seen[nonce] += 1
            if number % 2:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                           b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")

    def kill(self):
        self.listener.close()


def retries(options, folder):
    requests, told, faults = 200 * options.rounds, {}, []
    service = Resetting()
    gateway = Gateway(options, folder, service.address)
    with running(service, gateway):
        gateway.start()
        for method in ("GET", "POST"):
            asking, statuses = Asking(gateway), Counter()
            for number in range(requests):
                headers = {"X-Request-Id": f"{method}-{number}", "Content-Type": "application/json"}
                statuses[asking.ask(BODY, method, headers, b"{}" if method == "POST" else None)[0]] += 1
            seen = {nonce: times for nonce, times in service.seen.items() if nonce.startswith(method)}
            arrived, most = sum(seen.values()), max(seen.values())
            told[method] = {"requests": requests, "arrived": arrived, "load": round(arrived / requests, 3),
                            "one_at_most": most, "statuses": {str(s): n for s, n in statuses.items()}}
            if arrived > LOAD_MAX * requests:
                faults.append(f"{method}: {arrived} of {requests} arrived")
            if most > (2 if method == "GET" else 1):
                faults.append(f"{method}: one was sent {most} times")
    return told, faults


if __name__ == "__main__":
    main()
