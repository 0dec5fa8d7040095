#!/bin/bash
# What the backoffice costs the orders: ROUNDS times, in alternation, the same open-loop load of orders alone (the store follows), with every thread of the
# backoffice standing still (scripts/freeze.py), with the slow lane offered twice what it carries (measured first, in a closed loop), and hammered: SLOW connections
# that ask again as soon as they are answered. Prints p50 and p99 of the orders and the CPU of the threads for each, and the medians over the rounds of what each
# makes of the round's orders alone; exit status 1 when one of these, of the p99 or of the CPU of the shard threads, is more than BOUND.
#
# A p99 is the commits' and the scheduler's as well: on two cores that load generators share, one round differs from the next by more than the bound. So a round's modes
# are compared with each other and not with another round's, the order of the modes turns with the rounds, the first round (to warm up) does not count, and the spread of
# `alone` against itself (ALONE_TWICE=1: a mode `again`) says what the machine can tell apart. No checkpoint is due meanwhile: one comes every 20 s at this rate, so it fell into
# some rounds and not into others.
#
# Needs: cargo build --release --workspace --examples. About (ROUNDS * modes + 1) * (SECONDS_EACH + 2) seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN=${BIN:-target/release}
RATE=${RATE:-4000} SECONDS_EACH=${SECONDS_EACH:-10} ROUNDS=${ROUNDS:-5} SLOW=${SLOW:-64} BOUND=${BOUND:-1.03}
MODES=${MODES:-alone frozen flooded hammered}
[ -z "${ALONE_TWICE:-}" ] || MODES="$MODES again"
# Server and generators on a core each, so that they do not take turns on both.
if [ "$(nproc)" -ge 2 ]; then SERVER="taskset -c ${SERVER_CORES:-0}" CLIENTS="taskset -c ${CLIENT_CORES:-1}"; else SERVER='' CLIENTS=''; fi
DATA=$(mktemp -d)
trap '[ -n "${PID:-}" ] && kill "$PID" 2>/dev/null; wait 2>/dev/null; rm -rf "$DATA"' EXIT

$SERVER "$BIN/tidegate" run --data "$DATA/shop" --listen 127.0.0.1:0 --admin 127.0.0.1:0 \
  --set limits.user.rate=off --set limits.address.rate=off --set slow_lane.exchanges=32 --set http.requests_per_connection=100000000 \
  --set shards.checkpoint_bytes=17179869184 ${SET:-} >"$DATA/banner" 2>"$DATA/log" &
PID=$!
for _ in $(seq 200); do grep -q 'listens on' "$DATA/banner" 2>/dev/null && break; sleep 0.1; done
ADDRESS=$(grep -o 'https://[0-9.:]*' "$DATA/banner" | head -1); ADDRESS=${ADDRESS#https://}
TOKEN=$("$BIN/tidegate" token --data "$DATA/shop" --user lister)

# CPU so far of the shard threads, the net threads and all others, microseconds.
cpu_us() {
  local shard=0 net=0 task ns all
  for task in /proc/"$PID"/task/*; do
    read -r ns _ <"$task/schedstat" || continue
    case "$(cat "$task/comm")" in
      tidegate-shard*) shard=$((shard + ns / 1000));;
      net-*) net=$((net + ns / 1000));;
    esac
  done
  # Of the whole process, so that threads that have ended are in it.
  all=$(awk -v tick="$(getconf CLK_TCK)" '{ print int(($14 + $15) * 1000000 / tick) }' /proc/"$PID"/stat)
  echo "$shard $net $((all - shard - net))"
}

ask() { # connections, seconds, rate
  $CLIENTS nice -n 10 "$BIN/examples/slow_load" "$ADDRESS" "$DATA/shop/cert.pem" "$TOKEN" "$@"
}

ask "$SLOW" 3 0 >"$DATA/carried"
CARRIED=$(awk '$1 == 200 { print int($2 / 3) }' "$DATA/carried")
if [ -z "$CARRIED" ]; then
  echo "the slow lane does not answer: $(tr '\n' ' ' <"$DATA/carried")" >&2
  exit 2
fi
echo "the slow lane carries $CARRIED lists a second; it is offered $((2 * CARRIED))"

round() { # name, seconds
  local before beside=
  : >"$DATA/beside"
  case "$1" in
    flooded) ask "$SLOW" $(($2 + 1)) $((2 * CARRIED)) >"$DATA/beside" & beside=$! ;;
    hammered) ask "$SLOW" $(($2 + 1)) 0 >"$DATA/beside" & beside=$! ;;
    frozen) python3 scripts/freeze.py "$PID" $(($2 + 1)) feed store-writer backoffice >"$DATA/beside" & beside=$! ;;
  esac
  sleep 0.5
  before=$(cpu_us)
  $CLIENTS "$BIN/tidegate-loadgen" run --target "https://$ADDRESS" --cacert "$DATA/shop/cert.pem" --token-key "$DATA/shop/token.key" \
    --rate "$RATE" --duration "${2}s" --connections 32 --shared --read-back 100 --users 10000 --report "$DATA/report" >"$DATA/run" 2>&1 ||
    { cat "$DATA/run" >&2; exit 2; }
  # shellcheck disable=SC2046,SC2086
  set -- "$1" $before $(cpu_us)
  [ -z "$beside" ] || { wait "$beside" || true; }
  python3 - "$1" "$DATA" $(($5 - $2)) $(($6 - $3)) $(($7 - $4)) <<'PY'
import json, sys
name, data, *cpu_us = sys.argv[1:]
report = json.load(open(data + "/report/report.json"))
def latency(node):
    if isinstance(node, dict):
        if "latency_us" in node: return node["latency_us"]
        for child in node.values():
            found = latency(child)
            if found is not None: return found
figures = latency(report)
open(data + "/rounds", "a").write(" ".join(map(str, [name, figures["p99"], *cpu_us, figures["p50"]])) + "\n")
beside = " ".join(open(data + "/beside").read().split("\n"))
print(f"{name:8} p50 {figures['p50']} us, p99 {figures['p99']} us; CPU of shard, net and other threads {' '.join(cpu_us)} us  {beside}", flush=True)
PY
}

round alone 3
: >"$DATA/rounds"
read -ra names <<<"$MODES"
for turn in $(seq "$ROUNDS"); do
  for at in "${!names[@]}"; do round "${names[(at + turn) % ${#names[@]}]}" "$SECONDS_EACH"; done
done
python3 - "$DATA/rounds" "$BOUND" <<'PY'
import statistics, sys
rows = {}
for line in open(sys.argv[1]):
    name, *figures = line.split()
    rows.setdefault(name, []).append([float(figure) for figure in figures])
worst = 0
for name in (name for name in rows if name != "alone"):
    for what, column in (("p50", 4), ("p99", 0), ("CPU of the shard threads", 1), ("CPU of the net threads", 2)):
        ratios = [row[column] / max(alone[column], 1) for row, alone in zip(rows[name], rows["alone"])]
        ratio = statistics.median(ratios)
        if name != "again" and column in (0, 1): worst = max(worst, ratio)
        print(f"{name}: {what} {ratio:.3f} times that of the orders alone ({min(ratios):.3f} to {max(ratios):.3f})")
sys.exit(worst > float(sys.argv[2]))
PY
