"""What a load run starts: the stand-in upstream, and one proxy at a time in front of it.

All proxies get core 0, load and upstream get core 1, so a proxy's CPU time is its own. All have one
thread, keep connections to the upstream open, and write no access log unless their name says so.
"""

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROXY_CORE, LOAD_CORE = 0, 1
START_SECONDS_MAX = 30

COLUMNS = """call_id created_at duration_seconds call_reason call_outcome is_booked is_bookable
booking_result is_transferred first_name last_name phone_number ai_summary service_titan_job_id
non_booked_disposition non_booked_disposition_code job_type assistant_id recording_url cost tags
custom team_id user_email is_private""".split()
SHOWN = """call_id created_at duration_seconds call_reason call_outcome is_booked booking_result
is_transferred job_type assistant_id cost team_id""".split()
ASSISTANTS = {
    "3f2b8c1e-9a47-4d6f-8b20-5c1d7e9f0a34": "Front Desk",
    "b7d40f92-1c58-4e3a-9f6d-2a8b3c4d5e6f": "After-Hours — Niña “Dispatch”",
    "asst_callback_001": "Callback Team 📞",
    "asst_overflow_es": "Recepción (Español)",
}
FALLBACK = "AI assistant"
KEYS_PER_ACCOUNT = 10
NGINX_FULL_JOB = "nginx + Lua + cjson, full job"


def key_text(number):
    return f"avoca_{hashlib.sha256(str(number).encode()).hexdigest()}"


def directory(keys):
    """Ten keys an account, every account with the same columns and names."""
    accounts = {}
    for number in range(keys):
        account = accounts.setdefault(f"account_{number // KEYS_PER_ACCOUNT}", {
            "name": "Load", "plan": "load", "columns": {"bench": SHOWN}, "keys": {},
            "assistants": {"names": ASSISTANTS, "fallback": FALLBACK},
        })
        text = key_text(number)
        account["keys"][f"key_{number}"] = {
            "name": "Load", "display": f"{text[:10]}…{text[-4:]}", "scopes": ["bench:read"],
            "digest": "sha256:" + hashlib.sha256(text.encode()).hexdigest(),
        }
    return {"version": 1, "accounts": accounts}


def gateway_settings(port, upstream, access_log):
    column = {"assistant_id": {"assistant": True}, "custom": {"whole": True}}
    return {
        "version": 1,
        "listeners": [{"address": f"127.0.0.1:{port}"}],
        "admin": {"address": "127.0.0.1:0"},
        "telemetry": {"address": "127.0.0.1:0", "access_log": access_log},
        "store": {"file": "directory.yaml"},
        "upstreams": {"bench": {"servers": [upstream]}},
        # No key of thousands comes near this; what is measured is the counting.
        "plans": {"load": {"limits": {"minute": {"requests": 1_000_000, "window": "1m"}}}},
        "scopes": {"bench:read": "Bodies of any size"},
        "resources": {"bench": {
            "beside": ["pagination"],
            "columns": {name: column.get(name, {}) for name in COLUMNS},
        }},
        "routes": [{"match": "GET /bench/{bytes:int}", "upstream": "bench", "scope": "bench:read",
                    "resource": "bench", "rows": "data[]", "query": []}],
        "drain": {"delay": "0s", "grace": "1s"},
    }


def nginx_conf(folder, port, upstream, modules="", http="", location=""):
    return f"""
{modules}
worker_processes 1; daemon off; master_process off; pid {folder}/nginx.pid;
error_log {folder}/nginx.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 75s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  upstream bench {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}
  {http}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      {location}
      proxy_pass http://bench; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_connect_timeout 1s; proxy_read_timeout 60s; proxy_send_timeout 60s;
      proxy_max_temp_file_size 0;
    }}
  }}
}}
"""


def nginx_full_job(folder, port, upstream, modules):
    """With `full_job.lua` at the places where Kong's plugins are."""
    return nginx_conf(
        folder, port, upstream,
        modules="\n".join(f"load_module {module};" for module in modules),
        http=f"""lua_package_path "{HERE}/?.lua;;"; lua_shared_dict counts 16m;
  init_by_lua_block {{ require("full_job").load("{folder}/directory.yaml") }}""",
        location="""proxy_set_header Authorization ""; proxy_set_header Accept-Encoding "";
      access_by_lua_block { require("full_job").access() }
      header_filter_by_lua_block { require("full_job").header_filter() }
      body_filter_by_lua_block { require("full_job").body_filter() }""")


def lua_modules():
    """The modules that nginx needs for Lua; none where one of them, or cjson, is not installed."""
    told = subprocess.run(["nginx", "-V"], capture_output=True, text=True, check=False).stderr
    folder = re.search(r"--modules-path=(\S+)", told)
    names = ("ndk_http", "ngx_http_lua") if folder else ()
    modules = [Path(folder[1]) / f"{name}_module.so" for name in names]
    places = ("lib/*/lua/5.1/cjson.so", "local/lib/lua/5.1/cjson.so")
    has_cjson = any(any(Path("/usr").glob(place)) for place in places)
    return modules if has_cjson and all(module.exists() for module in modules) else []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Running:
    """A process that answers."""

    name: str
    port: int
    pid: int

    def cpu_seconds(self):
        """User and system time of all threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_kib(self, line):
        for text in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if text.startswith(line + ":"):
                return int(text.split()[1])
        raise RuntimeError(f"no {line} of {self.name}")

    def forget_peak(self):
        """From now on VmHWM is the peak since now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


