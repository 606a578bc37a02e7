#!/usr/bin/env python3
"""Proofs about reloads, measured: faulty configurations change nothing, good ones change all at once.

Each prints one line of JSON with what it saw; `faults` must be empty, else the exit code is 1.
`--flaw` spoils the run on purpose: then the exit code must be 1. Python's standard library is all
that they use. What they showed: docs/reliability.md.
"""

import copy
import hashlib
import itertools
import json
import sys
import time
from collections import Counter

sys.dont_write_bytecode = True  # the repository is no place for what Python caches

from fleet import Caller, bearer, running  # noqa: E402
from index import index  # noqa: E402
from nodes import Clients, Node, Turns, run_beside  # noqa: E402
from proofs import parser  # noqa: E402
from stand import COLUMNS  # noqa: E402

FILES, SWAPS, BLOCKS = 200, 1000, 10
P99_RISE_MAX = 1.10
#: A change of the file is promised to be seen within two seconds.
SEEN_SECONDS_MAX = 2.0
BLOCK_SECONDS_MIN = 2.0
ROWS, MANY_ROWS = "/bench/102400", "/bench/1048576"
#: What each policy shows of rows that have all of it, and how many requests it allows.
MARKERS = {"A": (["call_id", "created_at", "duration_seconds"], 900_000),
           "B": (["first_name", "last_name", "phone_number"], 800_000)}
SAYS_LIMIT = "x-ratelimit-limit"


def main():
    options = arguments()
    run_beside(options, lambda folder, service: options.proof(options, Node(options, folder / "one", service)))


def arguments():
    whole, each = parser(__doc__, (
        ("bad", bad, "faulty configurations one after the other, under load"),
        ("good", good, "two policies in turns without pause, under load"),
        ("index", index, "one key of a million is changed ten times a second, under load")))
    for its in each.values():
        its.add_argument("--quick", action="store_true", help="a part of it, for a first look")
        its.add_argument("--flaw", action="store_true", help="spoils it, to see that it can fail")
    each["index"].add_argument("--keys", type=int, default=1_000_000, help="how many (default: a million)")
    each["good"].add_argument("--a-second", type=float, metavar="N", default=float("inf"),
                              help="most swaps a second (default: as many as are taken)")
    return whole.parse_args()


def policy(settings, name):
    """The same configuration with one of the two policies."""
    shown, requests = MARKERS[name]
    new = copy.deepcopy(settings)
    new["resources"]["bench"] = {"columns": {column: {"shown": column in shown} for column in COLUMNS}}
    new["plans"]["load"]["limits"]["minute"]["requests"] = requests
    return new


# ---- bad ----------------------------------------------------------------------------------------


def faulty(good):
    """Faulty files without end, by name; each is another than all before."""
    text = json.dumps(good)
    for number in itertools.count():
        for name, spoil in FAULTS.items():
            spoilt = copy.deepcopy(good)
            # Also where the fault is the same, the file is another.
            spoilt["scopes"]["bench:read"] = f"Number {number}"
            content = spoil(spoilt, number)
            yield name, json.dumps(spoilt) if content is None else content
        for part in (0.1, 0.5, 0.9, 0.999):
            yield f"cut at {part:.1%}", text[:int(len(text) * part) - number]


def member(*path, is_now):
    """A fault by one value of the configuration."""
    def spoil(spoilt, _):
        *way, last = path
        for step in way:
            spoilt = spoilt[step]
        spoilt[last] = is_now
    return spoil


def without(*path):
    def spoil(spoilt, _):
        *way, last = path
        for step in way:
            spoilt = spoilt[step]
        del spoilt[last]
    return spoil


def again(spoilt, number):
    route = spoilt["routes"][0]
    spoilt["routes"].append({**route, "match": "GET /bench/{other:int}"})


def certificate(spoilt, number):
    spoilt["listeners"][0]["tls"] = {"certificate": "gateway.yaml", "key": "gateway.yaml"}


