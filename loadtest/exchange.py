#!/usr/bin/env python3
"""A proof about the exchange of the binary: under load, again and again, no request fails and none is free.

Clients ask without pause, on kept connections and on a new one for each request; in each exchange an
answer of five seconds is under way. The process is told to exchange itself twenty times. It prints one
line of JSON with what it saw; `faults` must be empty, else the exit code is 1. `--flaw` starts the new
process by itself and stops the old one, as one would without an exchange: then the exit code must be 1.
Python's standard library is all that it uses. What it showed: docs/reliability.md.
"""

import json
import os
import signal
import sys
import threading
import time
from collections import Counter

sys.dont_write_bytecode = True  # the repository is no place for what Python caches

from fleet import ANSWER_SECONDS_MAX, BODY, Caller, bearer, running, settings  # noqa: E402
from nodes import Clients, Node, ms, run_beside, share  # noqa: E402
from proofs import parser  # noqa: E402

EXCHANGES, REQUESTS = 20, 50_000
#: What one key may ask for in all; it is asked for more, and the end falls between two exchanges.
ALLOWANCE, ALLOWANCE_QUICK = 7_000, 1_500
#: Of the requests that are waited for, those of the key whose usage is looked at.
FREE_SHARE = 0.75
SLOW_MS = 5_000
USAGE_SECONDS_MAX = 20
TOOK_OVER = "another process took over"


def main():
    options = arguments()
    run_beside(options, lambda folder, service: exchange(
        options, Exchanged(options, folder / "one", service, **members(service))))


def arguments():
    whole, each = parser(__doc__, (("exchange", None, "twenty exchanges under load"),))
    each["exchange"].add_argument("--quick", action="store_true", help="five of them, and fewer requests")
    each["exchange"].add_argument("--flaw", action="store_true", help="spoils it, to see that it can fail")
    return whole.parse_args()


def members(service):
    usual = settings(None, service)
    slow = {**usual["routes"][0], "match": "GET /_slow/{ms:int}"}
    return {
        "routes": [*usual["routes"], slow],
        "plans": {"load": {"limits": {"minute": {"requests": 1_000_000, "window": "30d"}}}},
        "drain": {"delay": "0s", "grace": "20s"},
    }


class Exchanged(Node):
    """A gateway whose process is another one now and then."""

    def successors(self):
        return [json.loads(line)["fields"]["pid"] for line in self.program.said().splitlines()
                if TOOK_OVER in line]

    def serving(self):
        return ([self.program.child.pid] + self.successors())[-1]

    def exchange(self):
        """Returns how long it took until another process served."""
        before, began = len(self.successors()), time.monotonic()
        os.kill(self.serving(), signal.SIGUSR2)
        while len(self.successors()) == before:
            if time.monotonic() - began > ANSWER_SECONDS_MAX:
                raise SystemExit(f"nobody took over:\n{self.program.said()[-2000:]}")
            time.sleep(0.002)
        return time.monotonic() - began

    def restart(self):
        """What an exchange is for: stopped and started again."""
        self.stop()
        self.start()
        return 0.0

    def kill(self):
        for pid in self.successors() if self.program else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        super().kill()


class Slow(threading.Thread):
    """One answer that takes its time, on a connection that is used again behind it."""

    def __init__(self, node, text):
        super().__init__(daemon=True)
        self.caller, self.headers, self.seen = Caller(node.proxy), bearer(text), []
        self.start()

    def run(self):
        for target in (f"/_slow/{SLOW_MS}", BODY):
            try:
                self.seen.append(self.caller.ask("GET", target, self.headers)[0])
            except OSError as error:
                self.seen.append(type(error).__name__)
        self.caller.close()


def exchange(options, node):
    rounds = 5 if options.quick else EXCHANGES
    between, allowance = REQUESTS / EXCHANGES * FREE_SHARE, ALLOWANCE_QUICK if options.quick else ALLOWANCE
    with running(node):
        node.start()
        if options.flaw:
            # The same addresses again, whoever has them.
            host, port = node.proxy
            node.put({**node.settings, "listeners": [{"address": f"{host}:{port}"}]})
        node.fill()
        (free, text), (_, bounded), (patient, patient_text) = (
            node.create("free"),
            node.create("bounded", limits={"minute": {"requests": allowance, "window": "30d"}}),
            node.create("patient"))
        answered = Counter()
        judge = lambda status, _, body: None if status == 200 else f"{status} {body[:200]!r}"
        at_limit = lambda status, _, body: None if status in (200, 429) else f"{status} {body[:200]!r}"
        groups = [Clients(node, text, BODY, judge, count=2, pause=0.0),
                  Clients(node, text, BODY, judge, count=2, pause=0.0, fresh=True),
                  Clients(node, bounded, BODY, at_limit, count=1, pause=0.0),
                  Clients(node, bounded, BODY, at_limit, count=1, pause=0.0, fresh=True)]
        slow, took = [], []
        for group in groups:
            group.__enter__()
        try:
            for number in range(rounds):
                await_requests(node, free, between * number)
                slow.append(Slow(node, patient_text))
                time.sleep(0.05)
                took.append(node.restart() if options.flaw else node.exchange())
            await_requests(node, free, between * rounds)
        finally:
            for group in groups:
                group.__exit__()
        for thread in slow:
            thread.join(ANSWER_SECONDS_MAX)
        for group in groups:
            answered += group.statuses
        return told(node, groups, slow, took, answered, free, patient, allowance)


def await_requests(node, key, wanted):
    """Until so many requests of a key are in the store."""
    deadline = time.monotonic() + 10 * ANSWER_SECONDS_MAX
    while usage(node, key) < wanted and time.monotonic() < deadline:
        time.sleep(0.05)


def usage(node, key):
    status, answer = node.admin("GET", f"/keys/{key}/usage")
    return answer["total"] if status == 200 else 0


def told(node, groups, slow, took, answered, free, patient, allowance):
    faults = [fault for group in groups for fault in group.faults]
    good = sum(group.statuses[200] for group in groups[:2])
    bounded = sum((group.statuses for group in groups[2:]), Counter())
    if bounded[200] != allowance or not bounded[429]:
        faults.append(f"of {allowance} that may pass {bounded[200]} did, {bounded[429]} were refused")
    wrong = [thread.seen for thread in slow if thread.seen != [200, 200]]
    if wrong:
        faults.append(f"answers under way: {wrong}")
    counted = settled(node, free, good)
    if counted != good:
        faults.append(f"{counted} counted of {good}")
    if settled(node, patient, 2 * len(slow)) != 2 * len(slow):
        faults.append("answers under way were not counted once each")
    seconds = [second for group in groups for second in group.seconds]
    return {
        "exchanges": len(took), "requests": answered.total(), "answers": dict(answered),
        "answers_of_5_s_under_way": len(slow), "admitted_of_the_allowance": [bounded[200], allowance],
        "counted_in_the_store": counted,
        "until_another_serves_ms": {"p50": ms(share(took, 0.5)), "max": ms(max(took))},
        "request_ms": {"p50": ms(share(seconds, 0.5)), "p99": ms(share(seconds, 0.99)),
                       "max": ms(max(seconds))},
    }, faults


def settled(node, key, wanted):
    deadline = time.monotonic() + USAGE_SECONDS_MAX
    while (seen := usage(node, key)) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return seen


if __name__ == "__main__":
    main()
