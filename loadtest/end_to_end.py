#!/usr/bin/env python3
"""CPU time and memory of the gateway against a plain Pingora proxy and nginx, in one run.

Needs the release binaries and, for most of it, `nginx` and `wrk` on the PATH; what is missing is
named and left out. Python's standard library is all it uses. How to read the figures:
docs/benchmarking.md.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import math
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True  # the repository is no place for what Python caches

from stand import (  # noqa: E402
    ASSISTANTS, FALLBACK, LOAD_CORE, NGINX_FULL_JOB, SHOWN, Stand, key_text, wrk_script)

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarking.md"
BEGIN, END = "<!-- end-to-end:begin -->", "<!-- end-to-end:end -->"
SIZES = {"1 KB": 1_024, "10 KB": 10_240, "100 KB": 102_400, "1 MB": 1_048_576}
GIGABYTE = 1 << 30
QUIET = 0.1  # seconds of CPU time that others take in one, and nobody minds
CONNECTIONS = 64
BASELINE, GATEWAY = "plain Pingora proxy", "Colonnade, full job"
SLOW, GIGABYTE_BODY = "slow readers", "1 GB body"


def main():
    options = arguments()
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    if os.cpu_count() < 2:
        raise SystemExit("two cores are needed: one for the proxy, one for load and upstream")
    with tempfile.TemporaryDirectory(prefix="end-to-end-") as folder:
        stand = Stand(folder, options.programs, options.keys)
        for what in stand.skipped:
            print(f"skipped for want of {what}", file=sys.stderr)
        with stand.upstream():
            check_job(stand)
            parts = [header(options)]
            if stand.wrk:
                parts += cpu_tables(measure_cpu(stand, options))
            if not options.no_memory:
                parts += memory_tables(measure_memory(stand, options))
    text = "\n".join(parts)
    print(text)
    if options.write:
        write(text)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", default=ROOT / "target" / "release", metavar="FOLDER",
                        help="where the binaries are (default: target/release)")
    parser.add_argument("--seconds", type=int, default=6, help="of one measurement (default: 6)")
    parser.add_argument("--rounds", type=int, default=3, help="taking turns (default: 3)")
    parser.add_argument("--keys", type=int, default=10_000, help="in the directory (default: 10000)")
    parser.add_argument("--patience", type=int, default=0, metavar="SECONDS",
                        help="longest wait for a quiet machine before a measurement (default: 0)")
    parser.add_argument("--no-memory", action="store_true", help="CPU time only")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarking.md")
    return parser.parse_args()


def header(options):
    load = os.getloadavg()[0]
    return (f"{datetime.date.today()}, {os.cpu_count()} shared virtual cores, {options.keys} keys, "
            f"{CONNECTIONS} keep-alive connections, medians of {options.rounds} rounds of "
            f"{options.seconds} s; load average before the run {load:.1f}.\n")


def check_job(stand):
    """The gateway does the job that is measured; a filter that passed everything would be fast."""
    answers = {}
    for side in (GATEWAY, NGINX_FULL_JOB):
        if side in stand.sides:
            with stand.running(side) as proxy:
                answers[side] = [json.loads(one_answer(proxy, count), parse_int=float)
                                 for count in SIZES.values()]
    rows = answers[GATEWAY][1]["data"]
    names = {*ASSISTANTS.values(), FALLBACK}
    if not all(sorted(row) == sorted(SHOWN) and row["assistant_id"] in names for row in rows):
        raise SystemExit(f"the gateway does not do the job: {rows[:1]}")
    for side, others in answers.items():
        if not alike(answers[GATEWAY], others):
            raise SystemExit(f"{side} answers something else than the gateway")


def alike(one, other):
    """Equal as JSON. cjson writes numbers anew with 14 digits, so they are equal as far as that goes."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-13)
    return type(one) is type(other) and one == other


