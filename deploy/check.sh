#!/usr/bin/env bash
# What is under deploy/, the Dockerfile and the SBOM, held to their word as far as that goes without a
# container engine, a cluster, or systemd as the first process.
#
#   deploy/check.sh [BINARY]      default target/debug/colonnade, for the image's last stage at work
#
# Uses what is on the PATH and says `skipped: …` of what is not; deploy/check.txt is what comes from PyPI.
# Exit: 0 good, 1 a fault.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
binary=$(realpath "${1:-$target/debug/colonnade}" 2>/dev/null || true)
sbom=$target/sbom/colonnade.cdx.json

folder=$(mktemp -d)
gateway=
# shellcheck disable=SC2317
tidy_up() {
    [ -z "$gateway" ] || kill -KILL "$gateway" 2>/dev/null || true
    rm -rf "$folder"
}
trap tidy_up EXIT

failed=0
good() { echo "ok: $1"; }
bad() {
    echo "FAULT: $1"
    failed=1
}
skip() { echo "skipped: $1"; }
have() { command -v "$1" >/dev/null; }
# try WHAT COMMAND...: quiet when it is good, all its words when it is not.
try() {
    local what=$1
    shift
    if "$@" >"$folder/words" 2>&1; then good "$what"; else
        cat "$folder/words"
        bad "$what"
    fi
}

dockerfile() {
    have hadolint || { skip 'the Dockerfile: hadolint is not installed'; return; }
    try 'the Dockerfile, by hadolint' hadolint --failure-threshold style Dockerfile
}

compose() {
    have check-jsonschema || { skip 'compose.yaml by its schema: check-jsonschema is not installed'; return; }
    try 'compose.yaml, by the schema of compose files' \
        check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
}

# Strictly, and for the oldest and the newest version that the manifests are meant for.
kubernetes() {
    local build version
    if have kustomize; then build=(kustomize build); elif have kubectl; then build=(kubectl kustomize); else
        skip 'the Kubernetes manifests: neither kubectl nor kustomize is installed'
        return
    fi
    "${build[@]}" deploy/kubernetes >"$folder/manifests.yaml" || { bad 'kustomize builds no manifests'; return; }
    good "the manifests, built by ${build[*]}"
    have kubernetes-validate || { skip "the manifests by the cluster's schemas: kubernetes-validate is not installed"; return; }
    for version in 1.29 1.37; do
        try "the manifests, strictly by the schemas of Kubernetes $version" \
            kubernetes-validate --strict -k "$version" "$folder/manifests.yaml"
    done
}

# What no schema knows: names that are meant to meet, and privileges that nothing needs.
relations() {
    python3 -c 'import yaml' 2>/dev/null || { skip 'names that must meet: python3 or its yaml is not installed'; return; }
    local manifests=()
    [ ! -s "$folder/manifests.yaml" ] || manifests=("$folder/manifests.yaml")
    python3 deploy/check.py ${manifests[@]+"${manifests[@]}"} || failed=1
}

unit() {
    have systemd-analyze || { skip 'the unit: systemd-analyze is not installed'; return; }
    # It looks for the program, which is not installed here. A key that it does not know is a warning to it.
    sed 's#/usr/local/bin/colonnade#/bin/true#' deploy/systemd/colonnade.service >"$folder/colonnade.service"
    systemd-analyze verify --man=no "$folder/colonnade.service" >"$folder/words" 2>&1 || echo 'exit code not 0' >>"$folder/words"
    if grep -E 'colonnade\.service|exit code' "$folder/words"; then bad 'the unit, by systemd-analyze verify'; else
        good 'the unit, by systemd-analyze verify'
    fi
    if ! systemd-analyze security --help 2>/dev/null | grep -q -- --offline; then
        skip "the unit's exposure: this systemd cannot look at a file (before 250)"
        return
    fi
    # In tenths. 1.1 of 10 is what a service that serves a network can come to.
    try "the unit's exposure is at most 1.5 of 10" \
        systemd-analyze security --offline=true --threshold=15 "$PWD/deploy/systemd/colonnade.service"
}

prometheus() {
    have promtool || { skip 'prometheus.yml: promtool is not installed'; return; }
    [ -f deploy/prometheus/alerts.yml ] || { skip 'prometheus.yml: its alerts.yml is not there'; return; }
    try 'prometheus.yml and its rules, by promtool' promtool check config deploy/prometheus/prometheus.yml
}

