"""Compacts a seeded corpus with analyzer and its peers, in interleaved rounds, then asks the compacted hours
two questions, and prints the medians as Markdown: CPU time of the process and its children, wall time, peak
memory, bytes written. `compaction.sh` runs it."""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from measuring import measured, rounds, row  # noqa: E402

PEERS = ["duckdb", "datafusion", "polars", "chdb", "pyarrow"]


def size(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))


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
