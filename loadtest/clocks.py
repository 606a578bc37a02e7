"""A system clock that jumps: the `clocks` proof of `surroundings.py`.

libfaketime gives the gateway a system clock that is off by what a file says; its monotonic clock stays
as it is. One key is held against its limit all the while. What is asked of its windows:

- no window, by the `X-RateLimit-Reset` that clients see, admits more than the limit;
- in real time a jump refills a window at most once, and nobody waits longer than a window and the
  time for which the gateway doubts a clock that went back.
"""

import datetime
import hashlib
import http.client
import json
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

from fleet import ACCOUNT, Caller, bearer, running, settings
from nodes import Node
from stand import key_text

LIBRARY = "libfaketime.so.1"
LIMIT, WINDOW_SECONDS = 10, 5
LIMITS = {"minute": {"requests": LIMIT, "window": f"{WINDOW_SECONDS}s"}}
#: Longer than the gateway doubts a step back, and than two windows.
HELD_SECONDS = 12
WAIT_SECONDS_MAX = WINDOW_SECONDS + 5
FOLLOWED_SECONDS = 2.5
#: In turns. Between two steps stands what the file says: seconds to add to the system clock.
HOUR = 3600
OFFSETS = (0, HOUR, 0, -HOUR, 0, HOUR, -HOUR, 0)
#: Ends of keys: past what 32 bits of seconds hold, and the last second that RFC 3339 can write.
IN_2038, IN_9999 = "2038-01-20T00:00:00Z", "9999-12-31T23:59:59Z"
BEHIND_2038 = datetime.datetime(2038, 1, 20, 12, tzinfo=datetime.UTC)


def library():
    """Where Debian's package has put it, or another's."""
    places = ("lib/*/faketime", "lib/faketime", "lib64/faketime")
    return next((one for place in places for one in Path("/usr").glob(f"{place}/{LIBRARY}")), None)


