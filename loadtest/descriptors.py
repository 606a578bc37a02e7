"""A crowd of connections at a gateway that may open few files: the `descriptors` proof of `surroundings.py`.

Two gateways. One has the bound of connections that it gives itself, and the crowd is turned away; the
other was told to accept anybody and runs out of descriptors. That one promises less: it has none left
for its admins either.
"""

import contextlib
import http.client
import select
import socket
import threading
import time
import urllib.request

from fleet import Load, running
from nodes import Node

DESCRIPTORS, CLIENTS = 256, 400
CPU_SHARE_MAX, WATCHED_SECONDS = 0.20, 5
BACK_SECONDS_MAX = 2.0
FEW = ("sh", "-c", f'ulimit -n {DESCRIPTORS} && exec "$0" "$@"')
ANYBODY = {"connections": 100_000, "connections_per_address": 100_000}


def descriptors(options, folder, service):
    told, faults = {"descriptors": DESCRIPTORS, "clients": CLIENTS}, []
    for name, members in (("bound_of_its_own", {}), ("no_bound", {"bounds": ANYBODY})):
        node = Node(options, folder / name, service, before=FEW, **members)
        with running(node):
            node.start()
            node.fill()
            text = node.create("under load")[1]
            told[name], seen = crowded(options, node, text, is_bound=not members)
            faults += [f"{name}: {fault}" for fault in seen]
    return told, faults


def crowded(options, node, text, is_bound):
    faults, told = [], {}
    if not is_served(node, text):
        faults.append("it does not serve before there is a crowd")
    busy = Load(node, text, 4) if options.flaw else contextlib.nullcontext()
    with busy, Crowd(node.proxy, text) as crowd:
        time.sleep(1)
        process = node.process()
        began, cpu, asked = time.monotonic(), process.cpu_seconds(), 0
        while time.monotonic() < began + WATCHED_SECONDS:
            if is_bound:
                faults += [fault for fault in (admin_fault(node), telemetry_fault(node)) if fault]
                asked += 1
            time.sleep(0.25)
        told["cpu_share"] = round((process.cpu_seconds() - cpu) / (time.monotonic() - began), 3)
        told["asked_meanwhile"] = asked
        told["connections_begun"] = crowd.came
        if is_bound:
            told["turned_away"] = int(node.metric("colonnade_shed_total", bound="connections"))
        crowd.stays = options.flaw
    began = time.monotonic()
    while not is_served(node, text) and time.monotonic() < began + 30:
        time.sleep(0.02)
    told["served_after_ms"] = round((time.monotonic() - began) * 1e3)
    crowd.leave()
    told["times_without_descriptor"] = int(node.metric("colonnade_shed_total", bound="descriptors"))
    if told["cpu_share"] > CPU_SHARE_MAX:
        faults.append(f"it takes {told['cpu_share']:.0%} of a core while it is crowded")
    if told["served_after_ms"] > BACK_SECONDS_MAX * 1e3:
        faults.append(f"it serves {told['served_after_ms']} ms after they left")
    # Either would say that nobody was crowded.
    if is_bound and not told["turned_away"]:
        faults.append("nobody was turned away")
    if is_bound is (told["times_without_descriptor"] > 0):
        faults.append(f"{told['times_without_descriptor']} times there was no descriptor")
    return told, faults


def is_served(node, text):
    try:
        return node.status(text, "/bench/200") == 200
    except (OSError, http.client.HTTPException):
        return False


def admin_fault(node):
    try:
        status = node.admin("GET", "/status")[0]
    except (OSError, http.client.HTTPException) as error:
        status = type(error).__name__
    return None if status == 200 else f"the admin API says {status}"


def telemetry_fault(node):
    with contextlib.suppress(OSError, http.client.HTTPException):
        if urllib.request.urlopen(f"http://{node.telemetry}/readyz", timeout=10).status == 200:
            return None
    return "telemetry does not answer"


class Crowd:
    """Clients that ask once and stay; who is turned away comes back each second."""

    def __init__(self, place, text):
        head = f"GET /bench/200 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {text}\r\n\r\n"
        self.place, self.request = place, head.encode()
        self.over, self.stays = threading.Event(), False
        self.silent, self.asked, self.came = set(), set(), 0
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(10)
        if not self.stays:
            self.leave()

    def leave(self):
        for client in self.silent | self.asked:
            client.close()
        self.silent, self.asked = set(), set()

    def _run(self):
        while not self.over.is_set():
            while len(self.silent) + len(self.asked) < CLIENTS:
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(self.place)
                self.silent.add(client)
                self.came += 1
            self.over.wait(0.2)
            self._ask()
            self._take_off()
            self.over.wait(0.8)

    def _ask(self):
        """Who is connected asks."""
        for client in select.select([], self.silent, [], 0)[1]:
            with contextlib.suppress(OSError):
                client.send(self.request)
            self.silent.discard(client)
            self.asked.add(client)

    def _take_off(self):
        """Who was answered waits on; who was turned away goes."""
        for client in select.select(self.asked, [], [], 0)[0]:
            try:
                while client.recv(1 << 16):
                    pass
            except BlockingIOError:
                continue
            except OSError:
                pass
            self.asked.discard(client)
            client.close()
