#!/usr/bin/env python3
"""Where a training step's time goes on a card: kernels by their time, out of Nsight Compute's measurements.

    ncu --csv --cache-control none --metrics gpu__time_duration.sum,dram__bytes_read.sum,dram__bytes_write.sum \
        build/cuda/bench_step --device cuda --no-graph --steps 1 | bench/kernel_times.py

Reads the table that Nsight Compute prints and prints one in Markdown: each kernel's calls, mean microseconds, share of
the time of all, and the bytes of the card's memory that a call reads and writes. Each kernel is measured by itself, so
that its time includes a start which in a replayed graph overlaps with the kernel before.
"""
import collections
import csv
import re
import sys

MICROSECONDS = {"ns": 1e-3, "us": 1, "ms": 1e3, "s": 1e6}
MEGABYTES = {"byte": 1e-6, "Kbyte": 1e-3, "Mbyte": 1, "Gbyte": 1e3}


def short(name):
    """What a kernel is called, without its types and arguments."""
    name = re.sub(r"void |galvan::|<unnamed>::|\(anonymous namespace\)::", "", name)
    depth, kept = 0, ""
    for letter in name:
        if letter == "(" and depth == 0:
            break
        depth += (letter == "<") - (letter == ">")
        kept += letter if depth == 0 and letter != ">" else ""
    return kept


def main():
    rows = list(csv.DictReader(line for line in sys.stdin if line.startswith('"')))
    if not rows:
        sys.exit("kernel_times: no measurements of Nsight Compute on the standard input")
    launches = {}
    for row in rows:
        launch = launches.setdefault(row["ID"], {"name": short(row["Kernel Name"]), "us": 0.0, "mb": 0.0})
        value, unit = float(row["Metric Value"].replace(",", "")), row["Metric Unit"]
        if unit in MICROSECONDS:
            launch["us"] += value * MICROSECONDS[unit]
        elif unit in MEGABYTES:
            launch["mb"] += value * MEGABYTES[unit]
    kernels = collections.defaultdict(list)
    for launch in launches.values():
        kernels[launch["name"]].append(launch)
    total = sum(launch["us"] for launch in launches.values())
    print(f"{len(launches)} kernels, {total:.0f} us\n\n| kernel | calls | us each | share | MB each | GB/s |\n|---|---|---|---|---|---|")
    for name, calls in sorted(kernels.items(), key=lambda item: -sum(call["us"] for call in item[1])):
        us, mb = sum(call["us"] for call in calls), sum(call["mb"] for call in calls)
        print(f"| {name} | {len(calls)} | {us / len(calls):.1f} | {100 * us / total:.1f} % | {mb / len(calls):.1f} |"
              f" {1e3 * mb / us:.0f} |")


if __name__ == "__main__":
    main()
