"""What the proofs about a gateway's surroundings start: a node that tells how it is, and judged load.

Clients are processes of their own, so that what a proof does meanwhile takes no turn from them. The
gateway has core 0, all else core 1. Not here: what is proved (`reloads.py`, `surroundings.py`,
`steady.py`).
"""

import array
import http.client
import json
import multiprocessing
import os
import re
import signal
import statistics
import time
from collections import Counter
from pathlib import Path

from fleet import ANSWER_SECONDS_MAX, Caller, Gateway, bearer, metric, settings, upstream
from proofs import run
from stand import LOAD_CORE, PROXY_CORE, Running

FORK = multiprocessing.get_context("fork")
#: Wrong answers that are told in words, of each client.
WORDS_MAX = 3


def run_beside(options, prove):
    """Runs `prove(folder, service)` beside a stand-in service, and tells what it told (`proofs.py`).

    What is started from here on does not take the gateway's core.
    """
    os.sched_setaffinity(0, {LOAD_CORE})

    def beside(folder):
        with upstream(options.programs.resolve() / "colonnade-upstream", str(folder)) as service:
            return prove(folder, service)

    run(options.name, beside)


class Node(Gateway):
    """One gateway on an embedded store, with members of its configuration in place of the usual."""

    def __init__(self, options, folder, service, before=(), database="colonnade.db", **members):
        store = {"sqlite": str(database)}
        super().__init__(options.programs.resolve() / "colonnade", folder, store, service)
        self.before = ["taskset", "-c", str(PROXY_CORE), *map(str, before)]
        self.settings = {**settings(store, service), **members}
        self.put(self.settings)

    def put(self, content):
        """Another configuration, whole: by a rename."""
        new = self.config.with_suffix(".new")
        if isinstance(content, dict):
            content = json.dumps(content)
        new.write_bytes(content.encode() if isinstance(content, str) else content)
        new.rename(self.config)

    def stop(self):
        """As its manager would."""
        self.program.child.send_signal(signal.SIGTERM)
        self.program.child.wait(30)

    def metric(self, name, **labels):
        return metric(self.telemetry, name, **labels)

    def huge_kib(self):
        """Memory that the kernel gives in pages of 2 MiB, used or not."""
        told = Path(f"/proc/{self.program.child.pid}/smaps_rollup").read_text()
        return int(re.search(r"AnonHugePages:\s+(\d+)", told)[1])

    def process(self):
        return Running("gateway", self.proxy[1], self.program.child.pid)


class Clients:
    """Kept connections, each of a process that asks until the block ends.

    `judge(status, headers, body)` says what is wrong with an answer, or nothing. Between two requests
    there is a `pause`, or with `every` so much time from one's beginning to the next one's. With `fresh`
    each request has a connection of its own.
    """

    def __init__(self, node, text, target, judge, count=1, pause=0.001, every=0.0, fresh=False):
        self.node, self.target, self.judge, self.pause = node, target, judge, pause
        self.headers, self.every = bearer(text), every
        self.stop, self.children = FORK.Event(), []
        self.seconds, self.statuses, self.faults = [], Counter(), []
        self.count, self.fresh = count, fresh

    def __enter__(self):
        for _ in range(self.count):
            mine, theirs = FORK.Pipe(duplex=False)
            child = FORK.Process(target=self._run, args=(theirs,), daemon=True)
            child.start()
            theirs.close()
            self.children.append((child, mine))
        return self

    def __exit__(self, *_):
        self.stop.set()
        for child, told in self.children:
            try:
                seconds, statuses, faults = told.recv()
            except EOFError:
                seconds, statuses, faults = array.array("d"), Counter(), ["a client died"]
            self.seconds += seconds
            self.statuses += statuses
            self.faults += faults
            child.join(ANSWER_SECONDS_MAX)
        self.children = []

    def _run(self, told):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        caller, seconds, statuses, faults = Caller(self.node.proxy), array.array("d"), Counter(), []
        first, number = time.perf_counter(), 0
        while not self.stop.is_set():
            began = time.perf_counter()
            try:
                status, headers, body = caller.ask("GET", self.target, self.headers)
                wrong = self.judge(status, headers, body)
            except (OSError, http.client.HTTPException) as error:
                status = wrong = type(error).__name__
                caller.close()
            if self.fresh:
                caller.close()
            seconds.append(time.perf_counter() - began)
            statuses[status] += 1
            if wrong:
                statuses["wrong"] += 1
                if len(faults) < WORDS_MAX:
                    faults.append(f"{self.target}: {wrong}")
            number += 1
            due = first + number * self.every - time.perf_counter() if self.every else self.pause
            self.stop.wait(max(0.0, due))
        told.send((seconds, statuses, faults))


def status_is(expected):
    """A judge who looks at nothing else."""
    return lambda status, _, body: None if status == expected else f"{status} {body[:200]!r}"


def share(seconds, part):
    seconds = sorted(seconds)
    return seconds[min(len(seconds) - 1, int(part * len(seconds)))]


def ms(seconds):
    return round(seconds * 1e3, 2)


class Turns:
    """Latencies of blocks in turns, without and with what should not be noticed.

    What is compared is the middle of the blocks, so that another program's moment decides nothing.
    """

    def __init__(self):
        self.without, self.with_it = [], []

    def rise(self):
        """By what factor the 99th percentile rises: the middle of what each pair of blocks says."""
        return statistics.median(share(trouble, 0.99) / share(calm, 0.99)
                                 for calm, trouble in zip(self.without, self.with_it))

    def told(self):
        middle = lambda blocks, part: ms(statistics.median(share(block, part) for block in blocks))
        figures = {name: {"requests": sum(map(len, blocks)), "p50_ms": middle(blocks, 0.5),
                          "p99_ms": middle(blocks, 0.99)}
                   for name, blocks in (("without", self.without), ("with", self.with_it))}
        return {"pairs_of_blocks": len(self.with_it), **figures, "p99_rise": round(self.rise(), 3)}


def slope(points):
    """Of the straight line through them, by least squares."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return statistics.linear_regression(xs, ys).slope
