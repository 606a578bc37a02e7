"""Gateways that are killed while a client changes keys without pause: the `crash` proof of `keys.py`.

The client keeps a ledger of what was acknowledged. A creation that was not is sent again with its
Idempotency-Key, which tells whether it had been made, and the list of live keys must then be the
ledger's: nothing lost, nothing made twice.
"""

import http.client
import random
import threading
import time
import uuid

from fleet import ACCOUNT, Database, Relay, running

#: Keys revoked in earlier rounds that are asked for again.
OLD_ONES = 20


class Ledger:
    """What a client of the admin API knows: what was acknowledged, and the one change that was not."""

    def __init__(self):
        self.live, self.revoked, self.recent = {}, {}, []
        self.pending, self.unserved, self.changes, self.faults = None, set(), 0, []

    def change_until_dead(self, gateway, chance):
        """Creates and revokes keys without pause until nobody answers."""
        while True:
            make = len(self.live) < 3 or (len(self.live) < 8 and chance.random() < 0.5)
            try:
                self.create(gateway) if make else self.revoke(gateway, chance)
            except (OSError, http.client.HTTPException):
                return

    def create(self, gateway, token=None):
        token = token or str(uuid.uuid4())
        self.pending = ("create", token)
        status, answer = gateway.admin(
            "POST", f"/accounts/{ACCOUNT}/keys", {"name": token, "scopes": ["bench:read"]},
            {"Idempotency-Key": token})
        self.pending = None
        self.changes += 1
        if status == 201:
            self.live[answer["id"]] = answer["key"]
            if not answer["served"]:
                self.unserved.add(answer["id"])
        elif status != 200:
            self.faults.append(f"a creation came to {status}: {answer}")
        return status, answer

    def revoke(self, gateway, chance):
        key = chance.choice(sorted(self.live))
        self.pending = ("revoke", key)
        status, answer = gateway.admin("POST", f"/keys/{key}/revoke")
        if status != 200:
            self.faults.append(f"a revocation came to {status}: {answer}")
        self.was_revoked(key)

    def was_revoked(self, key):
        self.revoked[key] = self.live.pop(key)
        self.recent.append(key)
        self.pending = None
        self.changes += 1

    def check(self, gateway, chance, where, is_stale=False):
        """What was acknowledged holds."""
        in_doubt = self.pending and self.pending[1]
        wanted = {key: 200 for key in self.live if not (is_stale and key in self.unserved)}
        old = sorted(self.revoked)
        wanted |= {key: 401 for key in self.recent}
        wanted |= {key: 401 for key in chance.sample(old, min(OLD_ONES, len(old)))}
        for key, status in wanted.items():
            text = self.live.get(key) or self.revoked[key]
            seen = gateway.status(text)
            if seen != status and not (key == in_doubt and seen == 401):
                self.faults.append(f"{where}: {key} answers {seen} instead of {status}")
        return len(wanted)

    def settle(self, gateway, where):
        """Sends again what was not acknowledged; then the store has what the ledger has, no more."""
        doubt, made = self.pending, None
        if doubt and doubt[0] == "create":
            status, answer = self.create(gateway, doubt[1])
            made = status == 200
            if made:  # its text was in the answer that never came
                gateway.revoke(answer["id"])
        elif doubt:
            made = gateway.status(self.live[doubt[1]]) == 401
            gateway.revoke(doubt[1])
            self.was_revoked(doubt[1])
            self.check(gateway, random.Random(0), where)
        listed = gateway.good("GET", f"/accounts/{ACCOUNT}/keys?limit=200")["items"]
        ids = {item["id"] for item in listed}
        if ids != set(self.live):
            self.faults.append(f"{where}: listed and acknowledged differ in {ids ^ set(self.live)}")
        self.recent = []
        self.unserved.clear()
        return doubt and (doubt[0], made)


def crash(stand):
    """SIGKILL at any moment: all that was acknowledged holds, and what was not is whole or nothing."""
    database = relay = None
    store = {"sqlite": "colonnade.db"}
    if stand.options.postgres:
        database = Database(stand.options.postgres)
        relay = Relay(database.address())
        store = {"postgres": database.url(relay.address)}
    gateway, ledger = stand.gateway("one", store), Ledger()
    told = {"store": next(iter(store)), "rounds": stand.count(200), "killed_in_start": 0,
            "started_from_snapshot": 0, "checks": 0,
            "in_doubt": {"create made": 0, "create not made": 0, "revoke made": 0,
                         "revoke not made": 0, "none": 0}}
    with running(*(part for part in (database, relay, gateway) if part)):
        gateway.start()
        gateway.fill()
        for number in range(told["rounds"]):
            one_crash(stand, gateway, relay, ledger, told, number)
            if len(ledger.faults) > 20:
                break
        ledger.recent = list(ledger.revoked)
        told["checks"] += ledger.check(gateway, stand.chance, "at the end")
    told |= {"acknowledged": ledger.changes, "revoked_in_all": len(ledger.revoked)}
    return told, ledger.faults


def one_crash(stand, gateway, relay, ledger, told, number):
    chance = stand.chance
    client = threading.Thread(target=ledger.change_until_dead, args=(gateway, chance), daemon=True)
    client.start()
    time.sleep(chance.uniform(0, 0.3))
    gateway.kill()
    client.join()
    if number % 8 == 7:
        gateway.spawn()
        time.sleep(chance.uniform(0, 0.3))
        gateway.kill()
        told["killed_in_start"] += 1
    is_cut = bool(relay) and number % 2 == 1
    if is_cut:
        relay.cut()
    gateway.start()
    if is_cut:
        told["started_from_snapshot"] += 1
        told["checks"] += ledger.check(gateway, chance, f"round {number}, snapshot", is_stale=True)
        relay.mend()
        deadline = time.monotonic() + 30
        while gateway.good("GET", "/status")["directory"]["from_snapshot"]:
            if time.monotonic() > deadline:
                raise SystemExit("the gateway did not find its store again")
            time.sleep(0.01)
    told["checks"] += ledger.check(gateway, chance, f"round {number}")
    doubt = ledger.settle(gateway, f"round {number}")
    what = f"{doubt[0]} {'made' if doubt[1] else 'not made'}" if doubt else "none"
    told["in_doubt"][what] += 1
