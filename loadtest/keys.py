#!/usr/bin/env python3
"""Proofs about keys, measured: on real processes, with crashes and databases that go away.

Each prints one line of JSON with what it saw; `faults` must be empty, else the exit code is 1.
Python's standard library is all that they use, and `psql` where a database is needed. What they
showed: docs/reliability.md.
"""

import random
import sys
import threading
import time

sys.dont_write_bytecode = True  # the repository is no place for what Python caches

from crash import crash  # noqa: E402
from fleet import (  # noqa: E402
    ACCOUNT, Caller, Database, Gateway, Load, Relay, bearer, running, upstream)
from proofs import parser, run  # noqa: E402

MONTH = {"month": {"requests": 1_000_000, "window": "30d"}}
#: What the admin API may take to say that the store is away: one bound of a call, and some room.
REFUSED_WITHIN_SECONDS = 6.0
SPREAD_SECONDS_MAX = 1.0


def main():
    options = arguments()

    def prove(folder):
        with upstream(options.programs.resolve() / "colonnade-upstream", str(folder)) as service:
            return options.proof(Stand(options, folder, service))

    run(options.name, prove)


def arguments():
    whole, each = parser(__doc__, (
        ("isolation", isolation, "one key is changed without pause while another is under load"),
        ("crash", crash, "nothing that was acknowledged is lost by SIGKILL"),
        ("propagation", propagation, "how long until another gateway refuses a revoked key"),
        ("away", away, "requests while the store is stopped and while it hangs")))
    for name, its in each.items():
        its.add_argument("--quick", action="store_true", help="a tenth of it, for a first look")
        its.add_argument("--seed", type=int, default=1, help="of what is left to chance (default: 1)")
        if name != "isolation":
            its.add_argument("--postgres", metavar="URL", help="a server on which a database is made")
    each["propagation"].add_argument("--deaf", action="store_true",
                                     help="notifications never arrive: polling alone tells")
    options = whole.parse_args()
    if options.name == "away" and not options.postgres:
        whole.error("away needs --postgres: a file does not go away")
    return options


