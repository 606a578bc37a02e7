#!/usr/bin/env python3
"""Proofs about too much: wrong keys, twice the load, ten thousand connections, measured on a real process.

Each prints one line of JSON with what it saw; `faults` must be empty, else the exit code is 1. The
gateway has core 0, load and upstream core 1. Needs `wrk`, but for `idle`. What they showed:
docs/reliability.md.
"""

import contextlib
import http.client
import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True  # the repository is no place for what Python caches

from proofs import parser, run  # noqa: E402
from stand import (  # noqa: E402
    LOAD_CORE, PROXY_CORE, START_SECONDS_MAX, accepts, directory, free_port, gateway_settings,
    key_text)

TARGET = "/bench/1000"
IDLE_CONNECTIONS = 10_000
IDLE_KIB_MAX = 20.0
GUESSES_WANTED = 50_000
P99_RISE_MAX = 1.5
GOODPUT_MIN = 0.8
GROWTH_KIB_MAX = 32 << 10
SEATS = 32
GUESSERS = 64


def main():
    options = arguments()
    run(options.name, lambda folder: options.proof(options, folder))


def arguments():
    whole, each = parser(__doc__, (
        ("guesses", guesses, "a right key while wrong ones come as fast as they go"),
        ("twice", twice, "twice as many requests at once as there may be"),
        ("idle", idle, "what an idle connection takes")))
    for its in each.values():
        its.add_argument("--seconds", type=int, default=30, help="of load (default: 30)")
    return whole.parse_args()


class Gateway:
    """The gateway and the stand-in upstream behind it, ended with the block."""

    def __init__(self, options, folder, bounds):
        self.folder, self.programs = folder, options.programs.resolve()
        self.port, self.children = free_port(), []
        flags = [flag for name in ("calls", "coach", "leads")
                 for flag in (f"--{name}", f"127.0.0.1:{free_port()}")]
        upstream = flags[1]
        settings = gateway_settings(self.port, upstream, "off")
        settings["bounds"] = bounds
        (folder / "gateway.yaml").write_text(json.dumps(settings))
        (folder / "directory.yaml").write_text(json.dumps(directory(10)))
        self._start([self.programs / "colonnade-upstream", "--journal", "0", *flags], LOAD_CORE,
                    upstream)
        self._start([self.programs / "colonnade", "run", "--config", "gateway.yaml"], PROXY_CORE,
                    f"127.0.0.1:{self.port}")
        self.pid = self.children[-1].pid

    def _start(self, command, core, address):
        with open(self.folder / f"{Path(command[0]).name}.log", "wb") as log:
            self.children.append(subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                preexec_fn=lambda: os.sched_setaffinity(0, {core})))
        port, deadline = int(address.rsplit(":", 1)[1]), time.monotonic() + START_SECONDS_MAX
        while not accepts(port):
            if time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} does not answer")
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children:
            child.kill()
            child.wait()

    def kib(self, line="VmRSS"):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{line}:\s+(\d+)", status)[1])

    def cpu_seconds(self):
        ticks = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def wrk(self, script, connections, seconds):
        """What `wrk` counted."""
        path = self.folder / "load.lua"
        path.write_text(script)
        told = subprocess.run(
            ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
             "--latency", "--timeout", "10s", "-s", path, f"http://127.0.0.1:{self.port}{TARGET}"],
            capture_output=True, text=True, check=True).stdout
        requests, spent = re.search(r"(\d+) requests in ([\d.]+)s", told).groups()
        other = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
        errors = re.search(r"Socket errors: (.*)", told)
        counted = re.search(r"counted (\{.*\})", told)
        return {"requests": int(requests), "seconds": float(spent),
                "other": int(other[1]) if other else 0, "errors": errors[1] if errors else None,
                **(json.loads(counted[1]) if counted else {})}


class Caller(threading.Thread):
    """Asks with the right key on one connection, with a pause between, and notes how long it took."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.spent, self.wrong, self.over = port, [], [], threading.Event()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {key_text(0)}"}
        while not self.over.is_set():
            began = time.perf_counter()
            connection.request("GET", TARGET, headers=headers)
            answer = connection.getresponse()
            answer.read()
            self.spent.append(time.perf_counter() - began)
            if answer.status != 200:
                self.wrong.append(answer.status)
            time.sleep(0.002)

    def ms(self, share):
        return round(sorted(self.spent)[int(len(self.spent) * share)] * 1e3, 2)


@contextlib.contextmanager
def calling(port):
    caller = Caller(port)
    caller.start()
    yield caller
    caller.over.set()
    caller.join()


GUESSING = """
local n = 0
function request()
  n = n + 1
  return wrk.format("GET", nil, {["Authorization"] = string.format("Bearer avoca_%064d", n)})
