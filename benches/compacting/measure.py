"""Compacts a seeded corpus with analyzer and its peers, in interleaved rounds, then asks the compacted hours
two questions, and prints the medians as Markdown: CPU time of the process and its children, wall time, peak
memory, bytes written. `compaction.sh` runs it."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

PEERS = ["duckdb", "datafusion", "polars", "chdb", "pyarrow"]


def measured(command):
    """Runs a command in a child of its own, so that its use of CPU time and memory is known."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        begun = time.monotonic()
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        result = {"wall": time.monotonic() - begun, "out": done.stdout.strip(), "code": done.returncode,
                  "err": done.stderr.strip()[-300:]}
        with os.fdopen(write, "w") as pipe:
            json.dump(result, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        result = json.loads(pipe.read())
    _, _, usage = os.wait4(child, 0)
    return {**result, "cpu": usage.ru_utime + usage.ru_stime, "mb": usage.ru_maxrss / 1024}


def size(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))


def rounds(count, targets):
    """Runs every target once a round, in turn."""
    results = {name: [] for name in targets}
    for number in range(count):
        for name, once in targets.items():
            print(f"round {number + 1}: {name}", file=sys.stderr)
            results[name].append(once())
    return results


def row(name, results, base, bytes_of=None):
    good = [result for result in results if result["code"] == 0]
    if not good:
        return f"| {name} | did not run: {results[0]['err'].splitlines()[-1:]} |"
    if len(good) < len(results):
        name += f" (ended well {len(good)} times of {len(results)})"
    cpu = statistics.median(result["cpu"] for result in good)
    wall = statistics.median(result["wall"] for result in good)
    mb = max(result["mb"] for result in good)
    written = f" {bytes_of / 1e6:.1f} |" if bytes_of is not None else ""
    return f"| {name} | {cpu:.2f} | {cpu / base:.2f} | {wall:.2f} | {mb:.0f} |{written}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--objects", type=int, default=20_000)
    arguments = parser.parse_args()
    root, peer = arguments.work / "corpus", Path(__file__).with_name("peer.py")
    subprocess.run([arguments.bin / "corpus", "--kind", "told", "--objects", str(arguments.objects), root],
                   check=True, stdout=subprocess.DEVNULL)
    out = {name: arguments.work / name for name in PEERS}

    def ours():
        shutil.rmtree(root / "parquet", ignore_errors=True)
        return measured([arguments.bin / "analyzer", "compact", "--source", root, "--since", "2026-11-20"])

    def theirs(name):
        shutil.rmtree(out[name], ignore_errors=True)
        return measured([arguments.python, peer, name, "compact", root / "logs", out[name]])

    targets = {"floor": lambda: measured([arguments.bin / "compact-floor", root]), "analyzer": ours}
    targets.update({name: lambda name=name: theirs(name) for name in PEERS})
    results = rounds(arguments.rounds, targets)
    base = statistics.median(result["cpu"] for result in results["floor"])
    floor_bytes = int(results["floor"][0]["out"].split()[1])
    print(f"{arguments.objects} logs, {size_of(root / 'logs') / 1e6:.0f} MB packed:\n")
    print("| compaction | CPU s | × floor | wall s | MB of memory | MB written |\n|---|---:|---:|---:|---:|---:|")
    print(row("floor: unpack, parse, zstd-3", results["floor"], base, floor_bytes))
    print(row("analyzer, published and read back", results["analyzer"], base, size(root / "parquet")))
    for name in PEERS:
        print(row(name, results[name], base, size(out[name])))

    queries = {"errors": "SELECT error_origin, error_code, count(*) AS n FROM exchanges "
                         "WHERE error_origin IS NOT NULL GROUP BY 1, 2",
               "body": "SELECT count(*) AS n FROM exchanges WHERE response_body LIKE '%temporary errors%'"}
    only = arguments.work / "only"
    only.mkdir()
    (root / "parquet").rename(only / "parquet")
    for question, query in queries.items():
        targets = {"analyzer": lambda query=query: measured(
            [arguments.bin / "analyzer", "sql", query, "--json", "--source", only])}
        for name in PEERS[:4]:
            targets[name] = lambda name=name, question=question: measured(
                [arguments.python, peer, name, question, only / "parquet"])
        results = rounds(arguments.rounds, targets)
        base = statistics.median(result["cpu"] for result in results["analyzer"])
        truth = sum(json.loads(line)["n"] for line in results["analyzer"][0]["out"].splitlines())
        print(f"\n| {question}, of the compacted hours | CPU s | × analyzer | wall s | MB of memory |\n|---|---:|---:|---:|---:|")
        for name, of in results.items():
            wrong = "" if name == "analyzer" or of[0]["out"] == str(truth) else f" (found {of[0]['out']}, not {truth})"
            print(row(name + wrong, of, base))


def size_of(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


main()
