#!/usr/bin/env python3
"""Proves that the checks of loadtest/k6 can fail, and those of oha.py: a check that cannot is none.

    loadtest/k6_selftest.py [--programs FOLDER] [--only WORD]

Each case points a script at something that is wrong in one way, and the script must fail (exit 99)
at the thresholds that are there for it. What is wrong: the stand-in upstream itself in place of the
gateway, a limit other than the truth, another key revoked than the one under load, a port where
nobody listens, or a relay that spoils the gateway's answers (k6_flaws.py). That the scripts pass
where nothing is wrong is loadtest/k6.py's part. The runs of oha.py are spoiled in the same way where
oha is installed.
"""

import argparse
import contextlib
import dataclasses
import json
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True  # the repository is no place for what Python caches

import k6_flaws as flaws  # noqa: E402
import oha  # noqa: E402
from demo import TEAM, demo, load_average, targets, upstream  # noqa: E402
from k6 import HERE, run  # noqa: E402

CROSSED = 99  # k6's exit code where a threshold was crossed
AT_ONCE = 3  # they wait more than they work; an account of the demo holds ten keys

SMOKE = {"ITERATIONS": "1"}
LIMIT = {"LIMIT": "60", "WINDOW": "2", "WINDOWS": "1", "VUS": "8"}
REVOKE = {"BEFORE": "1", "AFTER": "1", "VUS": "4"}
SOAK = {"RATE": "10", "SECONDS": "3", "VUS": "4"}
RAMP = {"RATE": "10", "SECONDS": "2", "VUS": "4"}
SPIKE = {"RATE": "20", "FLOOD": "60", "LIMIT": "40", "WINDOW": "2", "WINDOWS": "1", "VUS": "8"}


class Stand:
    """The demo, the upstream beside it, and what spoils a script's environment."""

    def __init__(self, gateway, addresses, wanted, undo):
        self.gateway, self.addresses, self.wanted, self.undo = gateway, addresses, wanted, undo

    def environment(self, **changes):
        return {**self.gateway.environment(self.wanted), **changes}

    def behind(self, flaw):
        return self.environment(BASE_URL=self.undo.enter_context(flaws.relay(self.gateway.proxy, flaw)))

    def the_upstream(self):
        """Its headers are believed, as it believes the gateway's."""
        headers = json.dumps({"X-Colonnade-Team": TEAM})
        return self.environment(BASE_URL=self.addresses["calls"], KEY="any", HEADERS=headers)

    def nobody(self):
        return self.environment(BASE_URL="http://127.0.0.1:1", KEY="any")

    def a_limit_of(self, requests):
        """Another than LIMIT says."""
        text, key_id = self.gateway.make_key("selftest, limit", requests, f"{LIMIT['WINDOW']}s")
        self.undo.callback(self.gateway.revoke, key_id)
        return self.environment(KEY=text)

    def another_key_revoked(self):
        under_load, key_id = self.gateway.make_key("selftest, under load", 1_000_000, "1m")
        self.undo.callback(self.gateway.revoke, key_id)
        _, other_id = self.gateway.make_key("selftest, revoked", 1_000_000, "1m")
        return self.environment(KEY=under_load, KEY_ID=other_id)

    def an_admin_api_with(self, flaw):
        return self.environment(ADMIN_URL=self.undo.enter_context(flaws.relay(self.gateway.admin, flaw)))

    def memory_that_grows(self):
        metrics = flaws.relay(self.gateway.telemetry, flaws.GrowsAndGrows())
        return self.environment(TELEMETRY_URL=self.undo.enter_context(metrics))


