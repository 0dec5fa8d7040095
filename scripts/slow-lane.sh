#!/bin/bash
# What the slow lane costs the orders: ROUNDS times, in alternation, the same open-loop load of orders alone and with the
# slow lane offered twice what it carries (measured first, with nothing refused). Prints the p99 of the orders and the CPU of the shard threads for both, and their
# ratios; exit status 1 when the median p99 or the median CPU is more than BOUND times that of the orders alone.
#
# Needs: cargo build --release --workspace --examples. About ROUNDS * 2 * (SECONDS + 3) seconds.
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
  local before slow=
  if [ "$1" = busy ]; then
    ask "$SLOW" $((SECONDS_EACH + 1)) $((2 * CARRIED)) >"$DATA/slow" &
    slow=$!
    sleep 0.5
  fi
  before=$(shard_us)
  "$BIN/tidegate-loadgen" run --target "https://$ADDRESS" --cacert "$DATA/shop/cert.pem" --token-key "$DATA/shop/token.key" \
    --rate "$RATE" --duration "${SECONDS_EACH}s" --connections 32 --shared --read-back 100 --users 10000 --report "$DATA/report" >"$DATA/run" ||
    { cat "$DATA/run" >&2; exit 2; }
  [ -z "$slow" ] || { wait "$slow" || true; }
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
slow = " ".join(open(data + "/slow").read().split("\n")) if name == "busy" else ""
print(f"{name:5} p99 {p99(report)} us, shard threads {cpu_us} us  {slow}")
PY
}

for _ in $(seq "$ROUNDS"); do round alone; round busy; done
python3 - "$DATA/rounds" "$BOUND" <<'PY'
import statistics, sys
rows = [line.split() for line in open(sys.argv[1])]
median = lambda name, column: statistics.median(float(row[column]) for row in rows if row[0] == name)
worst = 0
for what, column in (("p99", 1), ("CPU of the shard threads", 2)):
    ratio = median("busy", column) / max(median("alone", column), 1)
    worst = max(worst, ratio)
    print(f"{what}: {ratio:.3f} times that of the orders alone")
sys.exit(worst > float(sys.argv[2]))
PY
