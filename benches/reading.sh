#!/usr/bin/env bash
# What does a question cost that has to read logs? Builds what it needs, makes a seeded corpus of 20,000
# logs, puts it on disk and behind an S3 server of its own (loopback, with 0 and 20 ms of latency), asks
# analyzer and its peers the same question, and prints the figures as Markdown on stdout: CPU time, wall
# time and memory, each beside the floor, which GETs the same logs and drops the bytes. Linux only;
# loopback only; nothing stays running.
#
#   ./benches/reading.sh             five rounds, about half an hour, most of it the peers'
#   ./benches/reading.sh --quick     one round without the peers, about a minute
#   ./benches/reading.sh --clients   our S3 client beside object_store and the AWS SDK
#
# The peers are installed into a cache folder ($XDG_CACHE_HOME/codex-proxy, else ~/.cache/codex-proxy);
# one that cannot be had or does not run is told in the table. The corpora (1.6 GB) go below TMPDIR, best
# in memory (TMPDIR=/dev/shm), and are deleted in the end. Other load on the machine shows in the wall
# time, and a little in the CPU time: rounds are interleaved, and the table has their medians.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${XDG_CACHE_HOME:-$HOME/.cache}/codex-proxy"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
S3GREP=0.1.3
PYTHON_PEERS=(duckdb==1.5.5 duckdb-extension-httpfs==1.5.5 chdb==4.4.0 polars==2.1.0 datafusion==55.0.0 ripgrep==15.1.0)

say() { printf '%s\n' "$*" >&2; }
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; }
fail() { say "reading.sh: $1"; say ""; say "hint: $2"; exit 3; }

mode=all
for argument in "$@"; do
  case "$argument" in
    --quick) mode=quick ;;
    --clients) mode=clients ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
[ -r /proc/self/stat ] || fail "there is no /proc" "run it on Linux"
command -v cargo >/dev/null || fail "there is no cargo on PATH" "install Rust with rustup"
command -v python3 >/dev/null || fail "there is no python3 on PATH" "install Python 3.9 or later"

features=()
[ "$mode" = clients ] && features=(--features reading/clients)
say "building analyzer and the bench (the first time takes some minutes) ..."
cargo build --quiet --locked --release -p analyzer -p benches -p reading \
  --features benches/corpus,benches/s3-server "${features[@]}"

if [ "$mode" = all ]; then
  if [ ! -x "$cache/peers/python/bin/python" ]; then
    say "installing the peers that are Python packages ..."
    python3 -m venv "$cache/peers/python" >&2 || say "there is no venv: these peers are left out"
  fi
  for package in "${PYTHON_PEERS[@]}"; do
    "$cache/peers/python/bin/pip" install --quiet "$package" >&2 || say "cannot install $package"
  done
  if [ ! -x "$cache/peers/s3grep/bin/s3grep" ]; then
    say "building s3grep $S3GREP ..."
    CARGO_TARGET_DIR="$cache/peers/target" cargo install --quiet --locked s3grep --version "$S3GREP" \
      --root "$cache/peers/s3grep" >&2 || say "cannot build s3grep $S3GREP"
  fi
fi

work="$(mktemp -d "${TMPDIR:-/tmp}/codex-proxy-reading.XXXXXX")"
trap 'rm -rf "$work"' EXIT
python3 benches/reading/measure.py "$mode" --bin "$CARGO_TARGET_DIR/release" \
  --peers "$cache/peers" --work "$work"
