#!/usr/bin/env python3
"""Runs the scripts of loadtest/k6 against a demo that it starts, and stops it again.

    loadtest/k6.py smoke limit revoke          # these, short
    loadtest/k6.py --write all                 # all, and their figures into loadtest/results
    loadtest/k6.py --set SECONDS=600 soak      # with another length

Needs k6 (1.x or 2.x) on the PATH, or at $K6, and the two programs. Against any other deployment the
scripts run without this: loadtest/README.md. The exit code is that of the first run that failed.
"""

import argparse
import contextlib
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # the repository is no place for what Python caches

from demo import demo, load_average, machine, targets, upstream  # noqa: E402

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
#: Lengths for a first look, and so that all of them take two minutes.
SHORT = {
    "smoke": {},
    "ramp": {"RATE": "200", "SECONDS": "20"},
    "soak": {"RATE": "50", "SECONDS": "20"},
    "spike": {"FLOOD": "200", "WINDOW": "3", "WINDOWS": "2"},
    "revoke": {"BEFORE": "3", "AFTER": "3"},
    "limit": {"WINDOW": "3", "WINDOWS": "4"},
}
RUN_SECONDS_MAX = 3600


def main():
    options = arguments()
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    names = list(SHORT) if "all" in options.scripts else options.scripts
    with tempfile.TemporaryDirectory(prefix="k6-") as folder, stand(options.programs, folder) as (gateway, wanted):
        for name in names:
            code = one(options, name, gateway.environment(wanted), Path(folder))
            if code:
                sys.exit(code)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scripts", nargs="+", choices=[*SHORT, "all"], metavar="SCRIPT",
                        help=f"{', '.join(SHORT)}, or all")
    parser.add_argument("--programs", type=Path, default=HERE.parent / "target" / "release", metavar="FOLDER",
                        help="where the binaries are (default: target/release)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
                        help="a variable of the script, see loadtest/README.md")
    parser.add_argument("--write", action="store_true", help="put the figures into loadtest/results")
    return parser.parse_args()


@contextlib.contextmanager
def stand(programs, folder):
    """A demo, and the file that says what it must and must not show."""
    wanted = Path(folder) / "targets.json"
    with upstream(programs) as addresses:
        wanted.write_text(json.dumps(targets(addresses)))
    with demo(programs) as gateway:
        yield gateway, wanted


def k6():
    found = os.environ.get("K6") or shutil.which("k6")
    if not found:
        raise SystemExit("k6 is not installed: loadtest/README.md says how to get it")
    return found


def run(name, environment, result, quiet=False):
    """One script; its exit code and what it says."""
    # No address: k6 1.x would listen on a port for commands that 2.x no longer has.
    command = [k6(), "run", "--quiet", "--no-color", "--no-usage-report", "--address", "",
               str(HERE / "k6" / f"{name}.js")]
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    done = subprocess.run(command, env={**kept, **environment, "RESULT": str(result)}, stdin=subprocess.DEVNULL,
                          capture_output=quiet, text=True, timeout=RUN_SECONDS_MAX, check=False)
    return done.returncode, (done.stdout or "") + (done.stderr or "")


def one(options, name, environment, folder):
    result = folder / f"{name}.json"
    chosen = {**SHORT[name], **dict(pair.split("=", 1) for pair in options.settings)}
    before = load_average()
    code, _ = run(name, {**environment, **chosen}, result)
    if options.write and result.exists():
        write(options, name, json.loads(result.read_text()), before, code)
    print(f"{name}: exit {code}, load average {before} before, {load_average()} after\n", flush=True)
    return code


def write(options, name, told, before, code):
    """With what a reader needs to weigh the figures."""
    version = lambda *command: subprocess.run(command, capture_output=True, text=True, check=True).stdout
    told = {
        "script": told.pop("script"),
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "load_average": {"before": before, "after": load_average()},
        "k6": version(k6(), "version").split()[1],
        "gateway": version(str(options.programs / "colonnade"), "--version").split()[-1],
        "build": options.programs.name,
        "exit_code": code,
        **told,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
