#!/usr/bin/env python3
"""Runs oha against a demo that it starts, and judges what came: not only how fast it was.

    loadtest/oha.py [--programs FOLDER] [--requests 2000] [--connections 32] [--write]

oha counts statuses and bytes and does not look into bodies, so what it can tell is: every answer has
the status it must have, no answer was cut (all have the length of one that was looked into here, row
by row), a limit admits exactly what it says, and a revoked key gets nothing. Bodies are the part of
loadtest/k6. Needs oha 1.x on the PATH, or at $OHA.
"""

import argparse
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True  # the repository is no place for what Python caches

from demo import demo, load_average, machine, targets, upstream  # noqa: E402

HERE = Path(__file__).resolve().parent
RUN_SECONDS_MAX = 120
LIMIT, WINDOW_SECONDS = 100, 3600
NO_LIMIT = 1_000_000


def main():
    options = arguments()
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    before = load_average()
    with upstream(options.programs) as addresses:
        page = targets(addresses)["targets"][1]
    with demo(options.programs) as gateway:
        runs = [run(options, gateway, page) for run in (whole_answers, limit_admits, revoked_gets_nothing)]
    faults = [fault for told in runs for fault in told["faults"]]
    for told in runs:
        print(f"{'FAILED' if told['faults'] else 'passed'}  {told['run']}: {json.dumps(told['statuses'])}, "
              f"{told['requests_per_second']} a second, p50 {told['p50_ms']} ms, p99 {told['p99_ms']} ms")
    for fault in faults:
        print(f"  {fault}")
    if options.write:
        write(options, runs, before)
    sys.exit(1 if faults else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=Path, default=HERE.parent / "target" / "release", metavar="FOLDER",
                        help="where the binaries are (default: target/release)")
    parser.add_argument("--requests", type=int, default=2000, help="of each run (default: 2000)")
    parser.add_argument("--connections", type=int, default=32, help="at a time (default: 32)")
    parser.add_argument("--write", action="store_true", help="put the figures into loadtest/results")
    return parser.parse_args()


def whole_answers(options, gateway, page):
    key, key_id = gateway.make_key("oha, whole answers", NO_LIMIT, "1m")
    body, _ = ask(gateway.proxy + page["path"], key)
    rows = json.loads(body)["data"]
    told = oha(options, gateway.proxy + page["path"], key)
    gateway.revoke(key_id)
    if len(rows) != page["count"] or any(set(row) - set(page["shown"]) for row in rows):
        told["faults"].append(f"{len(rows)} rows where there are {page['count']}, or columns that do not show")
    expect(told, {"200": options.requests})
    if told["bytes"] != options.requests * len(body):
        told["faults"].append(f"{told['bytes']} bytes where {options.requests} times {len(body)} were to come")
    return {"run": "whole answers", **told}


def limit_admits(options, gateway, page):
    key, key_id = gateway.make_key("oha, limit", LIMIT, f"{WINDOW_SECONDS}s")
    _, began = ask(gateway.proxy + page["path"], key)
    told = oha(options, gateway.proxy + page["path"], key)
    _, ended = ask(gateway.proxy + page["path"], key)
    gateway.revoke(key_id)
    # Windows of an hour: a second one only where the hour of this key is over just now.
    windows = 1 + round((ended - began) / WINDOW_SECONDS)
    admitted = windows * LIMIT - 1  # the one that asked before
    expect(told, {"200": admitted, "429": options.requests - admitted})
    return {"run": "limit", **told}


def revoked_gets_nothing(options, gateway, page):
    key, key_id = gateway.make_key("oha, revoked", NO_LIMIT, "1m")
    ask(gateway.proxy + page["path"], key)
    gateway.revoke(key_id)
    told = oha(options, gateway.proxy + page["path"], key)
    expect(told, {"401": options.requests})
    return {"run": "revoked", **told}


def ask(url, key):
    """Body of one answer, and the end of the key's window; a 429 has both too."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.read(), int(answer.headers["X-RateLimit-Reset"])


def program():
    return os.environ.get("OHA") or shutil.which("oha")


def oha(options, url, key):
    found = program()
    if not found:
        raise SystemExit("oha is not installed: loadtest/README.md says how to get it")
    # The arguments of a process are for all on the machine to read: a key of a demo, and revoked soon.
    command = [found, "--no-tui", "--output-format", "json", "-n", str(options.requests),
               "-c", str(options.connections), "-t", "20s", "-H", f"Authorization: Bearer {key}", url]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS_MAX, check=False)
    if done.returncode:
        raise SystemExit(f"oha ended with {done.returncode}: {done.stderr[-1000:]}")
    told = json.loads(done.stdout)
    percentiles, summary = told["latencyPercentiles"], told["summary"]
    milliseconds = lambda seconds: round((seconds or 0) * 1e3, 1)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "statuses": told["statusCodeDistribution"],
        "errors": told["errorDistribution"],
        "bytes": summary["totalData"],
        "requests_per_second": round(summary["requestsPerSec"]),
        "p50_ms": milliseconds(percentiles["p50"]), "p99_ms": milliseconds(percentiles["p99"]),
        "faults": [f"errors: {told['errorDistribution']}"] if told["errorDistribution"] else [],
    }


def expect(told, statuses):
    if told["statuses"] != statuses:
        told["faults"].append(f"statuses {told['statuses']} where {statuses} were to come")


def write(options, runs, before):
    version = lambda *command: subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
    told = {
        "script": "oha", "date": datetime.date.today().isoformat(), "machine": machine(),
        "load_average": {"before": before, "after": load_average()},
        "oha": version(program(), "--version"),
        "gateway": version(str(options.programs / "colonnade"), "--version"), "build": options.programs.name,
        "requests": options.requests, "connections": options.connections, "runs": runs,
    }
    (HERE / "results" / "oha.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