#: What is spoilt in the configuration by each; who gives something back gives the whole file.
FAULTS = {
    "nothing": lambda spoilt, number: " " * number,
    "a bracket that stays open": lambda spoilt, number: f"version: [{number}",
    "no mapping": lambda spoilt, number: f"- {number}\n",
    "bytes that are no text": lambda spoilt, number: b"version: 1\n# \xff\xfe" + str(number).encode(),
    "a key that comes twice": lambda spoilt, number: f"version: 1\nversion: 1\n# {number}\n",
    "more than may be": lambda spoilt, number: "#" * ((5 << 20) + number),
    "an unknown key": member("upstraems", is_now={}),
    "an unknown upstream": member("routes", 0, "upstream", is_now="couch"),
    "an unknown scope": member("routes", 0, "scope", is_now="bunch:read"),
    "an unknown resource": member("routes", 0, "resource", is_now="bunch"),
    "a route without a scope": without("routes", 0, "scope"),
    "a route without a resource": without("routes", 0, "resource"),
    "a route without an upstream": without("routes", 0, "upstream"),
    "rows that are nowhere": member("routes", 0, "rows", is_now="data["),
    "a pattern that is none": member("routes", 0, "match", is_now="GET bench/{"),
    "two routes alike": again,
    "another version": member("version", is_now=2),
    "a missing variable": member("errors", is_now={"style": "${NO_SUCH_VARIABLE}"}),
    "a missing file": member("keys", is_now={"pepper": "${file:no-such-file}"}),
    "a certificate that is none": certificate,
    "a certificate that is missing": member("listeners", 0, "tls", is_now={
        "certificate": "no-such-file", "key": "no-such-file"}),
    "authorities that are none": member("upstreams", "bench", "tls", is_now={
        "sni": "bench.test", "ca": "gateway.yaml"}),
    "authorities that are missing": member("upstreams", "bench", "tls", is_now={
        "sni": "bench.test", "ca": "no-such-file"}),
    "a server without a port": member("upstreams", "bench", "servers", is_now=["127.0.0.1"]),
    "no servers": member("upstreams", "bench", "servers", is_now=[]),
    "a limit of nothing": member("plans", "load", "limits", "minute", "requests", is_now=0),
    "a limit without an end": member("plans", "load", "limits", "minute", "window", is_now="1 fortnight"),
    "a bound that is none": member("bounds", is_now={"row": "-1B"}),
    "a list for a mapping": member("resources", is_now=[]),
    "a style that is none": member("errors", is_now={"style": "loud"}),
}


def bad(options, node):
    """Each file is left in place until the gateway has counted it; the files and counts must meet."""
    count, faults, uncounted, kinds = FILES // (5 if options.quick else 1), [], Counter(), set()
    slowest = 0.0
    with running(node):
        node.start()
        node.fill()
        text = node.create("under load")[1]
        node.put(good := policy(node.settings, "A"))
        await_limit(node, text, "A")
        before, counted, revision = answers(node, text), failed(node), node.metric("colonnade_revision")
        with Clients(node, text, ROWS, only(one_answer(node, text, ROWS)), 2) as clients:
            for number, (name, content) in enumerate(itertools.islice(faulty(good), count)):
                if options.flaw and number == count // 2:
                    name, content = "a good one", policy(good, "B")
                kinds.add(name)
                began, seen = time.monotonic(), failed(node)
                node.put(content)
                while failed(node) == seen and time.monotonic() < began + SEEN_SECONDS_MAX:
                    time.sleep(0.02)
                if failed(node) == seen:
                    uncounted[name] += 1
                    node.put(good)
                    node.admin("POST", "/reload")
                    continue
                slowest = max(slowest, time.monotonic() - began)
                if (last := node.good("GET", "/status")["last_reload"])["ok"] or not last["faults"]:
                    faults.append(f"{name} is told as {last}")
                if answers(node, text) != before:
                    faults.append(f"{name} changes answers: {answers(node, text)} were {before}")
            # None of them is counted once more later.
            time.sleep(SEEN_SECONDS_MAX)
        told = failed(node) - counted
        if uncounted or told != count:
            faults.append(f"{count} files are counted as {told:.0f}; not counted: {dict(uncounted)}")
        if node.metric("colonnade_revision") != revision:
            faults.append("a faulty file was published")
        if answers(node, text) != before:
            faults.append(f"answers are {answers(node, text)}, and were {before}")
        node.put("version: [1")
        if (status := node.admin("POST", "/reload")[0]) != 422:
            faults.append(f"a reload by hand of a faulty file is answered {status}")
        node.put(policy(good, "B"))
        await_limit(node, text, "B")
    return {"files": count, "kinds": len(kinds), "counted": int(told),
            "slowest_seen_ms": round(slowest * 1e3), "requests": len(clients.seconds),
            "by_status": clients.statuses}, faults + clients.faults


def failed(node):
    return node.metric("colonnade_reloads_total", result="failed")


def answers(node, text):
    """What is served of each kind, without what is each answer's own."""
    caller, seen = Caller(node.proxy), []
    for target, headers in ((ROWS, bearer(text)), ("/bench/1?fields=cost", bearer(text)),
                            ("/nowhere", bearer(text)), ("/api/key", bearer(text)), (ROWS, {})):
        status, headers, body = caller.ask("GET", target, headers)
        body = body.replace(headers.get("x-request-id", "-").encode(), b"")
        digest = hashlib.sha256(body).hexdigest()[:16]
        seen.append((status, headers.get("content-type"), headers.get(SAYS_LIMIT), digest))
    caller.close()
    return seen


