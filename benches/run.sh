#!/usr/bin/env bash
# Measures the host. Without anything: all of it, in under ten minutes, with the figures in docs/BENCHMARKS.md.
#   benches/run.sh --quick          about a minute's worth; shows the figures and writes nothing
#   benches/run.sh [--quick] NAME…  only these measurements; --help names them
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --package arcuate --package web_chat --package agent_invoker --package webhook --package arcuate-benches
program="${CARGO_TARGET_DIR:-target}/release/arcuate-benches"

arguments=("$@")
if [ $# -eq 0 ]; then
    arguments=(--write docs/BENCHMARKS.md)
fi

# `timeout` gives the measurements a process group of their own and ends all of it: by the clock, or when this script is ended.
timeout --kill-after=10 600 "$program" "${arguments[@]}" &
running=$!
trap 'kill "$running" 2>/dev/null || true' EXIT INT TERM
wait "$running"
