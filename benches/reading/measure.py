"""Asks analyzer and its peers one question about a seeded corpus, in interleaved rounds, and prints the
medians as Markdown: CPU time (user and system, of the process and its children), wall time, and the
peak of its memory. `reading.sh` runs it.

The S3 server is a process of its own, whose CPU time counts for nobody. An answer that is not the truth of
the corpus is named in the table.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

TEXT = "temporary errors"
SINCE, UNTIL = "2026-11-21T20:00:00Z", "2026-11-22T02:00:00Z"
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAMEMORYS3EXAMPLE0",
    "AWS_SECRET_ACCESS_KEY": "memory-s3-secret-for-tests-only-00000000",
    "AWS_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "TZ": "UTC",
}


class Server:
    """The S3 server, filled from a folder."""

    def __init__(self, arguments, folder, latency):
        command = [arguments.bin / "memory-s3", "bench", "--folder", folder]
        command += ["--latency-ms", str(latency)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.url = self.process.stdout.readline().strip()

    def close(self):
        """Ends it; returns how many GETs and LISTs it answered."""
        self.process.stdin.close()
        said = self.process.stderr.read()
        self.process.wait()
        return said.strip()


def run(command, environment):
    """Runs a command to its end, or for as long as it may take."""
    begun = time.monotonic()
    process = subprocess.Popen(
        [str(part) for part in command], env={**os.environ, **environment}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=ARGUMENTS.limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return {"note": f"not done after {ARGUMENTS.limit} s"}
    wall = time.monotonic() - begun
    return {"wall": wall, "out": out, "err": err, "code": process.returncode}


def measured(command, environment):
    """Like `run`, in a child of its own, so that its use of CPU time and memory is known."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        result = run(command, environment)
        with os.fdopen(write, "w") as pipe:
            json.dump(result, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        result = json.loads(pipe.read() or '{"note": "it did not run"}')
    _, _, usage = os.wait4(child, 0)
    result["cpu"] = usage.ru_utime + usage.ru_stime
    result["mb"] = usage.ru_maxrss / 1024
    return result


def ours(arguments, place, *more):
    command = [arguments.bin / "analyzer", "origin", TEXT, "--json", "--source", place]
    return [*command, "--since", SINCE, "--until", UNTIL, *more]


def counts_of_ours(out):
    answer = json.loads(out)
    return sum(answer["counts"].values()), answer["quoted"]


def counts_of_peer(out):
    errors, quotes = (int(part) for part in out.split())
    return errors, quotes


def lines_found(out):
    """s3grep prints every record that holds the words; which of them failed is for jq to say."""
    errors = quotes = 0
    for line in out.splitlines():
        record = json.loads(line[line.index("{"):])
        error = record["error"]
        if error and (record["status"] == 500 or TEXT in error["message"].lower()):
            errors += 1
        elif not error and TEXT in record["response_body"].lower():
            quotes += 1
    return errors, quotes


RG_JQ = r"""
{rg} --no-messages -lzi '"status":500|temporary errors' {logs} > {list} || true
xargs -r {cat} < {list} | jq -r '
  if .error != null and (.status == 500 or (.error.message | ascii_downcase | contains("temporary errors")))
  then "error" elif .error == null and (.response_body | ascii_downcase | contains("temporary errors"))
  then "quote" else empty end' | sort | uniq -c | awk '{{n[$2] = $1}} END {{print n["error"] + 0, n["quote"] + 0}}'
"""


def contenders(arguments, kind, place, url):
    """Name, command, and how its answer is read. None for a command that cannot be had here."""
    local = url is None
    peers = arguments.peers
    logs = arguments.work / kind / "logs"
    ending = "json" if kind == "old-plain" else "json.zst"
    glob = f"{logs}/**/*.{ending}" if local else f"s3://bench/logs/**/*.{ending}"
    yield "analyzer", ours(arguments, place), counts_of_ours
    concurrency = "64" if url and not arguments.latency else "256"
    floor = [arguments.bin / "floor", place, "--concurrency", concurrency]
    yield "floor: GETs, bytes dropped", floor, None
    if kind == "old-zstd":
        yield "floor: GETs, unpacked, dropped", [*floor, "--unpack"], None
    if arguments.mode != "all":
        return
    if not local:
        command = [peers / "s3grep/bin/s3grep", "-b", "bench", "-z", "logs/", "-p", TEXT, "-q", "-c", "64"]
        yield "s3grep 0.1.3", command if kind == "old-plain" else "it reads no zstd", lines_found
    else:
        rg = peers / "python/bin/rg"
        cat = "zstd -dcq" if kind != "old-plain" else "cat"
        script = RG_JQ.format(rg=rg, logs=logs, list=arguments.work / "hits", cat=cat)
        yield "ripgrep 15.1.0 + jq", ["bash", "-c", script], counts_of_peer
    for name, version in [("DataFusion", "55.0.0"), ("Polars", "2.1.0"), ("chDB", "4.4.0"), ("DuckDB", "1.5.5")]:
        command = [peers / "python/bin/python", Path(__file__).with_name("peer.py"), name.lower()]
        yield f"{name} {version}", [*command, "local" if local else "s3", glob], counts_of_peer


def truth(path):
    for line in path.read_text().splitlines():
        known = json.loads(line)
        if known["text"] == TEXT:
            return sum(known["counts"].values()), known["quoted_untold"]
    raise SystemExit(f"{path} does not know {TEXT!r}")


def say(text):
    print(text, file=sys.stderr, flush=True)


def table(arguments, kind, latency, rounds):
    """Measures one corpus in one place; `latency` is None on disk."""
    folder = arguments.work / kind
    arguments.latency = latency
    server = None if latency is None else Server(arguments, folder, latency)
    place = str(folder) if server is None else "s3://bench"
    environment = dict(KEYS, AWS_ENDPOINT_URL=server.url, AWS_ALLOW_HTTP="true") if server else dict(KEYS)
    expected = truth(arguments.work / f"{kind}.truth")
    rows, notes = {}, {}
    for number in range(rounds):
        for name, command, read in contenders(arguments, kind, place, server and server.url):
            if isinstance(command, str):
                notes[name] = command
                continue
            # The peers take long: three rounds are enough for a median, one where each GET waits.
            is_peer = read not in (None, counts_of_ours)
            if name in notes or (is_peer and number >= (1 if latency else arguments.peer_rounds)):
                continue
            result = measured(command, environment)
            say(f"{kind} {place} {latency} ms, round {number + 1}: {name}: {result.get('wall', 0):.2f} s")
            if "note" in result:
                notes[name] = result["note"]
                continue
            if read:
                try:
                    found = read(result["out"])
                except Exception:
                    last = (result["err"].strip().splitlines() or ["nothing said"])[-1]
                    notes[name] = f"does not run here: {last[:120]}"
                    continue
                if found != expected:
                    notes_of = f"answers {found[0]} and {found[1]}, not {expected[0]} and {expected[1]}"
                    result["wrong"] = notes_of
            rows.setdefault(name, []).append(result)
    asked = server.close() if server else ""
    where = "on disk" if latency is None else f"from S3, {latency} ms"
    print(f"\n{kind}, {where} ({expected[0]} errors, {expected[1]} quotes to be found)\n")
    print("| | CPU s | × floor | wall s | × floor | MB | |\n|---|---:|---:|---:|---:|---:|---|")
    floor = rows.get("floor: GETs, bytes dropped")
    median = lambda results, what: statistics.median(result[what] for result in results)
    for name, results in rows.items():
        cpu, wall, mb = (median(results, what) for what in ("cpu", "wall", "mb"))
        least, most = min(r["cpu"] for r in results), max(r["cpu"] for r in results)
        ratios = [cpu / median(floor, "cpu"), wall / median(floor, "wall")] if floor else [0, 0]
        note = notes.get(name) or results[-1].get("wrong", "")
        print(f"| {name} | {cpu:.2f} ({least:.2f}–{most:.2f}) | {ratios[0]:.2f} | {wall:.2f} | {ratios[1]:.2f} | {mb:.0f} | {note} |")
    for name in notes:
        if name not in rows:
            print(f"| {name} | - | - | - | - | - | {notes[name]} |")
    sys.stdout.flush()
    return asked


def told(arguments):
    """Keys that tell the outcome: how many GETs an answer takes."""
    expected, _ = truth(arguments.work / "told.truth")
    for more in [(), ("--max", "50")]:
        server = Server(arguments, arguments.work / "told", 20)
        result = measured(ours(arguments, "s3://bench", *more), dict(KEYS, AWS_ENDPOINT_URL=server.url))
        answer = json.loads(result["out"])
        asked = server.close()
        right = "" if more or sum(answer["counts"].values()) == expected else ", WRONG"
        print(f"| {' '.join(more) or 'all errors'} | {asked} | {result['cpu']:.2f} | {result['wall']:.2f} | {answer['scanned']['read']}{right} |")


def clients(arguments):
    """Our S3 client beside the others."""
    server = Server(arguments, arguments.work / "old-zstd", 0)
    environment = dict(KEYS, AWS_ENDPOINT_URL=server.url)
    rows = {}
    for _ in range(5):
        for client in ["ours", "object-store", "sdk"]:
            command = [arguments.bin / "floor", "s3://bench", "--client", client, "--concurrency", "64"]
            rows.setdefault(client, []).append(measured(command, environment))
        listed = measured([arguments.bin / "floor", "s3://bench", "--list-only"], environment)
        rows.setdefault("ours, only listing", []).append(listed)
    server.close()
    print("| | CPU s | µs an object |\n|---|---:|---:|")
    for name, results in rows.items():
        cpu = statistics.median(result["cpu"] for result in results)
        print(f"| {name} | {cpu:.2f} | {cpu / arguments.objects * 1e6:.1f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["all", "quick", "clients"])
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--limit", type=int, default=120, help="seconds for one answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-rounds", type=int, default=3)
    arguments = parser.parse_args()
    global ARGUMENTS
    ARGUMENTS = arguments
    for kind in ["told", "old-zstd", "old-plain"]:
        say(f"making {arguments.objects} logs: {kind}")
        command = [arguments.bin / "corpus", "--kind", kind, "--objects", str(arguments.objects)]
        made = subprocess.run([*command, arguments.work / kind], check=True, capture_output=True)
        (arguments.work / f"{kind}.truth").write_bytes(made.stdout)
    if arguments.mode == "clients":
        clients(arguments)
        return
    print("keys that tell the outcome, S3 with 20 ms\n")
    print("| | asked of S3 | CPU s | wall s | read |\n|---|---|---:|---:|---:|")
    told(arguments)
    rounds = 1 if arguments.mode == "quick" else arguments.rounds
    for kind in ["old-zstd", "old-plain"]:
        for latency in [0, 20, None]:
            table(arguments, kind, latency, rounds)


main()
