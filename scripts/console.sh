#!/usr/bin/env bash
# The console in headless Chromium: numbers move under load, a SKU is paused with the admin token and not without, and screenshots are
# kept. usage: console.sh FOLDER; screenshots go to $ARTIFACTS, else to target/.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:?usage: console.sh FOLDER}
tidegate=${TIDEGATE:-$PWD/target/release/tidegate}
loadgen=${LOADGEN:-$PWD/target/release/tidegate-loadgen}
artefacts=${ARTIFACTS:-$PWD/target}
mkdir -p "$work" "$artefacts"
command -v python3 >/dev/null || { echo "SKIPPED: the console test needs python3"; exit 0; }
if ! command -v chromium >/dev/null; then
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium) >/dev/null 2>&1 ||
        { echo "SKIPPED: the console test needs chromium, which cannot be installed here"; exit 0; }
fi
load=""
stop() { for pid in $load $(cat "$work/pid" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done; }
trap stop EXIT
cat >"$work/start.sh" <<END
"$tidegate" --data "$work/data" --listen 127.0.0.1:0 --admin "\$1" --set limits.user.rate=off --set limits.address.rate=off \
    --set limits.handshakes.rate=off >"\$2" 2>>"$work/log" &
echo \$! >"$work/pid"
END
bash "$work/start.sh" 127.0.0.1:0 "$work/banner"
for _ in $(seq 300); do grep -q 'Place an order' "$work/banner" && break; sleep 0.1; done
address=$(grep -o 'https://127.0.0.1:[0-9]*' "$work/banner" | head -n 1)
admin=$(grep -o 'http://127.0.0.1:[0-9]*' "$work/banner" | head -n 1)
"$loadgen" run --target "$address" --token-key "$work/data/token.key" --rate "${RATE:-300}" --duration 60s --connections 8 --http 1 --skus FLASH-1,SKU-1,SKU-2,SKU-3,SKU-4,SKU-5 \
    >"$work/load" 2>&1 &
load=$!
timeout 120 python3 scripts/console.py chromium "$admin" "$work/data/admin.token" "$artefacts" "$work/profile" \
    "bash $work/start.sh ${admin#http://} $work/banner-2" ||
    { echo "FAILED: the console"; tail -n 5 "$work/log" "$work/load"; exit 1; }
