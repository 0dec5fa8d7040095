#!/bin/bash
# What the backoffice costs the orders: ROUNDS times, in alternation, the same open-loop load of orders alone (the store follows), with every thread of the
# backoffice standing still (scripts/freeze.py), and with the slow lane offered twice what it carries (measured first, with nothing refused). Prints the p99 of the
# orders and the CPU of the shard threads for each, and their ratios; exit status 1 when a median is more than BOUND times that of the orders alone.
#
# Needs: cargo build --release --workspace --examples. About ROUNDS * 3 * (SECONDS_EACH + 3) seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN=${BIN:-target/release}
RATE=${RATE:-4000} SECONDS_EACH=${SECONDS_EACH:-10} ROUNDS=${ROUNDS:-5} SLOW=${SLOW:-64} BOUND=${BOUND:-1.03}
DATA=$(mktemp -d)
trap '[ -n "${PID:-}" ] && kill "$PID" 2>/dev/null; wait 2>/dev/null; rm -rf "$DATA"' EXIT

"$BIN/tidegate" run --data "$DATA/shop" --listen 127.0.0.1:0 --admin 127.0.0.1:0 \
  --set limits.user.rate=off --set limits.address.rate=off --set slow_lane.exchanges=32 --set http.requests_per_connection=100000000 ${SET:-} >"$DATA/banner" 2>"$DATA/log" &
PID=$!
for _ in $(seq 200); do grep -q 'listens on' "$DATA/banner" && break; sleep 0.1; done
ADDRESS=$(grep -o 'https://[0-9.:]*' "$DATA/banner" | head -1); ADDRESS=${ADDRESS#https://}
TOKEN=$("$BIN/tidegate" token --data "$DATA/shop" --user lister)

# CPU of the shard threads so far, microseconds.
shard_us() {
  local sum=0 task ns
  for task in /proc/"$PID"/task/*; do
    case "$(cat "$task/comm")" in tidegate-shard*) read -r ns _ <"$task/schedstat"; sum=$((sum + ns / 1000));; esac
  done
  echo "$sum"
}

ask() { # connections, seconds, rate
  nice -n 10 "$BIN/examples/slow_load" "$ADDRESS" "$DATA/shop/cert.pem" "$TOKEN" "$@"
}

# Fewer connections than the lane has places: every answer is one that it carried.
ask 16 3 0 >"$DATA/carried"
if grep -qv '^200 ' "$DATA/carried"; then
  echo "the slow lane does not answer: $(tr '\n' ' ' <"$DATA/carried")" >&2
  exit 2
fi
CARRIED=$(($(cut -d' ' -f2 "$DATA/carried") / 3))
echo "the slow lane carries $CARRIED lists a second; it is offered $((2 * CARRIED))"

round() { # name
  local before beside=
  : >"$DATA/beside"
  case "$1" in
    flooded) ask "$SLOW" $((SECONDS_EACH + 1)) $((2 * CARRIED)) >"$DATA/beside" & beside=$! ;;
    frozen) python3 scripts/freeze.py "$PID" $((SECONDS_EACH + 1)) feed store-writer backoffice >"$DATA/beside" & beside=$! ;;
  esac
  [ -z "$beside" ] || sleep 0.5
  before=$(shard_us)
  "$BIN/tidegate-loadgen" run --target "https://$ADDRESS" --cacert "$DATA/shop/cert.pem" --token-key "$DATA/shop/token.key" \
    --rate "$RATE" --duration "${SECONDS_EACH}s" --connections 32 --shared --read-back 100 --users 10000 --report "$DATA/report" >"$DATA/run" ||
    { cat "$DATA/run" >&2; exit 2; }
  [ -z "$beside" ] || { wait "$beside" || true; }
  python3 - "$1" "$DATA" $(($(shard_us) - before)) <<'PY'
import json, sys
name, data, cpu_us = sys.argv[1:]
report = json.load(open(data + "/report/report.json"))
def p99(node):
    if isinstance(node, dict):
        if "latency_us" in node: return node["latency_us"]["p99"]
        for child in node.values():
            found = p99(child)
            if found is not None: return found
line = f"{name} {p99(report)} {cpu_us}"
open(data + "/rounds", "a").write(line + "\n")
beside = " ".join(open(data + "/beside").read().split("\n"))
print(f"{name:7} p99 {p99(report)} us, shard threads {cpu_us} us  {beside}", flush=True)
PY
}

for _ in $(seq "$ROUNDS"); do for name in alone frozen flooded; do round "$name"; done; done
python3 - "$DATA/rounds" "$BOUND" <<'PY'
import statistics, sys
rows = [line.split() for line in open(sys.argv[1])]
median = lambda name, column: statistics.median(float(row[column]) for row in rows if row[0] == name)
worst = 0
for name in ("frozen", "flooded"):
    for what, column in (("p99", 1), ("CPU of the shard threads", 2)):
        ratio = median(name, column) / max(median("alone", column), 1)
        worst = max(worst, ratio)
        print(f"{name}: {what} {ratio:.3f} times that of the orders alone")
sys.exit(worst > float(sys.argv[2]))
PY