sbom() {
    [ -f "$sbom" ] || { skip 'the SBOM: not made (cargo xtask sbom)'; return; }
    python3 -c 'import cyclonedx' 2>/dev/null || { skip 'the SBOM: cyclonedx-python-lib is not installed'; return; }
    try 'the SBOM, strictly by the schema of CycloneDX 1.6' python3 - "$sbom" <<'PY'
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1], encoding="utf-8").read())
sys.exit(str(error) if error else 0)
PY
}

# A folder that holds what the base image has and no more, the binary in it as the image's user, without any
# privilege: it starts, the image's own HEALTHCHECK finds it, it writes to its state alone, and ends well.
image() {
    local root=$folder/root inside=(chroot --userspec=65532:65532 "$folder/root") library name port health code=0
    [ "$(id -u)" -eq 0 ] || { skip 'the image at work: a chroot needs root'; return; }
    have setpriv && have python3 || { skip 'the image at work: setpriv or python3 is not installed'; return; }
    [ -x "$binary" ] || { skip "the image at work: the binary is not built (cargo build)"; return; }
    chmod 755 "$folder"
    install -d -m 755 "$root"/{,dev,etc,etc/colonnade,var,var/lib}
    install -d -m 700 -o 65532 -g 65532 "$root/var/lib/colonnade"
    while read -r library; do
        name=${library##*/}
        case $name in
        ld-linux*.so.* | libc.so.6 | libm.so.6 | libgcc_s.so.1 | libpthread.so.0 | libdl.so.2 | librt.so.1) ;;
        *) bad "the binary needs $name, which distroless/cc does not have" ;;
        esac
        install -D -m 755 "$library" "$root$library"
    done < <(ldd "$binary" | grep -oE '/[^ ]+')
    install -m 755 "$binary" "$root/colonnade"
    if ! { mknod -m 666 "$root/dev/null" c 1 3 && mknod -m 444 "$root/dev/urandom" c 1 9 && : >"$root/dev/null"; } 2>/dev/null; then
        skip 'the image at work: no device may be made or used here'
        return
    fi
    port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
    port=$(port)
    cat >"$root/etc/colonnade/gateway.yaml" <<YAML
version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
telemetry: { address: "127.0.0.1:$port" }
store: { sqlite: /var/lib/colonnade/colonnade.db }
upstreams: { calls: { servers: ["127.0.0.1:9"] } }
plans: { starter: { limits: { minute: { requests: 60, window: 1m } } } }
scopes: { calls:read: Call records }
resources: { calls: { columns: all } }
routes: [{ match: GET /api/calls, upstream: calls, scope: calls:read, resource: calls }]
drain: { delay: 0s, grace: 1s }
YAML
    health=$(sed -nE 's/^HEALTHCHECK .*CMD \[(.*)\]$/\1/p' Dockerfile | tr -d '",')
    local clean=(env -i "PATH=$PATH" COLONNADE_CONFIG=/etc/colonnade/gateway.yaml setpriv --no-new-privs)
    "${clean[@]}" "${inside[@]}" /colonnade run >"$folder/log" 2>&1 &
    gateway=$!
    for _ in {1..150}; do
        # shellcheck disable=SC2086
        "${clean[@]}" "${inside[@]}" $health >"$folder/words" 2>&1 && break
        kill -0 "$gateway" 2>/dev/null || break
        sleep 0.1
    done
    # shellcheck disable=SC2086
    try 'the image at work: HEALTHCHECK finds the gateway' "${clean[@]}" "${inside[@]}" $health
    try 'the image at work: it is ready' "${clean[@]}" "${inside[@]}" /colonnade health --ready
    try 'the image at work: a command changes its store' \
        "${clean[@]}" "${inside[@]}" /colonnade accounts create acme --plan starter
    kill -TERM "$gateway" 2>/dev/null || true
    wait "$gateway" || code=$?
    gateway=
    if [ "$code" -eq 0 ]; then good 'the image at work: SIGTERM ends it with 0'; else
        cat "$folder/log"
        bad "the image at work: it ended with $code"
    fi
    name=$(find "$root" -user 65532 ! -path "$root/var/lib/colonnade*")
    [ -z "$name" ] || bad "the image at work: it wrote $name"
}

dockerfile
compose
kubernetes
relations
unit
prometheus
sbom
image
exit "$failed"
