#!/usr/bin/env python3
"""Galvan's training step beside PyTorch's, in one run: slices of a few seconds in turn, medians of ratios.

    python3 bench/peers/compare.py --galvan build/release/bench_step

Rounds go galvan, peer, galvan, next peer, ... so that each peer's slice has one of ours before and after it; the ratio
of a slice is the peer's ms a step over the mean of those two. A machine that slows down for a while slows both.
Shares are of the f32 peak that galvan's binary measures in its own slices. bench/peers/README.md says more.
"""

import argparse
import glob
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SLICE_STEPS = {"tiny": 60, "shakespeare-char": 5}


def best_environment(threads, debian):
    """What makes PyTorch quickest: its threads from one OpenMP, tcmalloc, and no foreign choice of kernels."""
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env["OMP_NUM_THREADS"] = str(threads)
    tcmalloc = sorted(glob.glob("/usr/lib/*/libtcmalloc_minimal.so.4"))
    openblas = sorted(glob.glob("/usr/lib/*/openblas-openmp"))
    if tcmalloc:
        env["LD_PRELOAD"] = tcmalloc[0]
    if debian and openblas:
        env["LD_LIBRARY_PATH"] = openblas[0]
    for missing, package in ((not tcmalloc, "libtcmalloc-minimal4"), (debian and not openblas, "libopenblas0-openmp")):
        if missing:
            print(f"compare: without {package} PyTorch is not at its best", file=sys.stderr)
    return env


def run(command, env=None):
    """The last line of the command's output, as JSON."""
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"compare: {' '.join(command)} ended with {done.returncode}\n{done.stderr.strip()}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(args, preset, peers):
    """Prints one table; returns its rows."""
    common = ["--preset", preset, "--threads", str(args.threads), "--steps", str(args.steps or SLICE_STEPS[preset])]
    if args.dtype != "f32":
        common += ["--dtype", args.dtype]
    ours = lambda: run([args.galvan, *common, "--json"])
    slices = [ours()]
    names, times, ratios = {}, {p: [] for p in peers}, {p: [] for p in peers}
    for _ in range(args.rounds):
        for python in peers:
            env = best_environment(args.threads, debian=python == "/usr/bin/python3")
            script = os.path.join(HERE, "pytorch_step.py")
            theirs = run([python, script, *common, "--optimizer", args.optimizer, "--json"], env)
            slices.append(ours())
            around = (slices[-2]["ms_per_step"] + slices[-1]["ms_per_step"]) / 2
            gflop, names[python] = theirs["gflop_per_step"], f"{theirs['name']}, {theirs['attention']}"
            tokens = theirs["tokens_per_second"] * theirs["ms_per_step"] / 1e3
            times[python].append(theirs["ms_per_step"])
            ratios[python].append(theirs["ms_per_step"] / around)
    peak = statistics.median(s["peak_gflops"] for s in slices)
    rows = [("galvan", statistics.median(s["ms_per_step"] for s in slices), None)]
    rows += [(names[p], statistics.median(times[p]), statistics.median(ratios[p])) for p in peers]
    print(f"\n{preset}, {args.dtype}, {args.threads} threads, {gflop:.2f} GFLOP a step, measured f32 peak {peak:.0f} GFLOP/s, "
          f"{args.rounds} rounds\n")
    print("| | ms a step | tokens/s | of peak | galvan is faster by | slices |\n|---|---|---|---|---|---|")
    for python, (name, ms, ratio) in zip([None, *peers], rows):
        spread = "" if ratio is None else f"{min(ratios[python]):.2f} to {max(ratios[python]):.2f}"
        factor = "" if ratio is None else f"{ratio:.2f}"
        print(f"| {name} | {ms:.1f} | {tokens / ms * 1e3:,.0f} | {gflop / ms * 1e3 / peak:.0%} | {factor} | {spread} |", flush=True)
    return dict(preset=preset, dtype=args.dtype, threads=args.threads, peak_gflops=peak,
                rows=[dict(name=n, ms_per_step=ms, ratio=r) for n, ms, r in rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--galvan", default="build/release/bench_step", help="the binary that times our step")
    parser.add_argument("--peer", action="append", metavar="PYTHON",
                        help="a Python with PyTorch; default: /usr/bin/python3, and .venv/bin/python if there is one")
    parser.add_argument("--preset", action="append", choices=SLICE_STEPS, help="default: all")
    parser.add_argument("--optimizer", choices=("adamw", "sgd"), default="adamw", help="PyTorch's")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, help=f"a slice; default: {SLICE_STEPS}")
    parser.add_argument("--json", metavar="FILE", help="writes the tables as JSON too")
    args = parser.parse_args()
    venv = os.path.join(HERE, "..", "..", ".venv", "bin", "python")
    peers = args.peer or ["/usr/bin/python3"] + ([venv] if os.path.exists(venv) else [])
    tables = [compare(args, preset, peers) for preset in args.preset or SLICE_STEPS]
    if args.json:
        with open(args.json, "w", encoding="ascii") as out:
            json.dump(tables, out, indent=1)


if __name__ == "__main__":
    main()
