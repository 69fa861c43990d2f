#!/usr/bin/env python3
"""Which recipe trains the model best in the same number of steps?

    bench/comparison.py --galvan build/release/galvan --data input.txt --out FOLDER

Trains every recipe of comparison.toml with every seed, after the range tests (`galvan find-lr`) that some of them rest
on. Writes into FOLDER, after every run:

    results.json     each run's validation losses, what the range tests found, and the machine
    comparison.md    the table of them
    comparison.svg   the curves: the mean of the seeds, in a band from the lowest to the highest
    compared.html    at the end: `galvan report` of all runs with the first seed

A run that has come to its end is not repeated, one that was interrupted goes on where it was.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import tomllib

MACHINE = ["device", "processor", "galvan", "build", "compiler", "system"]
COLOURS = ["#2f7ff0", "#d9730d", "#2a9d4a", "#e0474c", "#9b5de5", "#00897b", "#a0703c", "#5c6773"]


def options(values):
    """As the command line takes them; a flag is --name or --no-name."""
    parts = []
    for name, value in values.items():
        parts += [f"--{name}" if value else f"--no-{name}"] if isinstance(value, bool) else [f"--{name}", str(value)]
    return parts


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


class Comparison:
    def __init__(self, arguments, config):
        self.galvan, self.folder, self.config = arguments.galvan, arguments.out, config
        self.recipes = {name: recipe for name, recipe in config["recipes"].items()
                        if not arguments.only or name in arguments.only}
        self.seeds = config["seeds"]
        self.common = config["common"] | {"data": arguments.data, "device": arguments.device}
        if arguments.steps:
            self.common["steps"] = arguments.steps
        if arguments.dtype:
            self.common["dtype"] = arguments.dtype
        if arguments.device == "cpu":
            self.common["threads"] = max(1, (os.cpu_count() or 1) // arguments.jobs)
        self.lock = threading.Lock()
        self.file = self.folder / "results.json"
        settings = {name: value for name, value in self.common.items() if name not in ("data", "threads")}
        self.results = json.loads(self.file.read_text()) if self.file.exists() else {
            "common": settings, "find": {}, "runs": {}}
        if self.results["common"] != settings:
            sys.exit(f"{self.file} is of other runs, with {self.results['common']}")

    def call(self, command):
        """What the command says on standard error when it fails; stops everything when it was interrupted."""
        done = subprocess.run([self.galvan, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode < 0 or done.returncode > 128:
            raise KeyboardInterrupt
        return done.stderr if done.returncode else None

    def find(self, name):
        folder = self.folder / f"find-{name}"
        if name not in self.results["find"]:
            error = self.call(["find-lr", *options(self.common | self.config["find"][name]), "--out", str(folder)])
            if error:
                sys.exit(f"find-lr for {name}: {error}")
            found = tomllib.loads((folder / "cyclic.toml").read_text())
            self.results["find"][name] = {key: found[key] for key in ("base-lr", "max-lr")}
            self.write()
        return folder / "cyclic.toml"

    def command(self, recipe, seed):
        own = recipe["options"] | self.config["train"] | {"seed": seed}
        if "found" in recipe:
            return ["train", "--config", str(self.find(recipe["found"])), *options(own)]
        if "max-lr-of" in recipe:
            self.find(recipe["max-lr-of"])
            rate = "lr" if recipe["options"]["schedule"] == "cosine" else "max-lr"
            own |= {rate: self.results["find"][recipe["max-lr-of"]]["max-lr"]}
        return ["train", *options(self.common | own)]

    def train(self, name, seed):
        if str(seed) in self.results["runs"].get(name, {}):
            return
        run = self.folder / f"{name}-{seed}"
        if (run / "config.toml").exists():  # interrupted; what diverged does so again
            command = ["train", "--resume"]
        else:
            command = self.command(self.recipes[name], seed)
        error = self.call([*command, "--out", str(run)])
        if error and "First bad value" not in error:
            sys.exit(f"{name}, seed {seed}: {error}")
        records = lines_of(run / "metrics.jsonl")
        evaluations = {record["step"]: round(record["eval_loss"], 5) for record in records if "eval_loss" in record}
        result = {"curve": sorted(evaluations.items()),
                  "seconds": round(sum(record.get("seconds", 0) for record in records), 2)}
        if error:
            result["error"] = error.strip()
        if (run / "cycles.json").exists():
            result |= json.loads((run / "cycles.json").read_text())
        with self.lock:
            self.results["runs"].setdefault(name, {})[str(seed)] = result
            if "machine" not in self.results:
                session = lines_of(run / "sessions.jsonl")[-1]
                self.results["machine"] = {name: session[name] for name in MACHINE if name in session}
            self.write()
        print(f"{name}, seed {seed}: " + (result.get("error") or f"{result['curve'][-1][1]:.4f}"), flush=True)

    def write(self):
        aside = self.file.with_suffix(".partial")
        aside.write_text(json.dumps(self.results, separators=(",", ":")) + "\n")
        aside.replace(self.file)
        (self.folder / "comparison.md").write_text(page(self.results, self.recipes, self.config))
        (self.folder / "comparison.svg").write_text(picture(self.results, self.recipes))

    def run(self, jobs):
        for name in self.config["find"]:
            if any(name in (recipe.get("found"), recipe.get("max-lr-of")) for recipe in self.recipes.values()):
                self.find(name)
        runs = [(name, seed) for seed in self.seeds for name in self.recipes]
        with concurrent.futures.ThreadPoolExecutor(jobs) as executor:
            futures = [executor.submit(self.train, *run) for run in runs]
            try:
                for future in concurrent.futures.as_completed(futures):
                    future.result()
            except BaseException:
                executor.shutdown(cancel_futures=True)
                raise
        self.write()
        firsts = [str(self.folder / f"{name}-{self.seeds[0]}") for name in self.recipes]
        self.call(["report", *firsts, "--html", str(self.folder / "compared.html")])


def losses(runs, key=None):
    """The last losses of the runs that came to their end, or what they have under `key`."""
    return [run[key] if key else run["curve"][-1][1] for run in runs.values()
            if "error" not in run and (not key or key in run)]


def page(results, recipes, config):
    def row(*cells):
        return "| " + " | ".join(str(cell) for cell in cells) + " |"

    def mean(values):
        return f"{statistics.mean(values):.4f}" if values else ""

    common, machine = results["common"], results.get("machine", {})
    text = [f"Preset {common['preset']}, {common['steps']} steps, on {machine.get('device', common['device'])}"
            f" ({common.get('dtype', 'its default dtype')}). Losses are over the whole validation split, in nats a token, at"
            " the end of the run.", ""]
    text += [row("recipe", *(f"seed {seed}" for seed in config["seeds"]), "mean", "spread", "lowest on the way",
                 "averaged weights", "ensemble", "seconds a run"), row(*["---"] * (7 + len(config["seeds"])))]
    for name, recipe in recipes.items():
        runs = results["runs"].get(name, {})
        each = []
        for seed in map(str, config["seeds"]):
            run = runs.get(seed, {})
            each.append("diverged" if "error" in run else f"{run['curve'][-1][1]:.4f}" if run else "")
        last = losses(runs)
        lowest = [min(loss for _, loss in run["curve"]) for run in runs.values() if "error" not in run]
        text.append(row(recipe["title"], *each, mean(last), f"{max(last) - min(last):.4f}" if last else "", mean(lowest),
                        mean(losses(runs, "average_loss")), mean(losses(runs, "ensemble_loss")),
                        f"{statistics.mean([run['seconds'] for run in runs.values()]):.1f}" if runs else ""))
    text += ["", "Means are of the seeds that came to their end. *Averaged weights* and *ensemble* are of the models at the cycles'"
             " ends. *Seconds* are those in steps.", "", "![Validation loss](comparison.svg)", ""]
    for recipe in recipes.values():
        given = " ".join(options(recipe["options"]))
        test = recipe.get("found") or recipe.get("max-lr-of")
        what = ", with the schedule" if "found" in recipe else ", with the highest rate" if test else ""
        text.append(f"- {recipe['title']}: `{given}`{what}{f' that find-lr found for {test}' if test else ''}")
    text.append("")
    for name, found in results["find"].items():
        text += [f"`galvan find-lr {' '.join(options(config['find'][name]))}` found a lowest rate of {found['base-lr']:.3g}"
                 f" and a highest of {found['max-lr']:.3g}.", ""]
    return "\n".join(text)


def picture(results, recipes):
    """Mean validation loss by step, in a band from the lowest seed to the highest."""
    width, height, left, right, top, bottom = 760, 400, 46, 230, 30, 40
    series = {}
    for name in recipes:
        curves = [dict(run["curve"]) for run in results["runs"].get(name, {}).values() if "error" not in run]
        steps = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
        if steps:
            series[name] = [(step, [curve[step] for curve in curves]) for step in steps]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
             ' role="img" aria-label="Validation loss of every recipe, by step">',
             '<g font-family="system-ui, sans-serif" font-size="12" fill="#727b85">',
             '<text x="8" y="18">validation loss, nats a token</text>']
    if series:
        every = [value for points in series.values() for _, values in points for value in values]
        low, high = min(every), max(every)
        high += (high - low) * 0.02 or 1
        last = max(points[-1][0] for points in series.values())
        x = lambda step: left + (width - left - right) * step / last
        y = lambda loss: top + (height - top - bottom) * (high - loss) / (high - low)
        gap = next(unit for unit in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if (high - low) / unit <= 9 or unit == 10)
        for k in range(int(low / gap) + 1, int(high / gap) + 1):
            parts += [f'<line x1="{left}" y1="{y(k * gap):.1f}" x2="{width - right}" y2="{y(k * gap):.1f}" stroke="#727b85"'
                      ' stroke-opacity="0.22"/>',
                      f'<text x="{left - 6}" y="{y(k * gap) + 4:.1f}" text-anchor="end">{k * gap:.4g}</text>']
        for k in range(5):
            parts.append(f'<text x="{x(last * k / 4):.1f}" y="{height - 22}" text-anchor="middle">{last * k // 4}</text>')
        parts.append(f'<text x="{width - right}" y="{height - 6}" text-anchor="end">step</text>')
        order = sorted(series, key=lambda name: statistics.mean(series[name][-1][1]), reverse=True)
        for rank, name in enumerate(order):  # the legend has the order of the last losses
            colour, points = COLOURS[list(recipes).index(name) % len(COLOURS)], series[name]
            band = [f"{x(s):.1f},{y(max(v)):.1f}" for s, v in points] + \
                   [f"{x(s):.1f},{y(min(v)):.1f}" for s, v in reversed(points)]
            line = [f"{x(s):.1f},{y(statistics.mean(v)):.1f}" for s, v in points]
            at = top + 16 + 20 * rank
            parts += [f'<polygon points="{" ".join(band)}" fill="{colour}" fill-opacity="0.15"/>',
                      f'<polyline points="{" ".join(line)}" fill="none" stroke="{colour}" stroke-width="1.8"/>',
                      f'<line x1="{width - right + 14}" y1="{at - 4}" x2="{width - right + 30}" y2="{at - 4}"'
                      f' stroke="{colour}" stroke-width="2.5"/>',
                      f'<text x="{width - right + 36}" y="{at}">{recipes[name]["title"]}</text>']
    return "\n".join([*parts, "</g>", "</svg>", ""])


def main():
    here = pathlib.Path(__file__).parent
    parser = argparse.ArgumentParser(description="Compares recipes of training, with several seeds each.")
    parser.add_argument("--galvan", required=True, help="the command")
    parser.add_argument("--data", required=True, help="the text")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="where runs and results are kept")
    parser.add_argument("--config", type=pathlib.Path, default=here / "comparison.toml", help="the recipes")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where it trains; default cpu")
    parser.add_argument("--dtype", choices=["f32", "bf16"], help="default: the device's, f32 or bf16")
    parser.add_argument("--steps", type=int, help="of each run, in place of the recipes' number")
    parser.add_argument("--only", nargs="+", metavar="RECIPE", help="leave the other recipes out")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; default 1")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        Comparison(arguments, tomllib.loads(arguments.config.read_text())).run(arguments.jobs)
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on")
    print(f"The table is {arguments.out / 'comparison.md'}")


if __name__ == "__main__":
    main()
