#!/usr/bin/env bash
# The binary to ship, optimized by a profile of itself under load (profile-guided optimization): builds `tidegate` with counters, loads it as a sale does
# (orders over HTTP/1.1 and HTTP/2, remembered and fresh tokens, one hot SKU, sold out, more than it can carry), and builds it again with what was counted.
# Against `--profile dist` alone it takes some 5 to 10 % off an order. Needs `rustup component add llvm-tools`; takes two builds with fat LTO, 10 to 20 minutes on 2 cores.
# Leaves target/pgo/tidegate. CPU=x86-64-v3 (or native) makes it for machines of that kind only.
set -euo pipefail
cd "$(dirname "$0")/.."
profdata=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/llvm-profdata
[ -x "$profdata" ] || { echo "llvm-profdata of this compiler is missing; run: rustup component add llvm-tools" >&2; exit 1; }
work=$PWD/target/pgo
# Set here they take the place of .cargo/config.toml's, which keep the frame pointers for the profiler.
flags="-C force-frame-pointers=yes${CPU:+ -C target-cpu=$CPU}"
TIDEGATE=$work/counting/dist/tidegate
. scripts/gateway.sh

build() { # folder, flags
    RUSTFLAGS="$flags $2" cargo build --locked --profile dist -p tidegate --target-dir "$work/$1"
}

cargo build --locked --release -p tidegate-loadgen
mkdir -p "$work"
rm -rf "$work/raw" "$work/data"
build counting "-C profile-generate=$work/raw"
# Build scripts and macros were counted as well, while they ran.
rm -rf "$work/raw"

start_gateway
load() {
    echo "load: $*"
    # Whether it verifies is asked elsewhere; a refused order is work as well.
    target/release/tidegate-loadgen run --target "$url" --cacert "$work/data/cert.pem" --token-key "$work/data/token.key" --duration 6s --mix orders "$@" \
        >"$work/load" 2>&1 || true
}
load --http 1 --connections 64 --rate 8000 --tokens one
load --http 2 --connections 16 --rate 8000 --tokens one
load --http 1 --connections 64 --rate 4000 --users 20000
load --http 1 --connections 64 --rate 6000 --tokens one --skus hot
load --http 1 --connections 64 --rate 8000 --tokens one --skus FLASH-1
load --http 2 --connections 64 --rate 20000 --users 500000
stop_gateway

"$profdata" merge -o "$work/tidegate.profdata" "$work/raw"
build optimized "-C profile-use=$work/tidegate.profdata"
cp "$work/optimized/dist/tidegate" "$work/tidegate"
echo "made $work/tidegate"
