#!/usr/bin/env python3
"""Is the schedule of `galvan find-lr` as good as the best of a grid?

    bench/find_lr.py --galvan build/release/galvan --data input.txt --out FOLDER

For each task of find_lr.toml: find-lr writes a schedule, which trains with every seed; every highest learning rate of
the grid trains under the same cycles (from a tenth of it) with the first seed, and the best of them with every seed.
Prints a table in Markdown. A run that is in FOLDER already is not repeated.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tomllib


def options(values):
    return [part for name, value in values.items() for part in (f"--{name}", str(value))]


def last_loss(run):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [record["eval_loss"] for record in records if "eval_loss" in record][-1]


class Task:
    def __init__(self, arguments, config, name):
        task = config["tasks"][name]
        self.galvan, self.folder = arguments.galvan, arguments.out / name
        self.common = config["common"] | task["options"] | {"data": arguments.data}
        self.find, self.seeds = config["find"], config["seeds"]
        first, last = task["grid"]
        self.grid = [2 ** (k / 2) for k in range(first, last + 1)]

    def call(self, command):
        subprocess.run([self.galvan, *command], check=True, stdout=subprocess.DEVNULL)

    def loss(self, name, command):
        """The last validation loss of a run; infinite where it broke off."""
        run = self.folder / name
        if not (run / "loss.svg").exists():
            if (run / "config.toml").exists():  # interrupted; what diverged does so again
                command = ["--resume"]
            try:
                self.call(["train", *command, "--out", str(run)])
            except subprocess.CalledProcessError:
                return float("inf")
        return last_loss(run)

    def found(self, seed):
        folder = self.folder / "find-lr"
        if not (folder / "cyclic.toml").exists():
            self.call(["find-lr", *options(self.common | self.find), "--out", str(folder)])
        return self.loss(f"found-{seed}", ["--config", str(folder / "cyclic.toml"), "--seed", str(seed)])

    def of_grid(self, lr, seed):
        schedule = {"schedule": "cyclic", "max-lr": lr, "base-lr": lr / 10, "seed": seed}
        return self.loss(f"grid-{lr:.4g}-{seed}", options(self.common | schedule))

    def run(self):
        found = [self.found(seed) for seed in self.seeds]
        grid = {lr: self.of_grid(lr, self.seeds[0]) for lr in self.grid}
        best = min(grid, key=grid.get)
        of_best = [self.of_grid(best, seed) for seed in self.seeds]
        schedule = tomllib.loads((self.folder / "find-lr" / "cyclic.toml").read_text())
        return schedule, found, grid, best, of_best


def main():
    here = pathlib.Path(__file__).parent
    parser = argparse.ArgumentParser(description="Compares find-lr's schedules with a grid of learning rates.")
    parser.add_argument("--galvan", required=True, help="the command")
    parser.add_argument("--data", required=True, help="the text")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="where runs are kept")
    parser.add_argument("--config", type=pathlib.Path, default=here / "find_lr.toml", help="tasks and grid")
    arguments = parser.parse_args()
    config = tomllib.loads(arguments.config.read_text())

    def line(*cells):
        print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)

    line("task", "found base, max", "its losses", "best of the grid", "its losses", "ratio of means", "spread", "held")
    line(*["---"] * 8)
    grids = {}
    for name in config["tasks"]:
        schedule, found, grid, best, of_best = Task(arguments, config, name).run()
        grids[name] = grid
        mean, best_mean = statistics.mean(found), statistics.mean(of_best)
        spread = max(of_best) - min(of_best)
        held = mean <= 1.03 * best_mean or mean - best_mean <= spread
        line(name, f"{schedule['base-lr']:.3g}, {schedule['max-lr']:.3g}", " ".join(f"{x:.4f}" for x in found),
             f"{best:.3g}", " ".join(f"{x:.4f}" for x in of_best), f"{mean / best_mean:.4f}", f"{spread:.4f}",
             "yes" if held else "no")
    for name, grid in grids.items():
        print(f"\n{name}, seed {config['seeds'][0]}, by highest learning rate:\n")
        line(*[f"{lr:.3g}" for lr in grid])
        line(*["---"] * len(grid))
        line(*[f"{loss:.3f}" for loss in grid.values()])


if __name__ == "__main__":
    main()
