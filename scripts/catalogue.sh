#!/usr/bin/env bash
# A catalogue in bulk: a file with bad lines is refused as a whole, a good one of 20,000 SKUs is imported while the gateway is killed with -9 under
# it, and the export afterwards is the same file. Takes the folder to work in; ports are chosen by the kernel. About 20 seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "${1:?usage: catalogue.sh FOLDER}"
work=$(cd "$1" && pwd)
. scripts/gateway.sh

start_gateway
catalogue() { "$tidegate" catalogue "$1" "${@:2}" --target "$url" --data "$work/data"; }

catalogue export --out "$work/first.csv"
[ "$(wc -l <"$work/first.csv")" = 1002 ] || { echo "the sample catalogue has another length"; exit 1; }

printf 'sku,price,currency,stock\nT-1,100,EUR,5\nT-2,cheap,EUR,5\nT-1,100,EUR,5\n' >"$work/bad.csv"
if catalogue import "$work/bad.csv" 2>"$work/bad"; then echo "a bad file was imported"; exit 1; fi
grep -q 'line 3: price is a whole number' "$work/bad" && grep -q 'line 4: T-1 is in line 2' "$work/bad" || { cat "$work/bad"; exit 1; }
if curl -sSf --cacert "$work/data/cert.pem" "$url/v1/skus/T-1" 2>/dev/null; then echo "a line of a bad file was applied"; exit 1; fi

{
    head -n 1 "$work/first.csv"
    for n in $(seq 10001 30000); do echo "BULK-$n,\"Article $n, bulk\",$n,EUR,7,2,sku,,,600,false"; done
} >"$work/bulk.csv"
catalogue import "$work/bulk.csv" --check
catalogue import "$work/bulk.csv" >"$work/import" 2>&1 &
import=$!
for _ in $(seq 300); do
    curl -sS --cacert "$work/data/cert.pem" "$url/v1/stock/BULK-10500" | grep -q '"stocked":7' && break
    sleep 0.05
done
kill_gateway
start_gateway --listen "${url#https://}"
wait "$import" || { echo "the import did not go on:"; cat "$work/import" "$work/log"; exit 1; }
grep -q '^20000 of 20000 lines applied' "$work/import" || { cat "$work/import"; exit 1; }

# The store follows the shards: the last lines may be a moment away.
for _ in $(seq 50); do
    catalogue export >"$work/all.csv"
    grep '^BULK-' "$work/all.csv" >"$work/exported" || true
    tail -n +2 "$work/bulk.csv" | cmp -s - "$work/exported" && break
    sleep 0.2
done
tail -n +2 "$work/bulk.csv" | cmp - "$work/exported"
if catalogue import "$work/bulk.csv" 2>"$work/again"; then echo "the file was imported twice"; exit 1; fi
grep -q 'add --again' "$work/again" || { cat "$work/again"; exit 1; }
stop_gateway
"$tidegate" log verify "$work/data" >/dev/null
echo "a catalogue of 20,000 SKUs came in whole over a kill -9, and went out as it came in"
