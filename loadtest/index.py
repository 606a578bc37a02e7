"""One key among a million is changed ten times a second: the `index` proof of `reloads.py`.

The keys are written into the file of an embedded store before the gateway starts, for to make them one
by one would take hours. Then blocks of load in turns, without changes and with them, and at the end a
reload of the configuration, which compiles all keys anew.
"""

import copy
import hashlib
import json
import sqlite3
import time

from fleet import running
from nodes import Clients, Turns, ms, share, status_is
from stand import key_text

KEYS_PER_ACCOUNT = 10
P99_RISE_MAX, MEMORY_MAX, VISIBLE_SECONDS_MAX = 1.10, 2.2, 1.0
BLOCKS, CHANGES, EVERY = 10, 40, 0.1
ELSEWHERE = ["192.0.2.1"]


def index(options, node):
    keys, told, faults, turns = options.keys, {"keys": options.keys}, [], Turns()
    with running(node):
        node.start()
        node.fill()
        empty = node.process().memory_kib("VmRSS")
        node.stop()
        told["file_mib"] = fill(node.folder / "colonnade.db", keys)
        began = time.monotonic()
        node.start()
        told["ready_after_s"] = round(time.monotonic() - began, 1)
        key, text = node.create("changed")
        beside = key_text(keys // 2)
        left_out = node.good("GET", "/status")["directory"]["left_out"]
        if len(left_out) != 1 or node.status(beside) != 200:
            raise SystemExit("what was written into the file is not what this version reads")
        one = node.process().memory_kib("VmRSS") - empty
        node.process().forget_peak()
        seen, is_let_in = [], True
        for _ in range(BLOCKS // (5 if options.quick else 1)):
            for is_changed in (True, False):
                with Clients(node, beside, "/bench/10240", status_is(200), 2) as clients:
                    began = time.monotonic()
                    for number in range(CHANGES):
                        # One that failed is enough: the next ones would wait for it.
                        if is_changed and not faults:
                            is_let_in = not is_let_in
                            if options.flaw:
                                touch(node.folder / "colonnade.db")
                            seen.append(changed(node, key, text, is_let_in, faults))
                        time.sleep(max(0.0, began + (number + 1) * EVERY - time.monotonic()))
                (turns.with_it if is_changed else turns.without).append(clients.seconds)
                faults += clients.faults
        changes = (node.process().memory_kib("VmHWM") - empty) / one
        node.process().forget_peak()
        with Clients(node, beside, "/bench/10240", status_is(200), 2) as clients:
            told["reload_s"] = reload(node, faults)
        faults += clients.faults
        whole = (node.process().memory_kib("VmHWM") - empty) / one
    told |= {"one_index_mib": round(one / 1024), "peak_in_indexes": {
        "changes": round(changes, 2), "reload": round(whole, 2)}, "changes": len(seen),
        "visible_ms": {"p50": ms(share(seen, 0.5)), "p99": ms(share(seen, 0.99)), "max": ms(max(seen))},
        "slowest_answer_while_reloaded_ms": ms(max(clients.seconds)), **turns.told()}
    if max(seen) > VISIBLE_SECONDS_MAX:
        faults.append(f"a change is seen after {max(seen):.2f} s")
    if max(changes, whole) > MEMORY_MAX:
        faults.append(f"it takes {max(changes, whole):.2f} times the memory of one index")
    if turns.rise() > P99_RISE_MAX:
        faults.append(f"the 99th percentile rises by a factor of {turns.rise():.2f}")
    return told, faults


def changed(node, key, text, is_let_in, faults):
    """From the sending of a change until a request sees it."""
    began = time.monotonic()
    answered, answer = node.admin("PATCH", f"/keys/{key}", {"allowed_ips": None if is_let_in else ELSEWHERE})
    wanted = 200 if is_let_in else 403
    if answered != 200:
        faults.append(f"a change is answered {answered}: {answer}")
    elif (status := node.status(text)) != wanted:
        faults.append(f"a change that was answered is not served: {status}")
    node.await_status(text, wanted, seconds=120)
    return time.monotonic() - began


def reload(node, faults):
    content = copy.deepcopy(node.settings)
    content["plans"]["load"]["limits"]["minute"]["requests"] -= 1
    node.put(content)
    began = time.monotonic()
    status, answer = node.admin("POST", "/reload")
    if status != 200:
        faults.append(f"a reload is answered {status}: {answer}")
    return round(time.monotonic() - began, 2)


def touch(path):
    """The flaw: the next change is also one of the record that cannot be read, so all is read anew."""
    with sqlite3.connect(path, timeout=30) as base:
        base.execute("update accounts set changed = (select revision + 1 from meta) where id = 'account_0'")


def fill(path, keys):
    """Adds accounts of ten keys each, as changes of the revision that the store has.

    One record cannot be read, which is to cost the changes beside it nothing.
    """
    base = sqlite3.connect(path)
    revision = base.execute("select revision from meta").fetchone()[0]
    accounts = ((f"account_{number}", f"Account {number}", "load", "{}", "{}", "[]", revision, revision)
                for number in range(-(-keys // KEYS_PER_ACCOUNT)))
    base.executemany("insert into accounts (id, name, plan, columns, team_columns, assistants, revision, "
                     "changed) values (?, ?, ?, ?, ?, ?, ?, ?)", accounts)
    rows = (row(number, revision) for number in range(keys))
    base.executemany("insert into keys (id, account, name, digest, display, scopes, created_at, "
                     "allowed_ips, revision) values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    base.execute("insert into digests (digest, key) select digest, id from keys")
    base.execute("update accounts set assistants = '{}' where id = 'account_0'")
    base.commit()
    base.execute("pragma wal_checkpoint(truncate)")
    base.close()
    return path.stat().st_size >> 20


def row(number, revision):
    text = key_text(number)
    digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    return (f"key_{number:020}", f"account_{number // KEYS_PER_ACCOUNT}", f"Integration {number}", digest,
            f"{text[:10]}…{text[-4:]}", json.dumps(["bench:read"]), 1_700_000_000_000, "[]", revision)