class Stand:
    """The upstream, the files of the proxies, and what is skipped for want of a program."""

    def __init__(self, folder, programs, keys):
        self.folder, self.programs = Path(folder), Path(programs)
        self.skipped = []
        self.sides = {"plain Pingora proxy": self._plain, "Colonnade, full job": self._gateway,
                      "Colonnade, full job and access log": self._logging_gateway}
        self.lua_modules = lua_modules() if shutil.which("nginx") else []
        if self.lua_modules:
            self.sides[NGINX_FULL_JOB] = self._nginx_full_job
        else:
            self.skipped.append("nginx, Lua or cjson (Debian packages libnginx-mod-http-lua lua-cjson): "
                                "its full job")
        if shutil.which("nginx"):
            self.sides = {"nginx, no job": self._nginx, **self.sides}
        else:
            self.skipped.append("nginx (Debian package nginx-light): its rows")
        self.wrk = shutil.which("wrk")
        if not self.wrk:
            self.skipped.append("wrk (Debian package wrk): CPU per request, memory at full speed")
        text = json.dumps(directory(keys), ensure_ascii=False)
        (self.folder / "directory.yaml").write_text(text)

    @contextlib.contextmanager
    def upstream(self):
        addresses = [flag for name in ("calls", "coach", "leads")
                     for flag in (f"--{name}", "127.0.0.1:0")]
        command = [self._program("colonnade-upstream"), "--journal", "0", *addresses]
        with self._process(command, LOAD_CORE, stdout=subprocess.PIPE) as child:
            self.address = json.loads(child.stdout.readline())["calls"]
            self.service = Running("upstream", 0, child.pid)
            yield

    @contextlib.contextmanager
    def running(self, name):
        """Starts one proxy, waits until it accepts, and stops it."""
        port = free_port()
        with self._process(self.sides[name](port), PROXY_CORE) as child:
            deadline = time.monotonic() + START_SECONDS_MAX
            while not accepts(port):
                if child.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text()[-2000:]
                    raise RuntimeError(f"{name} did not start:\n{log}")
                time.sleep(0.05)
            yield Running(name, port, child.pid)

    @contextlib.contextmanager
    def _process(self, command, core, stdout=subprocess.DEVNULL):
        with open(self.folder / "log", "ab") as log:
            pin = lambda: os.sched_setaffinity(0, {core})
            child = subprocess.Popen(command, stdout=stdout, stderr=log, preexec_fn=pin)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _program(self, name):
        path = self.programs / name
        if not path.exists():
            raise SystemExit(f"{path} is missing: build it first, see docs/benchmarking.md")
        return str(path)

    def _gateway(self, port, access_log="off"):
        path = self.folder / f"gateway-{port}.yaml"
        path.write_text(json.dumps(gateway_settings(port, self.address, access_log)))
        return [self._program("colonnade"), "run", "--config", str(path)]

    def _logging_gateway(self, port):
        return self._gateway(port, str(self.folder / "access.log"))

    def _plain(self, port):
        listen = f"127.0.0.1:{port}"
        return [self._program("colonnade-plain-proxy"), "--listen", listen, "--upstream", self.address]

    def _nginx(self, port):
        path = self.folder / "nginx.conf"
        path.write_text(nginx_conf(self.folder, port, self.address))
        return ["nginx", "-p", str(self.folder), "-c", str(path)]

    def _nginx_full_job(self, port):
        path = self.folder / "nginx-lua.conf"
        path.write_text(nginx_full_job(self.folder, port, self.address, self.lua_modules))
        return ["nginx", "-p", str(self.folder), "-c", str(path)]


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wrk_script(folder, path, keys, name="load"):
    """Requests of all keys in an order of chance; counts as JSON on the last line."""
    numbers = list(range(keys))
    random.Random(1).shuffle(numbers)
    texts = ",".join(f'"{key_text(number)}"' for number in numbers)
    script = Path(folder) / f"{name}.lua"
    script.write_text(f"""
local keys, requests, turn = {{{texts}}}, {{}}, 0
init = function()
  for place, key in ipairs(keys) do
    requests[place] = wrk.format("GET", "{path}", {{ ["Host"] = "api.example.com",
      ["User-Agent"] = "load", ["Accept"] = "*/*", ["Authorization"] = "Bearer " .. key }})
  end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
done = function(summary)
  local bad = summary.errors
  print(string.format('{{"requests":%d,"bytes":%d,"seconds":%f,"bad":%d}}', summary.requests,
    summary.bytes, summary.duration / 1e6,
    bad.connect + bad.read + bad.write + bad.status + bad.timeout))
end
""")
    return script
