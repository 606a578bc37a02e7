"""What a load run with k6 or oha needs: the demo, and what its answers must and must not hold.

What must come is not taken from the gateway: the stand-in upstream is asked the same, beside it, and
of what it sends the columns and rows that the demo's key may see are worked out here. Standard
library alone.
"""

import contextlib
import json
import os
import platform
import select
import signal
import subprocess
import urllib.request
from dataclasses import dataclass

ACCOUNT = "7"
TEAM = "101"
KEY_BODY = {"scopes": ["calls:read", "leads:read"], "data_scope": "org_non_private", "teams": [101]}
START_SECONDS_MAX = 60

#: What the account of the demo shows: gateway/cli/src/demo/directory.yaml, and for leads the defaults of
#: config/examples/avoca.yaml.
SHOWN_CALLS = ["call_id", "created_at", "duration_seconds", "call_reason", "booking_result",
               "is_booked", "first_name", "assistant_id", "team_id"]
SHOWN_LEADS = ["id", "datetime", "type", "agent", "attribution", "team_id", "is_private"]
TEXTS_OF_A_KIND = 8


@dataclass
class Demo:
    """A demo that is ready."""

    proxy: str
    admin: str
    telemetry: str
    key: str
    admin_token: str

    def environment(self, targets):
        return {
            "BASE_URL": self.proxy, "ADMIN_URL": self.admin, "TELEMETRY_URL": self.telemetry,
            "ADMIN_TOKEN": self.admin_token, "ACCOUNT": ACCOUNT, "KEY_BODY": json.dumps(KEY_BODY),
            "TARGETS": str(targets),
        }

    def ask_admin(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.admin_token}", "Content-Type": "application/json"}
        payload = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.admin}/admin/v1{path}", payload, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def make_key(self, name, requests, window):
        """Text and id of a key with a limit of its own."""
        body = {**KEY_BODY, "name": name, "limits": {"minute": {"requests": requests, "window": window}}}
        made = self.ask_admin("POST", f"/accounts/{ACCOUNT}/keys", body)
        return made["key"], made["id"]

    def revoke(self, key_id):
        self.ask_admin("POST", f"/keys/{key_id}/revoke")


def program(folder, name):
    path = folder / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: cargo build --release -p colonnade -p colonnade-upstream")
    return str(path.resolve())


@contextlib.contextmanager
def first_line(command):
    """A process that says on its first line where it listens; ended when the block is."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        ready, _, _ = select.select([child.stdout], [], [], START_SECONDS_MAX)
        line = child.stdout.readline() if ready else b""
        if not line:
            raise SystemExit(f"{command[0]} did not start")
        yield json.loads(line)
    finally:
        # A demo that had a warning to say must not wait for somebody to read it.
        child.stdout.close()
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def demo(programs):
    with first_line([program(programs, "colonnade"), "demo", "--format", "json"]) as told:
        yield Demo(**told)


@contextlib.contextmanager
def upstream(programs):
    """Addresses of the stand-in upstreams of the demo, on ports of their own."""
    listen = [word for name in ("calls", "coach", "leads") for word in (f"--{name}", "127.0.0.1:0")]
    with first_line([program(programs, "colonnade-upstream"), "--journal", "0", *listen]) as told:
        yield {name: f"http://{address}" for name, address in told.items()}


def fetch(url, headers):
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def targets(addresses):
    """What the scripts ask for and what of it may show, as `TARGETS` says it."""
    sent = {path: fetch(addresses[service] + path, {"X-Colonnade-Team": TEAM})["data"]
            for service, path in (("calls", "/api/calls?limit=5"), ("calls", "/api/calls?limit=100"),
                                  ("leads", "/api/leads?limit=50"))}
    calls = sent["/api/calls?limit=100"]
    # Anything but a plain false counts as private, and the key sees no private rows.
    public = [row for row in calls if row.get("is_private") is False]
    private = [row for row in calls if row.get("is_private") is not False]
    asked = []
    for path, rows in sent.items():
        shown = SHOWN_LEADS if "leads" in path else SHOWN_CALLS
        asked.append({
            "path": path, "rows": "data[]", "shown": shown,
            "count": sum(row.get("is_private") is False for row in rows),
            "hidden": sorted({name for row in rows for name in row} - set(shown)),
        })
    asked.append({**asked[1], "path": f"/api/calls/{public[0]['call_id']}", "rows": "data", "count": 1})
    some = lambda rows, column: sorted({row[column] for row in rows if row.get(column)})[:TEXTS_OF_A_KIND]
    texts = (some(calls, "phone_number") + some(calls, "assistant_id") + some(calls, "user_email")
             + some(private, "call_id") + ["recordings.example.com"])
    if not private or len(texts) < 4 or not all(target["count"] for target in asked):
        raise SystemExit("the stand-in upstream sends too little to tell right from wrong")
    return {"targets": asked, "hidden_texts": texts}


def load_average():
    return round(os.getloadavg()[0], 1)


def machine():
    """Its kind, not its name."""
    return f"{os.cpu_count()} virtual cores, shared, {platform.machine()}, {platform.system()}"