def one_answer(node, text, target):
    caller = Caller(node.proxy)
    status, headers, body = caller.ask("GET", target, bearer(text))
    caller.close()
    return status, headers.get(SAYS_LIMIT), body


def await_limit(node, text, name):
    """Until a change of the file is served, which its limit shows."""
    deadline = time.monotonic() + 2 * SEEN_SECONDS_MAX
    while one_answer(node, text, "/bench/1")[1] != str(MARKERS[name][1]):
        if time.monotonic() > deadline:
            raise SystemExit(f"policy {name} is not served:\n{node.program.said()[-2000:]}")
        time.sleep(0.02)


# ---- good ---------------------------------------------------------------------------------------


def good(options, node):
    """Blocks of the same load in turns: with swaps, and with as many requests that change nothing."""
    turns, faults, statuses, made, spent = Turns(), [], Counter(), 0, 0.0
    swaps, blocks = (SWAPS // 10, BLOCKS // 5) if options.quick else (SWAPS, BLOCKS)
    with running(node):
        node.start()
        node.fill()
        text = node.create("under load")[1]
        policies = {name: policy(node.settings, name) for name in MARKERS}
        known = {}
        for name, its in policies.items():
            swap(node, its, faults)
            for target in (ROWS, MANY_ROWS):
                known[target, name] = one_answer(node, text, target)
        faults += each_its_own(known)
        judges = {target: only(known[target, "A"], known[target, "B"]) for target in (ROWS, MANY_ROWS)}
        if options.flaw:
            # The columns of the one with the limit of the other.
            policies["B"]["plans"] = policies["A"]["plans"]
        order = itertools.cycle(policies.values())
        for _ in range(blocks):
            for block in (turns.with_it, turns.without):
                with Clients(node, text, ROWS, judges[ROWS], 2) as clients, \
                        Clients(node, text, MANY_ROWS, judges[MANY_ROWS], 1, 0.05) as slow:
                    if block is turns.with_it:
                        here, lasted = swap_for_a_block(options, node, order, swaps / blocks, faults)
                        made, spent = made + here, spent + lasted
                    else:
                        pretend(node, next(order), here, lasted)
                block.append(clients.seconds)
                for asked in (clients, slow):
                    faults += asked.faults
                    statuses += asked.statuses
    if set(statuses) != {200}:
        faults.append(f"requests came to {dict(statuses)}")
    if turns.rise() > P99_RISE_MAX:
        faults.append(f"the 99th percentile rises by a factor of {turns.rise():.2f}")
    return {"swaps": made, "swaps_a_second": round(made / spent), "by_status": statuses,
            **turns.told()}, faults


def swap_for_a_block(options, node, order, least, faults):
    """How many swaps there were, and how long it took."""
    began, here = time.monotonic(), 0
    while here < least or time.monotonic() < began + BLOCK_SECONDS_MIN:
        swap(node, next(order), faults)
        here += 1
        time.sleep(max(0.0, began + here / options.a_second - time.monotonic()))
    return here, time.monotonic() - began


def pretend(node, its, times, seconds):
    """The work of a client who swaps, which shares its core with the load, without a swap."""
    beside, began = node.folder / "beside.yaml", time.monotonic()
    for number in range(times):
        beside.write_text(json.dumps(its))
        node.admin("GET", "/status")
        time.sleep(max(0.0, began + (number + 1) * seconds / times - time.monotonic()))


def swap(node, its, faults):
    node.put(its)
    status, answer = node.admin("POST", "/reload")
    if status != 200 or not answer["ok"]:
        faults.append(f"a good file is answered {status}: {answer}")


def each_its_own(known):
    """Whether the two policies answer as they are meant to, so that telling them apart tells something."""
    faults = []
    for (target, name), (status, limit, body) in known.items():
        shown, requests = MARKERS[name]
        rows = json.loads(body)["data"] if status == 200 else []
        if not rows or limit != str(requests) or any(sorted(row) != sorted(shown) for row in rows):
            faults.append(f"policy {name} answers {target} with {status}, limit {limit}, {rows[:1]}")
    return faults


def only(*wholes):
    """A judge who knows the answers that may come: status, limit and all bytes."""
    def judge(status, headers, body):
        if (status, headers.get(SAYS_LIMIT), body) not in wholes:
            return f"none of {len(wholes)}: {status}, limit {headers.get(SAYS_LIMIT)}, {body[:200]!r}"
        return None
    return judge


if __name__ == "__main__":
    main()
