#!/usr/bin/env bash
# Asks a fresh gateway what its own description (/v1/openapi.json) allows, and what it does not, as a user and as an operator, with
# Schemathesis: no answer is a fault of the server, and every answer has a status, a content type and a body that are described.
# Takes the folder to work in. 90 seconds at most after the installation. SEED=n repeats a run. SKIPPED where pip cannot install.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "${1:?usage: schemathesis.sh FOLDER}"
work=$(cd "$1" && pwd)
seed=${SEED:-20261127}
. scripts/gateway.sh

python3 -m venv "$work/venv" 2>"$work/pip.log" && "$work/venv/bin/pip" install -q 'schemathesis>=4.4,<5' >>"$work/pip.log" 2>&1 || {
    echo "SKIPPED: schemathesis cannot be installed: $(tail -n 1 "$work/pip.log")"
    exit 0
}

start_gateway --set limits.user.rate=off --set limits.address.rate=off --set limits.handshakes.rate=off
# 503 and 504 are described and no faults of the server: a gateway that says them does what it should.
cat >"$work/schemathesis.toml" <<'TOML'
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501, 503, 504, 505]
TOML

ask() { # who, token
    echo "as $1, seed $seed"
    # It leaves files where it runs.
    (cd "$work" && exec timeout --signal=INT 45 "$work/venv/bin/schemathesis" --config-file "$work/schemathesis.toml" run "$url/v1/openapi.json" \
        --header "Authorization: Bearer $2" --tls-verify "$work/data/cert.pem" --seed "$seed" --phases examples,coverage,fuzzing --max-examples 30 \
        --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
        --continue-on-failure --request-timeout 10 --no-color --warnings off)
}
failed=0
ask "a user" "$("$tidegate" token --data "$work/data" --user alice)" || failed=1
ask "an operator" "$("$tidegate" token --data "$work/data" --user root --role operator)" || failed=1
kill -0 "$pid" 2>/dev/null || { echo "the gateway ended:"; tail -n 20 "$work/log"; exit 1; }
if grep -q 'panicked' "$work/log"; then echo "a thread panicked:"; grep -A5 'panicked' "$work/log"; exit 1; fi
exit "$failed"
