#!/usr/bin/env bash
# Real clients against a running gateway: curl over HTTP/1.1 and HTTP/2, h2load, wrk, a malformed request by hand, a drain.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:?usage: clients.sh FOLDER}
mkdir -p "$work"
. scripts/gateway.sh
start_gateway --set limits.user.rate=off --set limits.address.rate=off
token=$("$tidegate" token --data "$work/data" --user alice)
operator=$("$tidegate" token --data "$work/data" --user root --role operator)
fail() { echo "FAILED: $*"; tail -n 20 "$work/log"; exit 1; }
call() { curl -sS --cacert "$work/data/cert.pem" -o "$work/body" -w '%{http_code}' -H "Authorization: Bearer ${AS:-$token}" "$@"; }
expect() { local want=$1 got; shift; got=$(call "$@"); [ "$got" = "$want" ] || fail "wanted $want, got $got for $*: $(cat "$work/body")"; }

order='{"lines":[{"sku":"SKU-1","qty":1},{"sku":"SKU-2","qty":2}]}'
for version in --http1.1 --http2; do
    key="clients$version"
    expect 201 $version -H "Idempotency-Key: $key" -d "$order" -H 'content-type: application/json' "$url/v1/orders"
    id=$(grep -o '"order_id":"[0-9]*' "$work/body" | grep -o '[0-9]*$')
    expect 201 $version -H "Idempotency-Key: $key" -d "$order" -H 'content-type: application/json' "$url/v1/orders"
    grep -q "$id" "$work/body" || fail "a repeat made another order"
    expect 422 $version -H "Idempotency-Key: $key" -d '{"lines":[{"sku":"SKU-1","qty":9}]}' -H 'content-type: application/json' "$url/v1/orders"
    expect 200 $version "$url/v1/orders/$id"
    expect 403 $version -d '{"charge":"ch_1"}' -H 'content-type: application/json' "$url/v1/orders/$id/confirm"
    AS=$operator expect 200 $version -d '{"charge":"ch_1"}' -H 'content-type: application/json' "$url/v1/orders/$id/confirm"
    expect 409 $version -X POST "$url/v1/orders/$id/cancel"
    expect 400 $version -d "$order" -H 'content-type: application/json' "$url/v1/orders"
    expect 404 $version "$url/v1/nothing"
    expect 405 $version -X DELETE "$url/v1/orders/$id"
    expect 200 $version "$url/v1/stock/SKU-1"
    expect 200 $version "$url/v1/skus/SKU-2"
done
AS=nonsense expect 401 "$url/v1/orders/1"
AS=$operator expect 200 -X PUT -H 'content-type: application/json' -d '{"name":"A new one","price":500,"currency":"EUR","stock":1}' "$url/v1/skus/NEW-1"
expect 201 -H 'Idempotency-Key: n1' -H 'content-type: application/json' -d '{"lines":[{"sku":"NEW-1","qty":1}]}' "$url/v1/orders"
expect 409 -H 'Idempotency-Key: n2' -H 'content-type: application/json' -d '{"lines":[{"sku":"NEW-1","qty":1}]}' "$url/v1/orders"
grep -q sold_out "$work/body" || fail "not sold_out: $(cat "$work/body")"

# h2load and wrk read stock: fixed requests, 2xx each.
h2load -n 5000 -c 8 -m 16 "$url/v1/stock/SKU-1" >"$work/h2load" 2>&1 || fail "h2load: $(cat "$work/h2load")"
grep -q '5000 succeeded' "$work/h2load" || fail "h2load: $(cat "$work/h2load")"
wrk -t 1 -c 16 -d 2 "$url/v1/stock/SKU-1" >"$work/wrk" 2>&1 || fail "wrk: $(cat "$work/wrk")"
grep -q 'Non-2xx' "$work/wrk" && fail "wrk: $(cat "$work/wrk")"

# RFC 9113 and RFC 7541, clause by clause. Left out is 5.3, the priorities that RFC 9113 took out of the protocol.
if command -v h2spec >/dev/null; then
    host=${url#https://}
    h2spec --tls --insecure --host "${host%:*}" --port "${host#*:}" --path /v1/stock/SKU-1 --timeout 3 \
        generic hpack http2/3 http2/4 http2/5.1 http2/5.4 http2/5.5 http2/6 http2/7 http2/8 >"$work/h2spec" 2>&1 ||
        fail "h2spec: $(grep -A 8 '^Failures' "$work/h2spec")"
    tail -n 1 "$work/h2spec"
else
    echo "SKIPPED: h2spec is not installed (go install github.com/summerwind/h2spec/cmd/h2spec@latest)"
fi

curl -sS "$admin/metrics" >"$work/metrics"
grep -q 'tidegate_' "$work/metrics" || fail "no metrics"
curl -sS "$admin/config" | grep -q '"shards"' || fail "no /config"
# Profiles of a busy process, with the hot path in them.
wrk -t 1 -c 16 -d 8 "$url/v1/stock/SKU-1" >"$work/wrk2" 2>&1 &
load=$!
curl -sS "$admin/debug/pprof/flamegraph?seconds=2" >"$work/flame.svg"
grep -q '<svg' "$work/flame.svg" || fail "no flamegraph: $(head -c 200 "$work/flame.svg")"
grep -q '<title>pump ' "$work/flame.svg" || fail "the flamegraph does not show the hot path"
[ "$(curl -sS -o "$work/profile.gz" -w '%{http_code}' "$admin/debug/pprof/profile?seconds=2")" = 200 ] || fail "no profile"
wait "$load"
if command -v go >/dev/null; then
    go tool pprof -top "$work/profile.gz" >"$work/top" 2>&1 || fail "go tool pprof does not open the profile: $(cat "$work/top")"
else
    echo "SKIPPED: go is not installed, so nobody opened the profile with go tool pprof"
fi
kill -TERM "$pid"
wait "$pid" || fail "SIGTERM did not end in exit status 0"
pid=""
echo "clients: curl over h1 and h2, h2load, wrk, h2spec, metrics, profile, drain: ok"
