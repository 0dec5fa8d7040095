# For the scripts beside it: `. scripts/gateway.sh`. Starts a gateway in the folder $work and ends it with the script.
tidegate=${TIDEGATE:-$PWD/target/release/tidegate}
pid=""
trap 'if [ -n "$pid" ]; then kill -9 "$pid" 2>/dev/null || true; fi' EXIT

# start_gateway [flags]: sets pid, and url and admin, where it listens; ports are chosen by the kernel unless flags say which. Flags come last and win.
start_gateway() {
    "$tidegate" --data "$work/data" --set server.listen=127.0.0.1:0 --set server.admin=127.0.0.1:0 "$@" >"$work/banner" 2>>"$work/log" &
    pid=$!
    for _ in $(seq 300); do
        if grep -qs 'Place an order' "$work/banner"; then
            url=$(grep -o 'https://127.0.0.1:[0-9]*' "$work/banner" | head -n 1)
            admin=$(grep -o 'http://127.0.0.1:[0-9]*' "$work/banner" | head -n 1)
            return
        fi
        kill -0 "$pid" 2>/dev/null || { echo "the gateway ended:"; cat "$work/banner" "$work/log"; exit 1; }
        sleep 0.1
    done
    echo "no banner after 30 s"; cat "$work/log"; exit 1
}

# As an operator ends it: drained, exit status 0.
stop_gateway() { kill -TERM "$pid"; wait "$pid"; pid=""; }

# As a power cut does.
kill_gateway() { kill -9 "$pid"; wait "$pid" 2>/dev/null || true; pid=""; }