def one_answer(proxy, count):
    client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    client.request("GET", f"/bench/{count}", headers={"Authorization": f"Bearer {key_text(0)}"})
    answer = client.getresponse()
    body = answer.read()
    client.close()
    if answer.status != 200:
        raise SystemExit(f"{proxy.name} answers {answer.status}: {body[:200]}")
    return body


# ---- CPU time -----------------------------------------------------------------------------------


def measure_cpu(stand, options):
    """Per side and size the rounds' microseconds a request, and what else ran meanwhile.

    All proxies are up, and those of one size are measured one right after the other: the machine's
    speed changes from minute to minute, so only neighbours in time are compared.
    """
    found = {side: {size: [] for size in SIZES} for side in stand.sides}
    others = []
    with contextlib.ExitStack() as stack:
        proxies = {side: stack.enter_context(stand.running(side)) for side in stand.sides}
        for number in range(options.rounds):
            for size, count in SIZES.items():
                for side, proxy in proxies.items():
                    micros, noise = one_cpu(stand, proxy, count, options)
                    found[side][size].append(micros)
                    others.append(noise)
                    print(f"round {number + 1} {size} {side}: {micros:.1f} µs, others {noise:.0%}",
                          file=sys.stderr)
    return found, others


def one_cpu(stand, proxy, count, options):
    script = wrk_script(stand.folder, f"/bench/{count}", options.keys)
    wait_until_quiet(options.patience)
    load(stand, proxy, script, 1)
    started = proxy.cpu_seconds(), machine_seconds(), own_seconds(stand, proxy), time.monotonic()
    done = load(stand, proxy, script, options.seconds)
    ended = proxy.cpu_seconds(), machine_seconds(), own_seconds(stand, proxy), time.monotonic()
    spent, busy, own, took = (after - before for after, before in zip(ended, started))
    return spent / done["requests"] * 1e6, max(0.0, busy - own) / took


def wait_until_quiet(seconds):
    """Returns once others left the machine alone for a second, or when patience is at its end."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        before = machine_seconds()
        time.sleep(1)
        if machine_seconds() - before < QUIET:
            return


def own_seconds(stand, proxy):
    """CPU time of the proxy, the upstream, this program and the load it has waited for."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    mine = sum(usage.ru_utime + usage.ru_stime for usage in spent)
    return mine + proxy.cpu_seconds() + stand.service.cpu_seconds()


