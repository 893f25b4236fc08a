#!/usr/bin/env bash
# The main job on embedded defaults: builds what it needs, sends some dozens of exchanges of every
# kind through the proxy to a fake OpenAI, and asks the analyzer whose error it was. No AWS account
# and no OpenAI key are needed; everything listens on loopback only, and nothing stays running.
#
#   ./scripts/demo.sh [FOLDER]      leave the logs in FOLDER (default: a new one under /tmp)
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in cargo curl; do
  command -v "$tool" >/dev/null || { echo "demo.sh needs $tool on PATH" >&2; exit 3; }
done
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/codex-proxy/target}"

echo "building codex-proxy, analyzer and a fake OpenAI (the first time takes some minutes) ..."
# Without SQL, whose engine takes longer to build than all the rest.
cargo build --quiet --locked --no-default-features -p proxy -p analyzer -p benches --bins
bin="$CARGO_TARGET_DIR/debug"

logs="${1:-$(mktemp -d "${TMPDIR:-/tmp}/codex-proxy-demo.XXXXXX")}"
mkdir -p "$logs"
work="$(mktemp -d "${TMPDIR:-/tmp}/codex-proxy-work.XXXXXX")"
started=()
stop() {
  for pid in "${started[@]:-}"; do
    [ -n "$pid" ] && kill "$pid" 2>/dev/null || true
  done
  wait 2>/dev/null || true
  started=()
}
trap 'stop; rm -rf "$work"' EXIT

# wait_for FILE PATTERN: prints the first match, or fails after ten seconds.
wait_for() {
  for _ in $(seq 100); do
    if grep -oE -m1 "$2" "$1" 2>/dev/null; then return 0; fi
    sleep 0.1
  done
  echo "demo.sh: no '$2' in $1:" >&2
  cat "$1" >&2
  return 1
}

"$bin/fake-openai" >"$work/openai" &
started+=("$!")
upstream="$(wait_for "$work/openai" 'http://[0-9.:]+')"

# serve NAME UPSTREAM: starts a proxy on a free port and prints its address.
export CODEX_PROXY_TOKENS="$work/tokens.json"
token="$("$bin/codex-proxy" token add dev-01 2>/dev/null)"
old_token="$("$bin/codex-proxy" token add dev-02 2>/dev/null)"
"$bin/codex-proxy" token disable dev-02 2>/dev/null
serve() {
  OPENAI_API_KEY=sk-demo-not-a-real-key "$bin/codex-proxy" serve --listen 127.0.0.1:0 --journal never \
    --upstream "$2" --logs "$logs" --idle-timeout 1 2>"$work/$1" &
  started+=("$!")
}
serve proxy "$upstream"
proxy="$(wait_for "$work/proxy" 'http://[0-9.:]+' | head -n1)"
# A second proxy whose upstream nobody listens at: port 9 of loopback.
serve dead http://127.0.0.1:9
dead="$(wait_for "$work/dead" 'http://[0-9.:]+' | head -n1)"

sent=0
# ask ADDRESS TOKEN STREAM MODEL-OR-FAULT TURN
ask() {
  sent=$((sent + 1))
  curl --silent --output /dev/null --max-time 10 "$1/responses" \
    -H "authorization: Bearer $2" -H 'content-type: application/json' \
    -H "session-id: demo-session-$5" -H "x-codex-turn-metadata: {\"turn_id\":\"demo-turn-$5\"}" \
    -d "{\"model\":\"gpt-5.5\",\"stream\":$3,\"input\":\"hello\"}" \
    ${4:+-H "x-fake-fault: $4"} || true
}

echo "sending exchanges through the proxy at $proxy ..."
for turn in $(seq 20); do ask "$proxy" "$token" true '' "$turn"; done
for turn in 21 22; do ask "$proxy" "$token" false '' "$turn"; done
# Codex repeats a turn on every 5xx: one turn, several exchanges.
for _ in 1 2 3 4; do ask "$proxy" "$token" true http-500 31; done
for _ in 1 2; do ask "$proxy" "$token" true http-500 32; done
for fault in http-400 http-400-context http-401 http-403 http-404 http-429 http-429-quota \
  http-503 edge-502 failed failed-rate-limit error-event incomplete cut-clean cut-abrupt idle; do
  ask "$proxy" "$token" true "$fault" "$fault"
done
# Answers that talk about errors are no errors.
for turn in 41 42 43; do ask "$proxy" "$token" true quote "$turn"; done
ask "$proxy" "$old_token" true '' 51
ask "$proxy" cpt_not-a-token true '' 52
curl --silent --output /dev/null --head "$proxy/v1/responses" && sent=$((sent + 1))
for _ in 1 2; do ask "$dead" "$token" true '' 61; done
stop

count="$(find "$logs" -name '*.json.zst' | wc -l | tr -d ' ')"
echo "$sent exchanges sent, $count logs left in $logs"
echo
echo "\$ analyzer origin \"temporary errors\" --max 50 --source $logs"
"$bin/analyzer" origin "temporary errors" --max 50 --source "$logs"
cat <<END

How it was reached: analyzer/src/verdict/judge.rs. Try next:
  export ANALYZER_SOURCE=$logs PATH=$bin:\$PATH
  analyzer triage --list                              # all of it on one page; -o html > report.html for a browser
  analyzer origin "temporary errors" --all --list     # with each match; answers that only quote it
  analyzer origin "invalid or disabled token"         # the proxy's own words
  analyzer origin "upstream request failed"           # nobody answered
  analyzer origin "stream closed before response.completed"
  analyzer origin "429 Too Many Requests" --json      # for programs
END