class Faked(Node):
    """A node whose system clock is off by what a file says."""

    def __init__(self, options, folder, service):
        self.file = folder.parent / "offset"
        self.off = 0
        # Only the system clock is theirs: neither the monotonic one nor the times of files.
        before = ["env", f"LD_PRELOAD={library()}", f"FAKETIME_TIMESTAMP_FILE={self.file}",
                  "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"]
        super().__init__(options, folder, service, before=before)

    def set(self, seconds):
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}s\n")
        new.rename(self.file)
        self.off = seconds

    def now(self):
        """What its system clock shows."""
        return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.off)

    def later(self, seconds):
        return (self.now() + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Pressing(threading.Thread):
    """One key asked for twice as often as it may, whatever it is answered."""

    def __init__(self, node, text):
        super().__init__(daemon=True)
        self.node, self.text, self.over = node, text, threading.Event()
        self.seen = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(60)

    def run(self):
        caller = Caller(self.node.proxy)
        while not self.over.wait(WINDOW_SECONDS / LIMIT / 2):
            try:
                status, headers, _ = caller.ask("GET", "/bench/200", bearer(self.text))
            except (OSError, http.client.HTTPException) as error:
                status, headers = type(error).__name__, {}
                caller = Caller(self.node.proxy)
            self.seen.append((time.monotonic(), status, headers.get("x-ratelimit-reset"),
                              int(headers.get("retry-after", 0))))

    def judged(self, steps):
        """What it saw, of a clock that was set so often."""
        times = [at for at, status, *_ in self.seen if status == 200]
        resets = Counter(reset for _, status, reset, _ in self.seen if status == 200)
        lasted = self.seen[-1][0] - self.seen[0][0]
        steady = LIMIT * (lasted / WINDOW_SECONDS + 1)
        longest = max(later - earlier for earlier, later in zip(times, times[1:]))
        told = {"seconds": round(lasted), "by_status": dict(Counter(one[1] for one in self.seen)),
                "most_in_a_window": max(resets.values()), "longest_wait_s": round(longest, 1),
                "longest_told_s": max(one[3] for one in self.seen),
                "beyond_a_steady_clock": max(0, round(len(times) - steady))}
        faults = []
        if set(told["by_status"]) != {200, 429}:
            faults.append(f"the pressed key is answered {told['by_status']}")
        if told["most_in_a_window"] > LIMIT:
            faults.append(f"a window of {LIMIT} admits {told['most_in_a_window']}")
        if len(times) > steady + LIMIT * steps:
            faults.append(f"{len(times)} are admitted in {lasted:.0f} s, with {steps} steps")
        if max(longest, told["longest_told_s"]) > WAIT_SECONDS_MAX:
            faults.append(f"a key waits {longest:.1f} s, and is told {told['longest_told_s']} s")
        return told, faults


def clocks(options, folder, service):
    node, faults, told = Faked(options, folder / "one", service), in_a_file(options, folder), {}
    node.set(0)
    with running(node):
        node.start()
        node.fill()
        keys = {"never": (node.create("never")[1], None)}
        for name, end in (("soon", node.later(HOUR // 2)), ("in 2038", IN_2038), ("in 9999", IN_9999)):
            status, answer = node.admin("POST", f"/accounts/{ACCOUNT}/keys", {
                "name": name, "scopes": ["bench:read"], "expires_at": end})
            if status == 201 and answer["expires_at"] == end:
                keys[name] = answer["key"], datetime.datetime.fromisoformat(end)
            else:
                faults.append(f"a key that ends at {end} is answered {status}: {answer}")
        limits = {"minute": {**LIMITS["minute"], "requests": 2 * LIMIT}} if options.flaw else LIMITS
        node.pressed, text = node.create("pressed", limits=limits)
        offsets = OFFSETS[:4] if options.quick else OFFSETS
        offsets += (int((BEHIND_2038 - datetime.datetime.now(datetime.UTC)).total_seconds()), 0)
        dead = set()
        with Pressing(node, text) as pressing:
            for offset in offsets:
                node.set(offset)
                if options.flaw:
                    # It forgets what time it was.
                    node.kill()
                    node.start()
                faults += held(node, keys, dead)
        told, seen = pressing.judged(len(offsets))
    return {"steps_s": offsets, **told, "seen_expired": sorted(dead)}, faults + seen


def held(node, keys, dead):
    """A while at one offset. Who was seen expired is `dead`, and must stay so."""
    began, wrong = time.monotonic(), Counter()
    while (spent := time.monotonic() - began) < HELD_SECONDS:
        for name, (text, end) in keys.items():
            status = node.status(text)
            is_over = end and node.now() >= end
            if name in dead or (is_over and status == 401):
                dead.add(name)
                if status != 401:
                    wrong[f"the key that ends {name} was expired, and is answered {status}"] += 1
            # A step forward is followed within a second.
            elif status != 200 or (is_over and spent > FOLLOWED_SECONDS):
                wrong[f"the key that ends {name} is answered {status}"] += 1
        for method, path, body in (("GET", "/status", None),
                                   ("PATCH", f"/keys/{node.pressed}", {"name": f"at {node.off}"})):
            if (status := node.admin(method, path, body)[0]) != 200:
                wrong[f"{method} {path} is answered {status}"] += 1
        time.sleep(0.25)
    return [f"with the clock at {node.off:+d} s: {what}, {times} times" for what, times in wrong.items()]


def in_a_file(options, folder):
    """Whether a directory file may have such ends."""
    text, end = key_text(0), {"2038": IN_2038, "9999": IN_9999}
    keys = {name: {"name": name, "display": "avoca_ab12…9f0c", "scopes": ["bench:read"], "expires_at": at,
                   "digest": "sha256:" + hashlib.sha256((text + name).encode()).hexdigest()}
            for name, at in end.items()}
    account = {"name": "Acme", "plan": "load", "keys": keys}
    (folder / "directory.yaml").write_text(json.dumps({"version": 1, "accounts": {"acme": account}}))
    config = folder / "file.yaml"
    config.write_text(json.dumps(settings({"file": "directory.yaml"}, "127.0.0.1:9")))
    command = [options.programs.resolve() / "colonnade", "check", "--config", config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [f"a directory file: {done.stdout}{done.stderr}"]
