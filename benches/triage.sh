#!/usr/bin/env bash
# What does one page of triage cost? Builds what it needs, makes a quiet day and one on which several things go
# wrong, 100,000 exchanges each, and measures `analyzer triage` of an hour of raw logs, of the raw day and of the
# compacted one, beside listing the logs and beside DuckDB, which only counts errors and waits. Every incident of
# the script has to be on the page, to the minute, and none on that of the quiet day. Linux only.
#
#   ./benches/triage.sh             three rounds, some minutes once it is built
#   ./benches/triage.sh --quick     one round
#
# DuckDB is installed into a cache folder ($XDG_CACHE_HOME/codex-proxy, else ~/.cache/codex-proxy). The logs go
# below TMPDIR, best in memory (TMPDIR=/dev/shm), and are deleted in the end.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${XDG_CACHE_HOME:-$HOME/.cache}/codex-proxy"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"

rounds=3
case "${1:-}" in
  '') ;;
  --quick) rounds=1 ;;
  *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
echo "building analyzer and the bench (the first time takes half an hour) ..." >&2
# The same packages as the other benchmarks: cargo builds their libraries once.
cargo build --quiet --locked --release -p analyzer -p benches -p reading --features benches/corpus
[ -x "$cache/peers/python/bin/python" ] || python3 -m venv "$cache/peers/python"
"$cache/peers/python/bin/pip" install --quiet duckdb==1.5.5 >&2 || echo "cannot install duckdb" >&2
work="$(mktemp -d "${TMPDIR:-/tmp}/codex-proxy-triage.XXXXXX")"
trap 'rm -rf "$work"' EXIT
python3 benches/triaging/measure.py --bin "$CARGO_TARGET_DIR/release" \
  --python "$cache/peers/python/bin/python" --work "$work" --rounds "$rounds"
