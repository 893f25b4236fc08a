"""Asks for one page of triage in interleaved rounds beside what it cannot be cheaper than, checks what stands on it,
and prints the medians as Markdown. `triage.sh` runs it."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from measuring import measured, rounds, row  # noqa: E402

QUIET, DAY = "2026-11-21", "2026-11-22"
# Origin, first minute, end, and whether it was one developer's.
SCRIPT = [("openai", "14:02", "14:31", False), ("proxy", "15:00", "15:24", False),
          ("openai", "18:20", "18:50", False), ("proxy", "10:20", "12:36", True)]
DUCKDB = """
import duckdb, sys
files = sys.argv[1] + '/parquet/*/*/*.parquet'
duckdb.sql("SET threads=2")
print(duckdb.sql(f"SELECT error_origin, error_code, count(*), count(DISTINCT developer), epoch_ms(min(started_at)), epoch_ms(max(started_at)) "
                 f"FROM '{files}' WHERE error_origin IS NOT NULL GROUP BY 1, 2").fetchall())
print(duckdb.sql(f"SELECT model, count(*), quantile_cont(upstream_ttfb_ms, [0.5, 0.9, 0.99]), sum(usage_total_tokens) "
                 f"FROM '{files}' GROUP BY 1").fetchall())
"""


def window(day, since="00:00", until=None):
    until = f"{day}T{until}:00Z" if until else f"{day}T23:59:59.999Z"
    return ["--since", f"{day}T{since}:00Z", "--until", until]


def told(page):
    return [(it["origin"], it["since"][11:16], it["until"][11:16], it["parts"][0]["blast"]["developers"] == 1)
            for it in page["incidents"]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--objects", type=int, default=100_000)
    arguments = parser.parse_args()
    raw, packed = arguments.work / "raw", arguments.work / "packed"
    analyzer = arguments.bin / "analyzer"
    subprocess.run([arguments.bin / "corpus", "--kind", "day", "--objects", str(arguments.objects), raw], check=True)
    # Listing has to see as many names.
    logs = sum(1 for _ in raw.rglob("*.zst"))
    subprocess.run([analyzer, "compact", "--source", raw, "--since", QUIET], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    packed.mkdir()
    shutil.move(raw / "parquet", packed / "parquet")

    def triage(source, span, *more):
        return lambda: measured([analyzer, "triage", "--json", "--source", source, *span, *more])

    hour = window(DAY, "14:00", "15:00")
    targets = {
        "list the logs of two days (`find`)": lambda: measured(["find", raw / "logs", "-type", "f"]),
        "triage, an hour of raw logs": triage(raw, hour),
        "triage, a raw day": triage(raw, window(DAY)),
        "DuckDB counts errors and waits, two compacted days":
            lambda: measured([arguments.python, "-c", DUCKDB, packed]),
        "triage, a compacted hour": triage(packed, hour),
        "triage, a compacted day": triage(packed, window(DAY)),
    }
    results = rounds(arguments.rounds, targets)
    for source in (raw, packed):
        page = json.loads(triage(source, window(DAY))()["out"])
        assert told(page) == SCRIPT, told(page)
        # The time before the quiet day is empty; its second half has its first as what is usual.
        quiet = json.loads(triage(source, window(QUIET, "12:00"), "--baseline", "12h")()["out"])
        assert quiet["state"] == "quiet" and told(quiet) == [], told(quiet)
    exchanges = json.loads(results["triage, an hour of raw logs"][0]["out"])["total"]["exchanges"]
    print(f"{logs:,} logs of two days; {exchanges:,} in the hour. Every incident of the script was on the page, to "
          "the minute, and none on that of the quiet day.\n")
    print("| what | CPU s | × | wall s | MB |\n|---|---:|---:|---:|---:|")
    for base, names in [(0, list(targets)[:3]), (3, list(targets)[3:])]:
        floor = results[list(targets)[base]]
        cpu = sorted(result["cpu"] for result in floor)[len(floor) // 2]
        for name in names:
            print(row(name, results[name], max(cpu, 1e-9)))


if __name__ == "__main__":
    main()
