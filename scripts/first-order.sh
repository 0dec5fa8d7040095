#!/usr/bin/env bash
# As a newcomer: start the gateway with nothing configured, paste the curl line that it prints, twice; kill it with -9, start it
# again, and find the order. Takes the folder to work in; ports are chosen by the kernel.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:?usage: first-order.sh FOLDER}
mkdir -p "$work"
. scripts/gateway.sh

# The line as printed, from `curl` to its end, continuation lines included.
pasted() { sed -n '/^curl /,/[^\\]$/p' "$work/banner" | sed '/^$/q'; }

start_gateway
pasted >"$work/curl.sh"
first=$(bash "$work/curl.sh")
second=$(bash "$work/curl.sh")
id=$(grep -o '"order_id":"[0-9]*"' <<<"$first" | head -n 1)
[ -n "$id" ] || { echo "no order: $first"; exit 1; }
grep -qF "$id" <<<"$second" || { echo "the repeat made another order: $first / $second"; exit 1; }
kill_gateway
start_gateway
token=$("$tidegate" token --data "$work/data" --user operator --role operator)
read_back=$(curl -sS --cacert "$work/data/cert.pem" -H "Authorization: Bearer $token" "$url/v1/orders/$(grep -o '[0-9]*' <<<"${id#*:}")")
grep -qF "$id" <<<"$read_back" || { echo "the order is gone after kill -9: $read_back"; exit 1; }
stop_gateway
"$tidegate" log verify "$work/data"
echo "first order: $id, the same twice, and there after kill -9"
