#!/usr/bin/env python3
"""Proofs about what must stay as it is: memory under mixed load, and one key's times beside a loud one.

Each prints one line of JSON with what it saw; `faults` must be empty, else the exit code is 1.
`--flaw` spoils the run on purpose: then the exit code must be 1. What they showed: docs/reliability.md.
"""

import contextlib
import copy
import itertools
import socket
import struct
import sys
import threading
import time
from collections import Counter

sys.dont_write_bytecode = True  # the repository is no place for what Python caches

from fleet import running  # noqa: E402
from nodes import Clients, Node, Turns, run_beside, slope, status_is  # noqa: E402
from proofs import parser  # noqa: E402

SLOPE_KIB_A_MINUTE_MAX = 1024
#: Each leaves a dead key of about 2.7 KB, so that the flaw is some 3 MiB a minute.
FLAW_KEYS_A_SECOND = 20
#: The first part of the time, in which memory finds its size: two minutes of ten.
SETTLES = 1 / 5
MIB = 1 << 20
P99_RISE_MAX = 1.20
LIMIT, LOUDER = 50, 10
#: How much of what the loud one is to ask it must have asked.
LOUD_SHARE_MIN = 0.8
BLOCKS, BLOCK_SECONDS = 10, 4


def main():
    options = arguments()
    run_beside(options, lambda folder, service: options.proof(options, Node(options, folder / "one", service)))


def arguments():
    whole, each = parser(__doc__, (
        ("memory", memory, "ten minutes of everything at once, and the line through its memory"),
        ("neighbour", neighbour, "one key asks for ten times its limit, another for little")))
    for its in each.values():
        its.add_argument("--flaw", action="store_true", help="spoils it, to see that it can fail")
    each["memory"].add_argument("--seconds", type=int, default=600, help="of load (default: 600)")
    each["neighbour"].add_argument("--quick", action="store_true", help="a part of it, for a first look")
    return whole.parse_args()


# ---- memory -------------------------------------------------------------------------------------


def memory(options, node):
    """Everything that a gateway does at once, but for new keys: few, as each takes its place."""
    faults, points = [], []
    with running(node), contextlib.ExitStack() as ends:
        node.start()
        node.fill()
        key, text = node.create("under load")
        loads = [Clients(node, text, f"/bench/{size}", status_is(200), count, pause)
                 for size, count, pause in ((200, 2, 0.005), (10_240, 1, 0.01), (MIB, 1, 0.2))]
        loads += [Clients(node, "avoca_" + 64 * "0", "/bench/200", one_of(401, 429), 1, 0.005),
                  Clients(node, text, "/nowhere", status_is(404), 1, 0.02),
                  Clients(node, text, "/bench/200?fields=cost", status_is(400), 1, 0.02)]
        for load in loads:
            ends.enter_context(load)
        cut = ends.enter_context(Repeated(lambda number: cut_off(node, text), 0.05))
        admin = ends.enter_context(Repeated(lambda number: changes(node, key, number), 0.5))
        process, began = node.process(), time.monotonic()
        while (spent := time.monotonic() - began) < options.seconds:
            if spent > options.seconds * SETTLES:
                points.append((spent / 60, process.memory_kib("VmRSS")))
            for number in range(FLAW_KEYS_A_SECOND if options.flaw else 0):
                node.revoke(node.create(f"flaw {number}")[0])
            time.sleep(max(0.0, began + int(spent) + 1 - time.monotonic()))
        peak, huge = process.memory_kib("VmHWM"), node.huge_kib()
    rises = slope(points)
    if rises > SLOPE_KIB_A_MINUTE_MAX:
        faults.append(f"memory rises by {rises:.0f} KiB a minute")
    for load in loads:
        faults += load.faults
    for what in (cut, admin):
        faults += what.faults
        if not what.times:
            faults.append("a part of the load did nothing")
    statuses = sum((load.statuses for load in loads), Counter())
    return {"seconds": options.seconds, "by_status": dict(statuses), "cut_clients": cut.times,
            "rounds_of_changes": admin.times, "kib_a_minute": round(rises), "huge_pages_mib": huge // 1024,
            "resident_mib": [round(kib / 1024, 1) for kib in (points[0][1], points[-1][1], peak)]}, faults


