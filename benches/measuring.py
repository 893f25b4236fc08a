"""What the benchmarks of compaction and triage measure with: a command's CPU time, wall time and memory, in interleaved
rounds, as a row of a table."""

import json
import os
import statistics
import subprocess
import sys
import time


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
