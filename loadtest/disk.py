"""A disk that is full and has room again: the `disk` proof of `surroundings.py`.

Store and access log are alone on a tmpfs. What was asked for, what is in the log and what the metric
says was dropped must meet, line for line; so must usage, which waits until the store has room.
"""

import json
import subprocess
import time
from collections import Counter

from fleet import ACCOUNT, running
from nodes import Clients, Node, status_is

BYTES = "1m"
#: The slowest that a change may be refused, and that everything may work again.
REFUSED_WITHIN_SECONDS, BACK_SECONDS_MAX = 6.0, 10.0
#: So slow that the log alone does not fill what was freed.
PAUSE = 0.02
CALM_SECONDS, FULL_SECONDS = 2, 10


def disk(options, folder, service):
    small = folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "none", small], check=True)
    try:
        return filled(options, folder, small, service)
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def filled(options, folder, small, service):
    told, faults = {"bytes": BYTES}, []
    log = {"address": "127.0.0.1:0", "access_log": str(small / "access.log")}
    node = Counting(options, folder / "one", service, database=small / "colonnade.db", telemetry=log)
    with running(node):
        node.start()
        node.fill()
        key, text = node.create("under load")
        others = dict(node.create(f"other {number}") for number in range(3))
        calm = node.loaded(text, lambda: time.sleep(CALM_SECONDS))
        fill(small / "filling")
        full = node.loaded(text, lambda: told.update(while_full(node, others, faults)))
        told["dropped_lines"] = int(node.dropped())
        if not options.flaw:
            (small / "filling").unlink()
        free = node.loaded(text, lambda: told.update(freed(node, key, others, faults)))
        asked = calm + full + free
        told["requests"] = {name: dict(statuses) for name, statuses in (
            ("calm", calm), ("full", full), ("free", free))}
        if set(asked) != {200}:
            faults.append(f"requests came to {dict(asked)}: {node.wrong}")
        faults += accounts(node, small / "access.log", key, asked.total(), told)
    return told, faults


class Counting(Node):
    """Knows what was asked of it beside the load, and what went wrong there."""

    asked, wrong = 0, ()

    def status(self, text, target="/api/key"):
        self.asked += 1
        return super().status(text, target)

    def loaded(self, text, meanwhile):
        """The statuses of what is asked while that is done."""
        with Clients(self, text, "/bench/200", status_is(200), 2, PAUSE) as clients:
            meanwhile()
        self.wrong += tuple(clients.faults)
        return clients.statuses - Counter(wrong=clients.statuses["wrong"])

    def dropped(self):
        return self.metric("colonnade_access_log_dropped_lines")

    def known(self, others):
        """What the admin API and the proxy know of keys."""
        listed = self.good("GET", f"/accounts/{ACCOUNT}/keys?status=all")["items"]
        return (sorted((one["id"], one["name"], one["status"]) for one in listed),
                [self.status(text) for text in others.values()])


def fill(path):
    subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=4k"], stderr=subprocess.DEVNULL, check=False)


def changes(others):
    """One of each kind, on keys of their own."""
    renamed, regenerated, revoked = others
    return {"create": ("POST", f"/accounts/{ACCOUNT}/keys", {"name": "x", "scopes": ["bench:read"]}),
            "rename": ("PATCH", f"/keys/{renamed}", {"name": "renamed"}),
            "regenerate": ("POST", f"/keys/{regenerated}/regenerate", {}),
            "revoke": ("POST", f"/keys/{revoked}/revoke", None),
            "hide": ("PUT", f"/accounts/{ACCOUNT}/assistants", {"names": {"a": "b"}, "fallback": None})}


def while_full(node, others, faults):
    """Changes are refused until the end, and nothing of them is there."""
    ends, told, slowest = time.monotonic() + FULL_SECONDS, Counter(), 0.0
    before = node.known(others)
    while time.monotonic() < ends:
        for name, (method, path, body) in changes(others).items():
            began = time.monotonic()
            status, answer = node.admin(method, path, body)
            slowest = max(slowest, time.monotonic() - began)
            code, detail = (answer or {}).get("code"), (answer or {}).get("detail")
            told[f"{status} {code}"] += 1
            if status < 500 or not code or not detail:
                faults.append(f"{name} on a full disk is answered {status}: {answer}")
        time.sleep(0.5)
    if node.known(others) != before:
        faults.append(f"half a change: {node.known(others)} was {before}")
    if slowest > REFUSED_WITHIN_SECONDS:
        faults.append(f"a change was refused after {slowest:.1f} s")
    if not node.dropped():
        faults.append("no line of the log was dropped: the disk was not full")
    return {"changes": dict(told), "slowest_change_ms": round(slowest * 1e3), "says": detail}


def freed(node, key, others, faults):
    """Until every change is made, and lines are written again."""
    began, ends = time.monotonic(), time.monotonic() + 3 * BACK_SECONDS_MAX
    for name, (method, path, body) in changes(others).items():
        while (seen := node.admin(method, path, body))[0] >= 300 and time.monotonic() < ends:
            time.sleep(0.05)
        if seen[0] >= 300:
            faults.append(f"{name} with room again is answered {seen}")
    back = time.monotonic() - began
    # The log tries once a second.
    time.sleep(2)
    lost = node.dropped()
    time.sleep(1)
    if node.dropped() != lost:
        faults.append("lines are dropped although there is room")
    if back > BACK_SECONDS_MAX:
        faults.append(f"changes are made again after {back:.1f} s")
    statuses = [node.status(text) for text in others.values()]
    if statuses != [200, 401, 401]:
        faults.append(f"renamed, regenerated and revoked keys are answered {statuses}")
    return {"changes_after_ms": round(back * 1e3)}


def accounts(node, log, key, asked, told):
    """Lines and usage against what was asked for."""
    deadline = time.monotonic() + 10
    while True:
        lines = log.read_bytes().splitlines()
        good = sum(map(is_whole, lines))
        told.update(lines=good, torn=len(lines) - good, dropped=int(node.dropped()))
        if good + told["dropped"] == asked + node.asked or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    faults = []
    if good + told["dropped"] != asked + node.asked:
        faults.append(f"{asked + node.asked} requests, {good} lines and {told['dropped']} dropped")
    status, usage = node.admin("GET", f"/keys/{key}/usage")
    told["usage"] = usage.get("total")
    if told["usage"] != asked:
        faults.append(f"usage of {asked} requests is told as {status} {usage}")
    return faults


def is_whole(line):
    try:
        return "request_id" in json.loads(line)
    except ValueError:
        return False
