#!/bin/sh
# Explores every interleaving of ring and bell (bounded to 3 preemptions where said). About a minute.
set -eu
export RUSTFLAGS="--cfg loom"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
exec cargo test -p tidegate-link --release --lib "$@"