def machine_seconds():
    """CPU time that all processes took, and that the machine's other tenants took from it."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    idle, waiting = fields[3], fields[4]
    return (sum(fields[:8]) - idle - waiting) / os.sysconf("SC_CLK_TCK")


def load(stand, proxy, script, seconds):
    command = [stand.wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script),
               f"http://127.0.0.1:{proxy.port}"]
    pin = lambda: os.sched_setaffinity(0, {LOAD_CORE})
    run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30,
                         preexec_fn=pin, check=False)
    lines = run.stdout.splitlines()
    done = json.loads(lines[-1]) if run.returncode == 0 and lines else None
    if not done or not done["requests"] or done["bad"]:
        raise SystemExit(f"the load on {proxy.name} failed: {run.stdout}{run.stderr}")
    return done


def cpu_tables(measured):
    found, others = measured
    rows = [[side, *(f"{statistics.median(all_):.1f}" for all_ in sizes.values())]
            for side, sizes in found.items()]
    # The ratio of each round, then the median: a slow minute slows both.
    ratios = [[side, *(ratio(all_, found[BASELINE][size]) for size, all_ in sizes.items())]
              for side, sizes in found.items() if side != BASELINE]
    noise = (f"Other processes and tenants of the machine took {statistics.median(others):.0%} of one "
             f"core in the median measurement, {max(others):.0%} in the worst. In brackets: the lowest "
             "and the highest round.\n")
    return [table(["CPU µs per request", *SIZES], rows),
            table([f"× {BASELINE}", *SIZES], ratios), noise]


def ratio(rounds, base):
    by_round = [one / other for one, other in zip(rounds, base)]
    return f"{statistics.median(by_round):.2f} ({min(by_round):.2f}–{max(by_round):.2f})"


def table(head, rows):
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


# ---- memory -------------------------------------------------------------------------------------


def measure_memory(stand, options):
    """KiB of resident memory: idle, and how far it rose. Each figure from a fresh process."""
    loads = {}
    if stand.wrk:
        for size, count in SIZES.items():
            script = wrk_script(stand.folder, f"/bench/{count}", options.keys, f"memory-{count}")
            loads[size] = lambda proxy, script=script: load(stand, proxy, script, options.seconds)
    loads = {**loads, SLOW: read_slowly, GIGABYTE_BODY: read_gigabyte}
    found = {}
    for side in (BASELINE, GATEWAY, NGINX_FULL_JOB):
        if side in stand.sides:
            # It keeps the whole body, and tables several times as large: a gigabyte would end it.
            fit = [name for name in loads if (side, name) != (NGINX_FULL_JOB, GIGABYTE_BODY)]
            found[side] = {name: rise(stand, side, loads[name]) for name in fit}
    return found


def rise(stand, side, use):
    """Resident memory before `use`, after one request, and how much its peak was above."""
    with stand.running(side) as proxy:
        one_answer(proxy, SIZES["1 KB"])
        time.sleep(0.5)
        idle = proxy.memory_kib("VmRSS")
        proxy.forget_peak()
        use(proxy)
        return idle, proxy.memory_kib("VmHWM") - idle


def request_bytes(count):
    lines = [f"GET /bench/{count} HTTP/1.1", "Host: api.example.com",
             f"Authorization: Bearer {key_text(0)}", "", ""]
    return "\r\n".join(lines).encode()


def read_slowly(proxy):
    """64 clients that take 1 MB bodies at about 300 KB/s each, through small receive buffers."""
    clients = []
    for _ in range(CONNECTIONS):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
        client.connect(("127.0.0.1", proxy.port))
        client.sendall(request_bytes(SIZES["1 MB"]))
        client.setblocking(False)
        clients.append(client)
    seen = [b""] * CONNECTIONS
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        for place, client in enumerate(clients):
            try:
                seen[place] = seen[place] or client.recv(16 << 10)
                client.recv(16 << 10)
            except BlockingIOError:
                pass
        time.sleep(0.05)
    for client in clients:
        client.close()
    if not all(start.startswith(b"HTTP/1.1 200") for start in seen):
        raise SystemExit(f"{proxy.name} did not serve all slow readers")


def read_gigabyte(proxy):
    client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=120)
    headers = {"Authorization": f"Bearer {key_text(0)}"}
    client.request("GET", f"/bench/{GIGABYTE}", headers=headers)
    answer, buffer, count = client.getresponse(), bytearray(1 << 20), 0
    while read := answer.readinto(buffer):
        count += read
    client.close()
    if answer.status != 200 or count < GIGABYTE // 4:
        raise SystemExit(f"{proxy.name}: {answer.status}, {count} bytes of a gigabyte's answer")


def memory_tables(found):
    loads = list(found[BASELINE])
    rows = []
    for side, by_load in found.items():
        idle = statistics.median(idle for idle, _ in by_load.values())
        rose = (f"+{mib(by_load[name][1])}" if name in by_load else "–" for name in loads)
        rows.append([side, mib(idle), *rose])
    parts = [table(["resident MiB", "idle", *(f"peak, {name}" for name in loads)], rows)]
    for name in [size for size in ("1 MB", SLOW) if size in loads]:
        more = (found[GATEWAY][name][1] - found[BASELINE][name][1]) / CONNECTIONS
        parts.append(f"{name[0].upper()}{name[1:]}: {more:+.0f} KiB a connection against the plain proxy.")
    return [*parts, ""]


def mib(kib):
    return f"{kib / 1024:.1f}"


def write(text):
    page = PAGE.read_text()
    before, behind = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{behind}")


if __name__ == "__main__":
    main()