end
"""


def guesses(options, folder):
    """Quiet, the same with good requests as load, the same with wrong keys: what the right key notices."""
    faults = []
    with Gateway(options, folder, {}) as gateway:
        with calling(gateway.port) as quiet:
            time.sleep(options.seconds / 3)
        before = gateway.kib()
        with calling(gateway.port) as attacked:
            load = gateway.wrk(GUESSING, GUESSERS, options.seconds)
        growth = gateway.kib("VmHWM") - before
        rate = round(load["requests"] / load["seconds"])
        if attacked.wrong:
            faults.append(f"the right key got {sorted(set(attacked.wrong))}")
        if load["other"] != load["requests"]:
            faults.append("a wrong key was let in")
        if rate < GUESSES_WANTED:
            faults.append(f"only {rate} wrong keys a second came through, not {GUESSES_WANTED}")
        rise = attacked.ms(0.99) / quiet.ms(0.99)
        if rise > P99_RISE_MAX:
            faults.append(f"the 99th percentile of the right key rose by a factor of {rise:.1f}")
        if growth > GROWTH_KIB_MAX:
            faults.append(f"memory grew by {growth} KiB")
        return {"guesses_a_second": rate, "right_requests": len(attacked.spent),
                "quiet_ms": [quiet.ms(0.5), quiet.ms(0.99)],
                "attacked_ms": [attacked.ms(0.5), attacked.ms(0.99)], "growth_kib": growth}, faults


# Tells admitted answers from shed ones, and has who was shed wait, as `Retry-After` says.
PATIENT = """
local good, shed, pause = 0, 0, 0
wrk.headers["Authorization"] = "Bearer %s"
function delay() return pause end
function response(status) pause = 0
  if status == 200 then good = good + 1 elseif status == 503 then shed, pause = shed + 1, 20 end
end
local threads = {}
function setup(thread) table.insert(threads, thread) end
function done()
  for _, thread in ipairs(threads) do
    print(string.format('counted {"good": %%d, "shed": %%d}', thread:get("good"), thread:get("shed")))
  end
end
""".replace("local good, shed, pause", "good, shed, pause")


def twice(options, folder):
    """As many as there are seats, then twice as many: the good answers of both."""
    faults = []
    with Gateway(options, folder, {"requests_in_flight": SEATS}) as gateway:
        script = PATIENT % key_text(0)
        gateway.wrk(script, SEATS, 2)
        runs, growth = {}, gateway.kib()
        for name, connections in (("seats", SEATS), ("twice", 2 * SEATS)):
            cpu = gateway.cpu_seconds()
            run = gateway.wrk(script, connections, options.seconds)
            runs[name] = {"good_a_second": round(run["good"] / run["seconds"]),
                          "shed_a_second": round(run["shed"] / run["seconds"]),
                          "cpu_share": round((gateway.cpu_seconds() - cpu) / run["seconds"], 2)}
            if run["good"] + run["shed"] < run["requests"] or run["errors"]:
                faults.append(f"{name}: {run}")
        growth = gateway.kib("VmHWM") - growth
        kept = runs["twice"]["good_a_second"] / runs["seats"]["good_a_second"]
        if kept < GOODPUT_MIN:
            faults.append(f"only {kept:.0%} of the good answers are left")
        if growth > GROWTH_KIB_MAX:
            faults.append(f"memory grew by {growth} KiB")
        return {**runs, "kept": round(kept, 2), "growth_kib": growth}, faults


def idle(options, folder):
    """Memory of connections that were opened, and of the same after a request each."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    count = min(IDLE_CONNECTIONS, (limit - 500))
    bounds = {"connections": 2 * count, "connections_per_address": 2 * count}
    with Gateway(options, folder, bounds) as gateway:
        with calling(gateway.port):
            time.sleep(1)
        empty = gateway.kib()
        sockets = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(count)]
        time.sleep(2)
        silent = (gateway.kib() - empty) / count
        request = (f"GET {TARGET} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key_text(0)}\r\n\r\n"
                   ).encode()
        good = 0
        for one in sockets:
            one.sendall(request)
            good += one.recv(64 << 10).startswith(b"HTTP/1.1 200")
        time.sleep(2)
        kept = (gateway.kib() - empty) / count
        cpu = gateway.cpu_seconds()
        time.sleep(5)
        share = (gateway.cpu_seconds() - cpu) / 5
        faults = [] if good == count else [f"only {good} of {count} were served"]
        if max(silent, kept) > IDLE_KIB_MAX:
            faults.append(f"more than {IDLE_KIB_MAX} KiB a connection")
        return {"connections": count, "silent_kib": round(silent, 1), "kept_kib": round(kept, 1),
                "cpu_share_idle": round(share, 3)}, faults


if __name__ == "__main__":
    main()
