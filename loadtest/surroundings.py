#!/usr/bin/env python3
"""Proofs about a gateway's surroundings: few descriptors, a full disk, a clock that jumps.

Each prints one line of JSON with what it saw; `faults` must be empty, else the exit code is 1.
`--flaw` spoils the run on purpose: then the exit code must be 1. What a proof needs and is not there
is named as `skipped`, with exit code 0. What they showed: docs/reliability.md.
"""

import os
import subprocess
import sys

sys.dont_write_bytecode = True  # the repository is no place for what Python caches

from clocks import LIBRARY, clocks, library  # noqa: E402
from descriptors import descriptors  # noqa: E402
from disk import disk  # noqa: E402
from nodes import run_beside  # noqa: E402
from proofs import parser, skip  # noqa: E402

#: Set for the process that has mounts of its own.
INSIDE = "PROOF_HAS_MOUNTS"


def main():
    options = arguments()
    if options.name == "disk" and INSIDE not in os.environ:
        with_mounts_of_its_own()
    if options.name == "clocks" and not library():
        skip(options.name, f"{LIBRARY} is not there (Debian package libfaketime)")
    run_beside(options, lambda folder, service: options.proof(options, folder, service))


def arguments():
    whole, each = parser(__doc__, (
        ("descriptors", descriptors, "400 clients of a process that may open 256 files"),
        ("disk", disk, "store and access log on a disk that is full, and has room again"),
        ("clocks", clocks, "the clock jumps by an hour, both ways, and by decades")))
    for its in each.values():
        its.add_argument("--flaw", action="store_true", help="spoils it, to see that it can fail")
    each["clocks"].add_argument("--quick", action="store_true", help="fewer steps, for a first look")
    return whole.parse_args()


def with_mounts_of_its_own():
    """The same program where what it mounts is seen by nobody else and is gone with it."""
    for command in (["unshare", "-m"], ["unshare", "-rm"]):
        tried = [*command, "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
        try:
            is_good = subprocess.run(tried, capture_output=True, check=False).returncode == 0
        except OSError:
            break
        if is_good:
            os.environ[INSIDE] = "1"
            os.execvp(command[0], [*command, sys.executable, *sys.argv])
    skip("disk", "a tmpfs cannot be mounted, neither as it is nor in a user namespace (unshare -rm)")


if __name__ == "__main__":
    main()
