"""Writes schedules.json: learning rates and momenta of PyTorch's schedulers over 3,000 steps.

    python3 tests/golden/make_schedules.py          (Debian's python3-torch 1.13.1, or any later one)

One line a case: the schedule as schedule_from_json takes it, and for each block of 20 steps the first value and the
sum of (1 + i % 7) * value over the block's steps i, so that every step counts and no two neighbours can be swapped.
"scale_fn" names the custom function of a case. The cosine with warm-up, which PyTorch lacks, is nanoGPT's formula,
typed in here anew.
"""
import json
import math
import os
import warnings

import torch
from torch.optim import lr_scheduler as ls

STEPS, BLOCK = 3000, 20
SCALE_FNS = {"1/(1+x)": lambda x: 1 / (1 + x), "0.5*(1+sin(x))": lambda x: 0.5 * (1 + math.sin(x))}


def sgd(lr):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


def run(optimizer, scheduler, steps):
    lrs, momenta = [], []
    for k in range(steps):
        if k > 0:
            optimizer.step()
            scheduler.step()
        group = optimizer.param_groups[0]
        lrs.append(group["lr"])
        momenta.append(group["momentum"])
    return lrs, momenta


def make(options, optimizer):
    o = dict(options)
    policy = o.pop("policy")
    lr = o.pop("lr", None)
    if policy == "SequentialLR":
        parts = []
        for part in o["schedules"]:
            optimizer.param_groups[0]["lr"] = optimizer.param_groups[0]["initial_lr"] = part["lr"]
            parts.append(make(part, optimizer))
        return ls.SequentialLR(optimizer, parts, o["milestones"])
    if "scale_fn" in o:
        o["scale_fn"] = SCALE_FNS[o["scale_fn"]]
    return getattr(ls, policy)(optimizer, **o)


def nanogpt(o):
    def lr(it):
        if it < o["warmup"]:
            return o["lr"] * (it + 1) / (o["warmup"] + 1)
        if it > o["decay_steps"]:
            return o["min_lr"]
        done = (it - o["warmup"]) / (o["decay_steps"] - o["warmup"])
        return o["min_lr"] + 0.5 * (1 + math.cos(math.pi * done)) * (o["lr"] - o["min_lr"])

    return [lr(it) for it in range(STEPS)], [0.9] * STEPS


def values(options):
    if options["policy"] == "CosineWarmupLR":
        return nanogpt(options)
    optimizer = sgd(options.get("lr", 0.1))
    steps = min(STEPS, options.get("total_steps", STEPS))
    return run(optimizer, make(options, optimizer), steps)


def blocks(v):
    return [[v[i], sum((1 + j % 7) * v[j] for j in range(i, min(i + BLOCK, len(v))))] for i in range(0, len(v), BLOCK)]


def cyclic(**o):
    return {"policy": "CyclicLR", **o}


def one_cycle(**o):
    return {"policy": "OneCycleLR", **o}


CASES = [
    cyclic(base_lr=0.001, max_lr=0.1),
    cyclic(base_lr=0.001, max_lr=0.1, step_size_up=400, mode="triangular"),
    cyclic(base_lr=0.1, max_lr=3.0, step_size_up=5, step_size_down=2),
    cyclic(base_lr=0.0, max_lr=0.5, step_size_up=1, step_size_down=98, base_momentum=0.0, max_momentum=0.99),
    cyclic(base_lr=0.001, max_lr=0.006, step_size_up=37, mode="triangular2"),
    cyclic(base_lr=0.1, max_lr=0.5, step_size_up=301, step_size_down=100, mode="triangular2", base_momentum=0.85,
           max_momentum=0.95),
    cyclic(base_lr=0.01, max_lr=0.1, step_size_up=250, mode="exp_range", gamma=0.999),
    cyclic(base_lr=0.01, max_lr=0.1, step_size_up=13, step_size_down=29, mode="exp_range", gamma=0.9994,
           cycle_momentum=False),
    cyclic(base_lr=0.1, max_lr=0.5, step_size_up=50, scale_fn="1/(1+x)", scale_mode="iterations"),
    cyclic(base_lr=0.1, max_lr=0.5, step_size_up=31, step_size_down=32, mode="triangular2", scale_fn="0.5*(1+sin(x))",
           scale_mode="cycle"),
    one_cycle(max_lr=1.0, total_steps=10),
    one_cycle(max_lr=0.1, total_steps=3000),
    one_cycle(max_lr=0.1, total_steps=2999, pct_start=0.25, anneal_strategy="linear"),
    one_cycle(max_lr=3.0, total_steps=3000, three_phase=True, div_factor=10.0, final_div_factor=1000.0),
    one_cycle(max_lr=0.02, total_steps=1777, pct_start=0.45, three_phase=True, anneal_strategy="linear",
              base_momentum=0.8, max_momentum=0.9),
    one_cycle(max_lr=0.01, total_steps=2500, pct_start=0.0, cycle_momentum=False),
    one_cycle(max_lr=0.01, total_steps=33, pct_start=1.0),
    {"policy": "CosineAnnealingLR", "lr": 0.1, "T_max": 3000},
    {"policy": "CosineAnnealingLR", "lr": 0.1, "T_max": 701, "eta_min": 0.003},
    {"policy": "CosineWarmupLR", "lr": 0.001, "min_lr": 0.0001, "warmup": 100, "decay_steps": 2000},
    {"policy": "CosineWarmupLR", "lr": 0.0006, "min_lr": 0.0, "warmup": 0, "decay_steps": 3000},
    {"policy": "StepLR", "lr": 0.1, "step_size": 700},
    {"policy": "StepLR", "lr": 0.3, "step_size": 11, "gamma": 0.97},
    {"policy": "ExponentialLR", "lr": 0.1, "gamma": 0.999},
    {"policy": "SequentialLR", "milestones": [201, 1500],
     "schedules": [{"policy": "ExponentialLR", "lr": 0.1, "gamma": 0.99},
                   {"policy": "StepLR", "lr": 0.1, "step_size": 130, "gamma": 0.5},
                   {"policy": "ExponentialLR", "lr": 0.1, "gamma": 0.9995}]},
]

def case(options):
    lr, momentum = values(options)
    line = {"schedule": options, "steps": len(lr), "lr": blocks(lr)}
    if len(set(momentum)) > 1:
        line["momentum"] = blocks(momentum)
    return json.dumps(line, separators=(",", ":"))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "schedules.json"), "w") as file:
        file.write("[" + ",\n".join(map(case, CASES)) + "]\n")
