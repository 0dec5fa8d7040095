#!/usr/bin/env bash
# As a newcomer: start the gateway with nothing configured, paste the curl line that it prints, twice; kill it with -9, start it
# again, and find the order. Takes the folder to work in; ports are chosen by the kernel.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:?usage: first-order.sh FOLDER}
tidegate=${TIDEGATE:-$PWD/target/release/tidegate}
mkdir -p "$work"
pid=""
trap 'if [ -n "$pid" ]; then kill -9 "$pid" 2>/dev/null || true; fi' EXIT

start() {
    "$tidegate" --data "$work/data" --listen 127.0.0.1:0 --admin 127.0.0.1:0 >"$work/banner" 2>"$work/log" &
    pid=$!
    for _ in $(seq 300); do
        grep -q 'Place an order' "$work/banner" && return
        kill -0 "$pid" 2>/dev/null || { echo "the gateway ended:"; cat "$work/banner" "$work/log"; exit 1; }
        sleep 0.1
    done
    echo "no banner after 30 s"; cat "$work/log"; exit 1
}

# The line as printed, from `curl` to its end, continuation lines included.
pasted() { sed -n '/^curl /,/[^\\]$/p' "$work/banner" | sed '/^$/q'; }

start
pasted >"$work/curl.sh"
first=$(bash "$work/curl.sh")
second=$(bash "$work/curl.sh")
id=$(grep -o '"order_id":"[0-9]*"' <<<"$first" | head -n 1)
[ -n "$id" ] || { echo "no order: $first"; exit 1; }
grep -qF "$id" <<<"$second" || { echo "the repeat made another order: $first / $second"; exit 1; }
kill -9 "$pid"; wait "$pid" 2>/dev/null || true; pid=""
start
address=$(grep -o 'https://127.0.0.1:[0-9]*' "$work/banner" | head -n 1)
token=$("$tidegate" token --data "$work/data" --user operator --role operator)
read_back=$(curl -sS --cacert "$work/data/cert.pem" -H "Authorization: Bearer $token" "$address/v1/orders/$(grep -o '[0-9]*' <<<"${id#*:}")")
grep -qF "$id" <<<"$read_back" || { echo "the order is gone after kill -9: $read_back"; exit 1; }
kill -TERM "$pid"; wait "$pid"; pid=""
"$tidegate" log verify "$work/data"
echo "first order: $id, the same twice, and there after kill -9"
