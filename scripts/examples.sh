#!/usr/bin/env bash
# Runs docs/EXAMPLES.md: starts a fresh gateway, runs every `sh` block as written, in one shell, and compares the last answer of
# a block with the `http` block that follows it. The first block, which says where the gateway is, is replaced by where this one is.
# Takes the folder to work in; ports are chosen by the kernel. About 10 seconds; 90 at most.
set -euo pipefail
cd "$(dirname "$0")/.."
page=$PWD/docs/EXAMPLES.md
mkdir -p "${1:?usage: examples.sh FOLDER}"
work=$(cd "$1" && pwd)
. scripts/gateway.sh

start_gateway
URL=$url
TOKEN=$("$tidegate" token --data "$work/data" --user alice)
OPERATOR=$("$tidegate" token --data "$work/data" --user root --role operator)
export URL TOKEN OPERATOR CACERT=$work/data/cert.pem

timeout 60 python3 - "$page" "$work" <<'PY'
import json, pathlib, re, subprocess, sys

page, work = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
heading, blocks = "", []
lines = iter(page.read_text().splitlines())
for line in lines:
    if line.startswith("#"):
        heading = line.lstrip("# ")
    if line.startswith("```"):
        text = []
        for inside in lines:
            if inside == "```":
                break
            text.append(inside)
        blocks.append((line[3:], heading, text))

def matches(wanted, found):
    """`…` in a text stands for anything; members and list entries that are not shown are not compared, the length of a list is."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(name in found and matches(value, found[name]) for name, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(matches, wanted, found))
    if isinstance(wanted, str) and "…" in wanted:
        return re.fullmatch(".*".join(map(re.escape, wanted.split("…"))), str(found), re.S) is not None
    return wanted == found and type(wanted) is type(found)

def faults(wanted, answer):
    # The last answer, if a block asked more than once.
    answer = answer[[at.start() for at in re.finditer(r"HTTP/[12][.0-9]* \d{3}", answer)][-1]:]
    head, _, body = answer.replace("\r\n", "\n").partition("\n\n")
    status, *fields = head.splitlines()
    fields = {name.lower(): value.strip() for name, value in (field.split(":", 1) for field in fields)}
    wanted_head, _, wanted_body = "\n".join(wanted).partition("\n\n")
    wanted_status, *wanted_fields = wanted_head.splitlines()
    if status.split()[1] != wanted_status.split()[1]:
        yield f"status {status.split()[1]}, not {wanted_status.split()[1]}"
    for name, value in (field.split(": ", 1) for field in wanted_fields):
        if not matches(value, fields.get(name, "")):
            yield f"{name}: {fields.get(name)!r}, not {value!r}"
    if wanted_body.startswith("{"):
        # A number that differs from run to run.
        shown = json.loads(wanted_body.replace(":…", ':"…"'))
        if not matches(shown, json.loads(body)):
            yield f"a body that is not {wanted_body}"
    elif wanted_body and wanted_body not in body:
        yield f"a body without {wanted_body!r}"

shell = [index for index, (kind, _, _) in enumerate(blocks) if kind == "sh"]
script = ["set -u"]
for index in shell[1:]:
    script += ["{", *blocks[index][2], f"}} >'{work}/{index}.out' 2>&1"]
run = subprocess.run(["bash"], input="\n".join(script) + "\n", text=True, cwd=work, timeout=50)
if run.returncode:
    print(f"the shell that ran the examples ended with status {run.returncode}")
bad = count = 0
for index in shell[1:]:
    if index + 1 == len(blocks) or blocks[index + 1][0] != "http":
        continue
    count += 1
    out = work / f"{index}.out"
    answer = out.read_text() if out.exists() else ""
    try:
        found = list(faults(blocks[index + 1][2], answer))
    except (IndexError, ValueError) as error:
        found = [f"no answer that can be read ({error})"]
    if found:
        bad += 1
        print(f"FAILED: {blocks[index][1]}: {'; '.join(found)}; the answer was:\n{answer[-2000:]}")
print(f"{count} examples, {bad} failed")
sys.exit(bool(bad or run.returncode or not count))
PY
