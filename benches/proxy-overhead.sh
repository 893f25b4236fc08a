#!/usr/bin/env bash
# What does codex-proxy cost beside nginx? Builds what it needs, puts a fake OpenAI behind nothing,
# nginx, codex-proxy with a folder of logs and codex-proxy with logs in S3, puts all four under the same
# load, and prints the figures as Markdown on stdout. Linux only; loopback only; nothing stays running.
#
#   ./benches/proxy-overhead.sh            five rounds, under ten minutes
#   ./benches/proxy-overhead.sh --quick    one round, under a minute: the direction only
#
# nginx is unpacked into a cache folder ($XDG_CACHE_HOME/codex-proxy, else ~/.cache/codex-proxy) and not
# installed; where there is no apt-get, the one on PATH is taken. The logs (over 1 GB in full) go below
# TMPDIR, which should be on a disk, and are deleted in the end. PROFILE=release builds codex-proxy
# without link-time optimisation: sooner, and a little slower.
set -euo pipefail
cd "$(dirname "$0")/.."

NGINX_VERSION=1.22.1
NGINX_PACKAGE=nginx=$NGINX_VERSION-9+deb12u7
cache="${XDG_CACHE_HOME:-$HOME/.cache}/codex-proxy"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
profile="${PROFILE:-dist}"

say() { printf '%s\n' "$*" >&2; }
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; }
fail() { say "proxy-overhead.sh: $1"; say ""; say "hint: $2"; exit 3; }

mode=()
for argument in "$@"; do
  case "$argument" in
    --quick) mode=(--quick) ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
[ -r /proc/self/schedstat ] || fail "there is no /proc/self/schedstat" "run it on Linux"
command -v cargo >/dev/null || fail "there is no cargo on PATH" "install Rust with rustup"

# get_nginx: unpacks the pinned package into the cache; prints nothing, fails if that is not possible.
get_nginx() {
  local folder="$cache/nginx-$NGINX_VERSION"
  if [ ! -x "$folder/usr/sbin/nginx" ]; then
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
    say "fetching $NGINX_PACKAGE ..."
    local download
    download="$(mktemp -d "${TMPDIR:-/tmp}/codex-proxy-nginx.XXXXXX")"
    if (cd "$download" && { apt-get -qq download "$NGINX_PACKAGE" \
      || { apt-get -qq update && apt-get -qq download "$NGINX_PACKAGE"; }; }) >/dev/null 2>&1; then
      mkdir -p "$folder" && dpkg -x "$download"/nginx_*.deb "$folder"
    fi
    rm -rf "$download"
  fi
  # On another distribution its libraries may be missing.
  "$folder/usr/sbin/nginx" -v >/dev/null 2>&1
}
if get_nginx; then
  nginx="$cache/nginx-$NGINX_VERSION/usr/sbin/nginx"
else
  nginx="$(PATH="$PATH:/usr/sbin" command -v nginx)" \
    || fail "cannot get $NGINX_PACKAGE, and there is no nginx on PATH" "install nginx"
fi
say "$("$nginx" -v 2>&1)"

say "building codex-proxy (profile $profile) and the load (the first time takes some minutes) ..."
cargo build --quiet --locked -p proxy --bin codex-proxy --profile "$profile"
cargo build --quiet --locked -p benches --bins --features load --release

work="$(mktemp -d "${TMPDIR:-/tmp}/codex-proxy-overhead.XXXXXX")"
trap 'rm -rf "$work"' EXIT
"$CARGO_TARGET_DIR/release/proxy-overhead" "${mode[@]}" \
  --codex-proxy "$CARGO_TARGET_DIR/$profile/codex-proxy" \
  --fake-openai "$CARGO_TARGET_DIR/release/fake-openai" \
  --memory-s3 "$CARGO_TARGET_DIR/release/memory-s3" \
  --nginx "$nginx" --nginx-conf benches/nginx.conf --work "$work"