#: What is wrong, the script, its lengths, how it comes to be wrong, and what must fail.
CASES = [
    ("the upstream in place of the gateway", "smoke", SMOKE, Stand.the_upstream,
     ["hidden_shown: count==0", "limit_headers_wrong: count==0", "refusals_wrong: count==0"]),
    ("nobody listens", "smoke", SMOKE, Stand.nobody,
     ["answers_good: count>0", "answers_unexpected: count==0"]),
    ("an answer breaks off", "smoke", SMOKE, lambda stand: stand.behind(flaws.breaks_off),
     ["answers_cut: count==0"]),
    ("half a body, of the length it says", "smoke", SMOKE, lambda stand: stand.behind(flaws.half_a_body),
     ["answers_cut: count==0"]),
    ("a row is lost", "smoke", SMOKE, lambda stand: stand.behind(flaws.loses_a_row), ["answers_cut: count==0"]),
    ("a hidden column, escaped and deep", "smoke", SMOKE, lambda stand: stand.behind(flaws.shows_a_column),
     ["hidden_shown: count==0"]),
    ("a column nobody listed", "smoke", SMOKE, lambda stand: stand.behind(flaws.shows_a_new_column),
     ["hidden_shown: count==0"]),
    ("a hidden text in a refusal", "smoke", SMOKE, lambda stand: stand.behind(flaws.shows_a_text),
     ["hidden_shown: count==0"]),
    ("a remaining count below zero", "smoke", SMOKE, lambda stand: stand.behind(flaws.counts_below_zero),
     ["limit_headers_wrong: count==0"]),
    ("the limit is twice what it should be", "limit", LIMIT, lambda stand: stand.a_limit_of(120),
     ["admitted{window:1}: count<=60", "limit_differs: count==0"]),
    ("the limit is half of what it should be", "limit", LIMIT, lambda stand: stand.a_limit_of(30),
     ["admitted{window:1}: count>=60", "limit_differs: count==0"]),
    ("more get through than the limit says", "limit", LIMIT, lambda stand: stand.behind(flaws.LetsMoreThrough()),
     ["admitted{window:1}: count<=60"]),
    ("a 429 without Retry-After", "limit", LIMIT, lambda stand: stand.behind(flaws.says_no_retry_after),
     ["limit_headers_wrong: count==0"]),
    ("a Retry-After that is too short", "limit", LIMIT, lambda stand: stand.behind(flaws.SaysTooEarly()),
     ["waited_in_vain: count==0"]),
    ("another key is revoked", "revoke", REVOKE, Stand.another_key_revoked,
     ["revoked_passed: count==0", "vus_refused_after: rate==1"]),
    ("revocation does not reach open connections", "revoke", REVOKE,
     lambda stand: stand.behind(flaws.trusts_its_connections),
     ["revoked_passed: count==0", "vus_refused_on_a_connection_that_passed: rate==1"]),
    ("no connection is kept", "revoke", REVOKE, lambda stand: stand.behind(flaws.closes),
     ["vus_refused_on_a_connection_that_passed: rate==1"]),
    ("a revoked key gets through", "soak", SOAK, lambda stand: stand.behind(flaws.ForgetsNothing()),
     ["revoked_passed: count==0"]),
    ("a revocation is not acknowledged", "soak", SOAK,
     lambda stand: stand.an_admin_api_with(flaws.does_not_say_revoked),
     ["script_errors: count==0", "keys_turned: count>0"]),
    ("a flood takes from another key", "spike", SPIKE, lambda stand: stand.behind(flaws.TakesFromOthers()),
     ["answers_unexpected: count==0", "admitted{window:3}: count>=40"]),
    ("a row is lost under load", "ramp", RAMP, lambda stand: stand.behind(flaws.loses_a_row),
     ["answers_cut: count==0"]),
    ("slower than was asked for", "ramp", {**RAMP, "P95_MS": "0.01"}, Stand.environment,
     ["http_req_duration{expected_response:true}: p(95)<0.01"]),
    ("memory grows", "soak", SOAK, Stand.memory_that_grows, ["resident_growth_mib: max<64"]),
]

#: The same of a run of oha.py.
OHA = argparse.Namespace(requests=300, connections=8)
OHA_CASES = [
    ("oha: a row is lost", oha.whole_answers, lambda: flaws.loses_a_row),
    ("oha: an answer breaks off", oha.whole_answers, lambda: flaws.After(10, flaws.breaks_off)),
    ("oha: half a body, of the length it says", oha.whole_answers, lambda: flaws.After(10, flaws.half_a_body)),
    ("oha: more get through than the limit says", oha.limit_admits, flaws.LetsMoreThrough),
    ("oha: a revoked key gets through", oha.revoked_gets_nothing, flaws.ForgetsNothing),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=Path, default=HERE.parent / "target" / "release", metavar="FOLDER",
                        help="where the binaries are (default: target/release)")
    parser.add_argument("--only", default="", metavar="WORD", help="cases whose words have this in them")
    options = parser.parse_args()
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    chosen = [case for case in CASES if options.only in case[0]]
    chosen_oha = [case for case in OHA_CASES if options.only in case[0]] if oha.program() else []
    with tempfile.TemporaryDirectory(prefix="k6-selftest-") as folder, upstream(options.programs) as addresses, \
            demo(options.programs) as gateway:
        wanted = Path(folder) / "targets.json"
        told = targets(addresses)
        wanted.write_text(json.dumps(told))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            is_noticed = list(pool.map(lambda case: noticed(case, gateway, addresses, wanted), chosen))
        is_noticed += [noticed_by_oha(case, gateway, told["targets"][1]) for case in chosen_oha]
    print(f"{sum(is_noticed)} of {len(is_noticed)} flaws noticed, load average {load_average()}")
    sys.exit(0 if is_noticed and all(is_noticed) else 1)


def noticed(case, gateway, addresses, wanted):
    words, script, lengths, spoil, expected = case
    with contextlib.ExitStack() as undo:
        result = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="k6-case-"))) / "result.json"
        environment = {**spoil(Stand(gateway, addresses, wanted, undo)), **lengths}
        code, said = run(script, environment, result, quiet=True)
        failed = json.loads(result.read_text())["failed"] if result.exists() else []
    missing = [threshold for threshold in expected if threshold not in failed]
    is_noticed = code == CROSSED and not missing
    print(f"{'noticed' if is_noticed else 'MISSED '}  {script}: {words}", flush=True)
    if not is_noticed:
        print(f"exit {code}, not failed: {missing}, failed: {failed}\n{said[-3000:]}", flush=True)
    return is_noticed


def noticed_by_oha(case, gateway, page):
    words, run_of_oha, flaw = case
    with flaws.relay(gateway.proxy, flaw()) as spoiled:
        faults = run_of_oha(OHA, dataclasses.replace(gateway, proxy=spoiled), page)["faults"]
    print(f"{'noticed' if faults else 'MISSED '}  {words}", flush=True)
    return bool(faults)


if __name__ == "__main__":
    main()
