#!/usr/bin/env bash
# What does compacting cost, and a question to what was compacted? Builds what it needs, makes a seeded corpus
# of 20,000 logs, compacts it with analyzer and its peers, and prints the figures as Markdown on stdout beside
# the floor: unpack, parse, and zstd-3 of the same columns. Linux only; nothing stays running.
#
#   ./benches/compaction.sh             three rounds, some ten minutes once it is built
#   ./benches/compaction.sh --quick     one round
#
# The peers are installed into a cache folder ($XDG_CACHE_HOME/codex-proxy, else ~/.cache/codex-proxy). The
# corpus goes below TMPDIR, best in memory (TMPDIR=/dev/shm), and is deleted in the end.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${XDG_CACHE_HOME:-$HOME/.cache}/codex-proxy"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
PYTHON_PEERS=(duckdb==1.5.5 chdb==4.4.0 polars==2.1.0 datafusion==55.0.0 pyarrow==26.0.1 orjson==3.13.0 zstandard==0.25.0)

rounds=3
case "${1:-}" in
  '') ;;
  --quick) rounds=1 ;;
  *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
echo "building analyzer and the bench (the first time takes half an hour) ..." >&2
cargo build --quiet --locked --release -p analyzer -p benches -p reading --features benches/corpus
[ -x "$cache/peers/python/bin/python" ] || python3 -m venv "$cache/peers/python"
for package in "${PYTHON_PEERS[@]}"; do
  "$cache/peers/python/bin/pip" install --quiet "$package" >&2 || echo "cannot install $package" >&2
done
work="$(mktemp -d "${TMPDIR:-/tmp}/codex-proxy-compaction.XXXXXX")"
trap 'rm -rf "$work"' EXIT
python3 benches/compacting/measure.py --bin "$CARGO_TARGET_DIR/release" \
  --python "$cache/peers/python/bin/python" --work "$work" --rounds "$rounds"
