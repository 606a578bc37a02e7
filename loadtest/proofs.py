"""What a file of proofs is from the outside: one name a proof, one line of JSON, and exit code 1 for faults."""

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAULTS_MAX = 20


def parser(doc, proofs):
    """A parser of `NAME [--programs FOLDER]`, and those of the names, for further arguments."""
    whole = argparse.ArgumentParser(description=doc.splitlines()[0])
    names = whole.add_subparsers(dest="name", required=True, metavar="PROOF")
    each = {}
    for name, proof, words in proofs:
        each[name] = names.add_parser(name, help=words)
        each[name].set_defaults(proof=proof)
        each[name].add_argument("--programs", type=Path, default=ROOT / "target" / "release",
                                metavar="FOLDER", help="where the binaries are (default: target/release)")
    return whole, each


def run(name, prove):
    """Runs `prove` in a folder of its own, prints what it told, and ends with whether it saw faults."""
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="proof-") as folder:
        told, faults = prove(Path(folder))
    print(json.dumps({"proof": name, **told, "load_average_before": round(load, 1),
                      "faults": faults[:FAULTS_MAX]}))
    sys.exit(1 if faults else 0)


def skip(name, why):
    """Ends well and says what was not proved."""
    print(json.dumps({"proof": name, "skipped": why}))
    sys.exit(0)
