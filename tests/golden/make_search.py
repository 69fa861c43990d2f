"""Writes search.json: what other implementations of the search's algorithms answer.

    python3 -m venv .venv && .venv/bin/pip install numpy scipy optuna
    .venv/bin/python tests/golden/make_search.py        (the versions that wrote it stand in it)

sobol    rows [n, x_0, x_1, ...] of SciPy's qmc.Sobol, unscrambled, times 2^30
parzen   log densities of Optuna's Parzen estimators (of TPE, its defaults) at some values
pruners  the decisions of Optuna's pruners: events [trial, step, value, pruned] in their order, a null being NaN. A
         trial ends when it is pruned, or with its last event.
"""
import json
import math
import os

import numpy as np
import optuna
import scipy
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights
from scipy.stats import qmc

optuna.logging.set_verbosity(optuna.logging.ERROR)


def sobol():
    rows = []
    for first, count in ((0, 32), (1000, 4), (123456, 4)):
        sequence = qmc.Sobol(d=21, scramble=False)
        if first:
            sequence.fast_forward(first)
        for i, x in enumerate(sequence.random(count)):
            rows.append([first + i] + [int(v * 2**30) for v in x])
    return rows


def parzen():
    parameters = _ParzenEstimatorParameters(
        prior_weight=1.0, consider_magic_clip=True, consider_endpoints=False, weights=default_weights,
        multivariate=False)
    rng = np.random.RandomState(7)
    uniform = rng.uniform(-2, 5, 31).round(3)
    log = np.exp(rng.uniform(math.log(1e-5), 0, 8)).round(7)
    whole = rng.randint(0, 8, 9) * 4 + 8
    choice = rng.randint(0, 3, 6)
    cases = []
    for kind, distribution, seen, at in (
        ("uniform", FloatDistribution(-2, 5), uniform[:0], [-2, 0, 4.5]),
        ("uniform", FloatDistribution(-2, 5), uniform[:1], [-2, 0, 4.5]),
        ("uniform", FloatDistribution(-2, 5), uniform[:7], [-2, 0, 1.25, 4.5, 5]),
        ("uniform", FloatDistribution(-2, 5), uniform[:26], [-1, 1, 3]),
        ("uniform", FloatDistribution(-2, 5), uniform, [-2, 0, 1.25, 4.5, 5]),
        ("log", FloatDistribution(1e-5, 1, log=True), log, [1e-5, 1e-3, 0.2, 1]),
        ("int", IntDistribution(8, 36, step=4), whole, [8, 16, 20, 36]),
        ("choice", CategoricalDistribution(["a", "b", "c"]), choice, [0, 1, 2]),
        ("choice", CategoricalDistribution(["a", "b", "c"]), choice[:0], [0, 1, 2]),
    ):
        estimator = _ParzenEstimator({"x": np.asarray(seen, dtype=float)}, {"x": distribution}, parameters)
        log_pdf = estimator.log_pdf({"x": np.asarray(at, dtype=float)})
        cases.append({"kind": kind, "seen": [float(v) for v in seen], "at": at,
                      "log_density": [float(v) for v in log_pdf]})
    return cases


def curve(trial, step):
    """Rounded, so that there are ties."""
    if trial % 11 == 7 and step >= 9:
        return math.nan
    u = (trial * 2654435761 % 2**32) / 2**32
    v = ((trial + 77) * 40503 % 2**16) / 2**16
    return round(1 + u + 2 * math.exp(-step / (2 + 12 * v)), 2)


def run(make, options, trials, steps, jobs, name):
    """`jobs` trials at a time, a report each in turn."""
    study = optuna.create_study(study_name=name, pruner=make())
    events, running, begun = [], [], 0
    while begun < trials or running:
        while begun < trials and len(running) < jobs:
            running.append([study.ask(), 0])
            begun += 1
        for job in list(running):
            trial, done = job
            step = steps[done]
            value = curve(trial.number, step)
            trial.report(value, step)
            pruned = bool(trial.should_prune())
            events.append([trial.number, step, None if math.isnan(value) else value, pruned])
            job[1] += 1
            if pruned:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                running.remove(job)
            elif job[1] == len(steps):
                if math.isnan(value):
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                else:
                    study.tell(trial, value)
                running.remove(job)
    return {**options, "name": name, "events": events}


def pruners():
    P = optuna.pruners
    every, sparse = list(range(1, 28)), [2, 5, 11, 23]
    return [
        run(lambda: P.MedianPruner(), {"kind": "median"}, 30, every, 3, "median"),
        run(lambda: P.MedianPruner(n_startup_trials=2, n_warmup_steps=6),
            {"kind": "median", "startup_trials": 2, "warmup_steps": 6}, 30, sparse, 1, "median, late"),
        run(lambda: P.SuccessiveHalvingPruner(min_resource=1, reduction_factor=4),
            {"kind": "asha", "min_steps": 1, "reduction": 4}, 40, every, 4, "asha"),
        run(lambda: P.SuccessiveHalvingPruner(min_resource=2, reduction_factor=2),
            {"kind": "asha", "min_steps": 2, "reduction": 2}, 40, [9, 20], 2, "asha, rungs jumped over"),
        run(lambda: P.HyperbandPruner(min_resource=1, max_resource=27, reduction_factor=3),
            {"kind": "hyperband", "min_steps": 1, "max_steps": 27, "reduction": 3}, 60, every, 4, "hyperband"),
        run(lambda: P.HyperbandPruner(min_resource=3, max_resource=25, reduction_factor=2),
            {"kind": "hyperband", "min_steps": 3, "max_steps": 25, "reduction": 2}, 60, sparse, 2, "study 7"),
    ]


def main():
    golden = {"versions": {"scipy": scipy.__version__, "optuna": optuna.__version__},
              "sobol": sobol(), "parzen": parzen(), "pruners": pruners()}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "search.json")
    with open(path, "w") as file:
        file.write("{\n" + ",\n".join(
            f'"{key}": ' + (json.dumps(value) if isinstance(value, dict) else
                            "[\n" + ",\n".join(json.dumps(row) for row in value) + "\n]")
            for key, value in golden.items()) + "\n}\n")


main()