class Stand:
    """Gateways for one proof."""

    def __init__(self, options, folder, service):
        self.options, self.folder, self.service = options, folder, service
        self.chance = random.Random(options.seed)

    def count(self, whole):
        return max(1, whole // 10) if self.options.quick else whole

    def gateway(self, name, store):
        binary = self.options.programs.resolve() / "colonnade"
        return Gateway(binary, self.folder / name, store, self.service)


# ---- isolation ----------------------------------------------------------------------------------


def isolation(stand):
    """K4: what happens to one key has no effect on another of the same account."""
    gateway, faults = stand.gateway("one", {"sqlite": "colonnade.db"}), []
    with running(gateway):
        gateway.start()
        gateway.fill()
        other, text = gateway.create("under load", limits=MONTH)
        ends, rounds = time.monotonic() + stand.count(60), 0
        with Load(gateway, text, 4) as load:
            while time.monotonic() < ends:
                rounds += 1
                faults += one_life(gateway, rounds)
        _, headers, _ = Caller(gateway.proxy).ask("GET", "/bench/200", bearer(text))
        left = int(headers["x-ratelimit-remaining"])
    asked = load.statuses.total() + 1
    if set(load.statuses) != {200}:
        faults.append(f"the other key saw {dict(load.statuses)}")
    if load.rises:
        faults.append(f"its remaining count rose {load.rises} times")
    if left != MONTH["month"]["requests"] - asked:
        faults.append(f"{asked} requests took {MONTH['month']['requests'] - left} of its limit")
    return {"store": "sqlite", "lives_of_key_a": rounds, "changes": 4 * rounds, **load.told(),
            "remaining_rose": load.rises, "limit_taken": asked}, faults


def one_life(gateway, number):
    """A key is made, renamed, regenerated and revoked; what it could do at each step."""
    key, first = gateway.create(f"life {number}")
    seen = [gateway.status(first)]
    gateway.good("PATCH", f"/keys/{key}", {"name": f"renamed {number}"})
    seen.append(gateway.status(first))
    second = gateway.good("POST", f"/keys/{key}/regenerate", {})["key"]
    seen += [gateway.status(first), gateway.status(second)]
    gateway.revoke(key)
    seen += [gateway.status(second)]
    return [] if seen == [200, 200, 401, 200, 401] else [f"life {number} went {seen}"]


# ---- propagation --------------------------------------------------------------------------------


def propagation(stand):
    """From the sending of a revocation to the first refusal elsewhere."""
    if not stand.options.postgres:
        return by_command(stand)
    database = Database(stand.options.postgres)
    relays = [Relay(database.address(), stand.options.deaf) for _ in range(2)]
    one, other = (stand.gateway(name, {"postgres": database.url(relay.address)})
                  for name, relay in zip(("one", "other"), relays))
    times = {"from_sending": [], "from_answer": []}
    with running(database, *relays, one, other):
        one.start()
        one.fill()
        other.start()
        for number in range(stand.count(300)):
            key, text = one.create(f"spread {number}")
            other.await_status(text, 200)
            # Not in step with whatever the other one does by the clock.
            time.sleep(stand.chance.uniform(0, 0.3))
            sent, answered, refused = spread(other, text, lambda key=key: one.revoke(key))
            times["from_sending"].append(refused - sent)
            times["from_answer"].append(max(0.0, refused - answered))
    way = "polling alone" if stand.options.deaf else "notifications and polling"
    return judged({"store": "postgres", "told_by": way}, times)


def by_command(stand):
    """The same of a revocation by another process on the file of an embedded store."""
    gateway = stand.gateway("one", {"sqlite": "colonnade.db"})
    times = {"from_sending": [], "from_answer": []}
    with running(gateway):
        gateway.start()
        gateway.fill()
        for number in range(stand.count(100)):
            key, text = gateway.create(f"spread {number}")
            command = lambda key=key: gateway.command("keys", "revoke", key)
            sent, answered, refused = spread(gateway, text, command)
            times["from_sending"].append(refused - sent)
            times["from_answer"].append(max(0.0, refused - answered))
    return judged({"store": "sqlite", "told_by": "colonnade keys revoke"}, times)


def spread(gateway, text, revoke):
    """When the revocation was sent, when it was answered, and when a request was first refused."""
    refused, running_ = [], threading.Event()

    def poll():
        caller = Caller(gateway.proxy)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            status, *_ = caller.ask("GET", "/api/key", bearer(text))
            now = time.monotonic()
            running_.set()
            if status != 200:
                refused.append((now, status))
                break
        caller.close()

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    running_.wait(10)
    sent = time.monotonic()
    revoke()
    answered = time.monotonic()
    thread.join(40)
    if not refused or refused[0][1] != 401:
        raise SystemExit(f"the other gateway never refused: {refused}")
    return sent, answered, refused[0][0]


def judged(told, times):
    faults = []
    for name, seconds in times.items():
        seconds.sort()
        place = lambda share, seconds=seconds: seconds[min(len(seconds) - 1, int(share * len(seconds)))]
        told[name] = {f"{label}_ms": round(value * 1e3, 1) for label, value in
                      (("p50", place(0.5)), ("p99", place(0.99)), ("max", seconds[-1]))}
        if place(0.99) >= SPREAD_SECONDS_MAX:
            faults.append(f"the 99th percentile {name} is {place(0.99):.3f} s")
    return {**told, "revocations": len(times["from_sending"])}, faults


# ---- away ---------------------------------------------------------------------------------------


def away(stand):
    """The store goes, hangs, and comes back; requests do not notice, the admin API says so."""
    database = Database(stand.options.postgres)
    relay = Relay(database.address())
    here = stand.gateway("here", {"postgres": database.url(relay.address)})
    there = stand.gateway("there", {"postgres": database.url(database.address())})
    faults, told = [], {"store": "postgres"}
    with running(database, relay, here, there):
        here.start()
        here.fill()
        there.start()
        key, text = here.create("under load", limits=MONTH)
        with Load(here, text, 4) as load:
            for name, leave in (("cut", relay.cut), ("frozen", relay.freeze)):
                time.sleep(stand.count(10))
                told[name] = one_absence(stand, here, there, relay, leave, faults, name)
        asked = load.statuses.total()
        used = here.good("GET", f"/keys/{key}/usage")["total"]
    if set(load.statuses) != {200}:
        faults.append(f"requests came to {dict(load.statuses)}")
    if used != asked:
        faults.append(f"{asked} requests were counted as {used}")
    return {**told, **load.told(), "counted": used}, faults


def one_absence(stand, here, there, relay, leave, faults, name):
    """What the admin API says meanwhile, and how long until what was missed is known."""
    gone, gone_text = there.create(f"revoked while {name}")
    here.await_status(gone_text, 200)
    leave()
    ends, waits = time.monotonic() + stand.count(30), []
    is_revoked = False
    while time.monotonic() < ends or not waits:
        for method, path, body in (
                ("POST", f"/accounts/{ACCOUNT}/keys", {"name": "x", "scopes": ["bench:read"]}),
                ("POST", f"/keys/{gone}/revoke", None),
                ("GET", f"/accounts/{ACCOUNT}/keys", None)):
            began = time.monotonic()
            status, answer = here.admin(method, path, body)
            waits.append(time.monotonic() - began)
            code = (answer or {}).get("code")
            if status != 503 or waits[-1] > REFUSED_WITHIN_SECONDS:
                faults.append(f"{name}: {method} {path} came to {status} {code} in {waits[-1]:.1f} s")
        if not is_revoked:
            there.revoke(gone)
            is_revoked = True
    if here.status(gone_text) != 200:
        faults.append(f"{name}: the gateway knows what it cannot know")
    relay.mend()
    began = time.monotonic()
    here.await_status(gone_text, 401)
    known = time.monotonic() - began
    while here.admin("POST", f"/keys/{gone}/revoke")[0] != 200:
        if time.monotonic() > began + 30:
            faults.append(f"{name}: the admin API does not come back")
            break
        time.sleep(0.01)
    return {"admin_refusals": len(waits), "slowest_refusal_ms": round(max(waits) * 1e3),
            "known_after_return_ms": round(known * 1e3),
            "admin_back_after_ms": round((time.monotonic() - began) * 1e3)}


if __name__ == "__main__":
    main()