def one_of(*statuses):
    return lambda status, *_: None if status in statuses else f"{status}"


class Repeated:
    """Something done again and again beside all else."""

    def __init__(self, work, pause):
        self.work, self.pause, self.over = work, pause, threading.Event()
        self.times, self.faults = 0, []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(60)

    def _run(self):
        for number in itertools.count():
            if self.over.wait(self.pause) or len(self.faults) > 3:
                return
            try:
                self.work(number)
            except (OSError, SystemExit) as error:
                self.faults.append(f"{type(error).__name__}: {error}")
            self.times += 1


def cut_off(node, text):
    """A client that is gone in the middle of a large answer."""
    with socket.create_connection(node.proxy) as client:
        head = f"GET /bench/{MIB} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {text}\r\n\r\n"
        client.sendall(head.encode())
        client.recv(4096)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def changes(node, key, number):
    """A rename and lists each time, a reload now and then, and seldom a key that comes and goes."""
    node.good("PATCH", f"/keys/{key}", {"name": f"renamed {number}"})
    node.good("GET", "/audit?limit=20")
    node.good("GET", f"/keys/{key}/usage")
    node.metric("colonnade_keys")
    if number % 4 == 0:
        content = copy.deepcopy(node.settings)
        content["scopes"]["bench:read"] = f"Number {number}"
        node.put(content if number % 8 else "version: [")
        status = node.admin("POST", "/reload")[0]
        if status != (200 if number % 8 else 422):
            raise SystemExit(f"a reload is answered {status}")
    if number % 60 == 0:
        node.revoke(node.create(f"short {number}")[0])


# ---- neighbour ----------------------------------------------------------------------------------


def neighbour(options, node):
    """Blocks in turns, of a calm key alone and beside a loud one, which gets what its limit says."""
    turns, faults, statuses = Turns(), [], {"loud": Counter(), "calm": Counter()}
    # A flaw: a limit that limits nothing.
    limit, target = (100 * LIMIT, f"/bench/{MIB}") if options.flaw else (LIMIT, "/bench/10240")
    with running(node):
        node.start()
        node.fill()
        calm = node.create("calm")[1]
        loud = node.create("loud", limits={"second": {"requests": limit, "window": "1s"}})[1]
        for _ in range(BLOCKS // (5 if options.quick else 1)):
            for is_loud in (True, False):
                asking = {"calm": Clients(node, calm, "/bench/10240", status_is(200), 1, 0.002)}
                if is_loud:
                    every = 1 / (LIMIT * LOUDER)
                    asking["loud"] = Clients(node, loud, target, within(LIMIT), every=every)
                with contextlib.ExitStack() as ends:
                    for clients in asking.values():
                        ends.enter_context(clients)
                    time.sleep(BLOCK_SECONDS)
                (turns.with_it if is_loud else turns.without).append(asking["calm"].seconds)
                for name, clients in asking.items():
                    statuses[name] += clients.statuses
                    faults += clients.faults
    if statuses["loud"].total() < LIMIT * LOUDER * BLOCK_SECONDS * len(turns.with_it) * LOUD_SHARE_MIN:
        faults.append(f"the loud key did not ask for ten times its limit: {dict(statuses['loud'])}")
    if not statuses["loud"][429] or set(statuses["calm"]) != {200}:
        faults.append(f"answers are {statuses}")
    if turns.rise() > P99_RISE_MAX:
        faults.append(f"the 99th percentile rises by a factor of {turns.rise():.2f}")
    return {**statuses, **turns.told()}, faults


def within(limit):
    """A judge of all answers to one key: in a window as many pass as may."""
    passed = Counter()

    def judge(status, headers, _):
        window = headers.get("x-ratelimit-reset")
        passed[window] += status == 200
        if status not in (200, 429) or passed[window] > limit:
            return f"{status}, and {passed[window]} passed in a window"
        return None
    return judge


if __name__ == "__main__":
    main()
