#!/usr/bin/env python3
"""Memory of a whole gateway by its number of keys, and how soon it serves them.

It starts from a snapshot file that is written here, with a database that is away, so that none is
needed. Prints one line of JSON a number of keys. Python's standard library is all it uses.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True  # the repository is no place for what Python caches

from fleet import Gateway, running  # noqa: E402
from stand import free_port, key_text  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
KEYS_PER_ACCOUNT = 10
ACCOUNTS_PER_LINE = 256
SETTLE_SECONDS = 2


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=Path, default=ROOT / "target" / "release", metavar="FOLDER",
                        help="where the binary is (default: target/release)")
    parser.add_argument("--keys", type=int, nargs="*", default=[10, 1_000_000])
    options = parser.parse_args()
    for keys in options.keys:
        with tempfile.TemporaryDirectory(prefix="million-") as folder:
            binary = options.programs.resolve() / "colonnade"
            print(json.dumps(measured(binary, Path(folder), keys)))


def measured(binary, folder, keys):
    port = free_port()
    store = {"postgres": f"postgres://nobody@127.0.0.1:{port}/none"}
    gateway = Gateway(binary, folder / "one", store, "127.0.0.1:9")
    snapshot = gateway.folder / "colonnade.snapshot"
    with open(snapshot, "w", encoding="utf-8") as out:
        put(out, {"format": 1, "origin": f"127.0.0.1:{port} database none"})
        for first in range(0, keys, ACCOUNTS_PER_LINE * KEYS_PER_ACCOUNT):
            last = min(keys, first + ACCOUNTS_PER_LINE * KEYS_PER_ACCOUNT)
            starts = range(first, last, KEYS_PER_ACCOUNT)
            put(out, {"revision": 1, "accounts": [account(start, last) for start in starts]})
    began = time.monotonic()
    with running(gateway):
        gateway.start()
        ready = time.monotonic() - began
        for number in {0, keys // 2, keys - 1}:
            if gateway.status(key_text(number)) != 200:
                raise SystemExit(f"key {number} of {keys} is not served")
        if gateway.status(key_text(keys)) != 401:
            raise SystemExit("a key that is none is served")
        time.sleep(SETTLE_SECONDS)
        kib = {line: memory_kib(gateway.program.child.pid, line) for line in ("VmRSS", "VmHWM")}
    return {"keys": keys, "ready_after_s": round(ready, 2),
            "snapshot_bytes_a_key": snapshot.stat().st_size // keys,
            "resident_mib": kib["VmRSS"] // 1024, "peak_mib": kib["VmHWM"] // 1024,
            "resident_bytes_a_key": kib["VmRSS"] * 1024 // keys}


def put(out, line):
    text = json.dumps(line, ensure_ascii=False)
    out.write(f"sha256:{hashlib.sha256(text.encode()).hexdigest()} {text}\n")


def account(first, last):
    numbers = range(first, min(last, first + KEYS_PER_ACCOUNT))
    return {"id": f"account_{first}", "name": f"Account {first}", "plan": "load", "teams": None,
            "live_max": None, "columns": {}, "team_columns": {},
            "assistants": {"names": [], "fallback": None}, "keys": [key(number) for number in numbers]}


def key(number):
    text = key_text(number)
    return {"id": f"key_{number:022}", "name": f"Integration {number}",
            "digest": "sha256:" + hashlib.sha256(text.encode()).hexdigest(),
            "display": f"{text[:10]}…{text[-4:]}", "scopes": ["bench:read"], "data_scope": None,
            "user": None, "owner": "admin", "teams": None, "created_at": 1_700_000_000_000,
            "expires_at": None, "revoked_at": None, "allowed_ips": [], "limits": None, "raised": None}


def memory_kib(pid, line):
    for text in Path(f"/proc/{pid}/status").read_text().splitlines():
        if text.startswith(line + ":"):
            return int(text.split()[1])
    raise SystemExit(f"no {line}")


if __name__ == "__main__":
    main()
