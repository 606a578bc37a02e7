#!/usr/bin/env bash
# The admin API under random requests, from outside: a gateway on an embedded store, schemathesis with
# the document that it serves, once with a token that may do everything and once with one that may
# read. Nothing may answer 5xx or beside its schema; what the schema forbids must be refused; and the
# reader must have changed nothing.
#
#   loadtest/admin_fuzz.sh [BINARY]      default target/debug/colonnade; needs schemathesis 4 and curl
#   ADMIN_FUZZ_SECONDS=70                for each of the two runs
#
# Exit: 0 good, 1 a failure, 77 skipped, for something that is needed is missing (it says what).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
binary=$(realpath "${1:-target/debug/colonnade}" 2>/dev/null || true)
seconds=${ADMIN_FUZZ_SECONDS:-70}
rules=$PWD/loadtest/admin_fuzz.toml

missing() {
    echo "skipped: $1"
    exit 77
}
command -v curl >/dev/null || missing 'curl is not installed'
schemathesis=$(command -v schemathesis || command -v st) || missing 'schemathesis is not installed (pip install schemathesis)'
[ -x "$binary" ] || missing 'the binary is not built (cargo build)'

folder=$(mktemp -d)
gateway=
# shellcheck disable=SC2317
tidy_up() {
    [ -z "$gateway" ] || { kill "$gateway" 2>/dev/null || true; wait "$gateway" 2>/dev/null || true; }
    rm -rf "$folder"
}
trap tidy_up EXIT

digest() { printf 'sha256:%s' "$(printf %s "$1" | sha256sum | cut -d' ' -f1)"; }
root=root-$RANDOM$RANDOM$RANDOM reader=reader-$RANDOM$RANDOM$RANDOM
cat >"$folder/gateway.yaml" <<YAML
version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin:
  address: "127.0.0.1:0"
  tokens:
    root: { digest: "$(digest "$root")", permissions: [keys, data, accounts] }
    reader: { digest: "$(digest "$reader")", permissions: [read] }
telemetry: { address: "127.0.0.1:0", access_log: off }
store: { sqlite: colonnade.db }
upstreams: { calls: { servers: ["127.0.0.1:9"] } }
keys: { live_max: 100000 }
plans: { starter: { limits: { minute: { requests: 60, window: 1m } } } }
scopes: { calls:read: Call records }
resources: { calls: { columns: { call_id: { always: true }, created_at: {} } } }
routes: [{ match: GET /api/calls, upstream: calls, scope: calls:read, resource: calls, rows: "data[]" }]
YAML

"$binary" run --config "$folder/gateway.yaml" >"$folder/log" 2>&1 &
gateway=$!
address=
for _ in $(seq 100); do
    # The line that says ready says where, in the form of text or of JSON.
    address=$(sed -nE 's/.*"?admin"?[=:] ?"?(127\.0\.0\.1:[0-9]+).*/\1/p' "$folder/log" | head -n 1)
    [ -z "$address" ] || break
    kill -0 "$gateway" 2>/dev/null || { cat "$folder/log"; echo 'the gateway did not start'; exit 1; }
    sleep 0.1
done
[ -n "$address" ] || { cat "$folder/log"; echo 'the gateway did not say where it listens'; exit 1; }

ask() { curl -sS --max-time 20 -H "Authorization: Bearer $root" -H 'Content-Type: application/json' "$@"; }
base="http://$address/admin/v1"
ask -f "$base/openapi.json" -o "$folder/openapi.json"
ask -f -o "$folder/answer" "$base/accounts" -d '{"id":"acme","name":"Acme","plan":"starter","teams":[101,102]}'
ask -f -o "$folder/answer" -X PUT "$base/accounts/acme/users/u_ann" -d '{"active":true}'
ask -f -o "$folder/answer" "$base/accounts/acme/keys" -d '{"name":"CRM","scopes":["calls:read"]}'

fuzz() {
    (cd "$folder" && timeout $((seconds + 60)) "$schemathesis" --config-file "$rules" run openapi.json \
        --url "http://$address" -H "Authorization: Bearer $1" \
        --max-time "$seconds" --max-examples 50 --no-color --request-timeout 40 --report-dir reports)
}
failed=0
changes() { ask -f "$base/audit?limit=1" | sed -E 's/.*"items":\[\{"id":([0-9]+).*/\1/'; }
before=$(changes)
fuzz "$reader" || failed=1
[ "$(changes)" = "$before" ] || { echo 'the token that may read has changed something'; failed=1; }
fuzz "$root" || failed=1
kill -0 "$gateway" 2>/dev/null || { echo 'the gateway is gone'; failed=1; }
if grep -qE 'panicked' "$folder/log"; then
    grep -E 'panicked' "$folder/log"
    failed=1
fi
exit "$failed"
