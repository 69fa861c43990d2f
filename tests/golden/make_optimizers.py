"""Writes optimizers.json: parameters after each of 20 steps of every optimizer, and clipped gradients, in f64.

    python3 tests/golden/make_optimizers.py          (Debian's python3-torch 1.13.1, or any later one)

An optimizer case:
    name, optimizer    sgd | adam | adamw
    momentum_form      torch | classic (sgd only)
    schedule           null, or the arguments of CyclicLR, which then sets lr and momentum (beta1 with Adam)
    lr, momentum       what the schedule gives at each of the 20 steps; empty without a schedule
    groups             one parameter (a vector) each:
        options        as PyTorch names them, complete; betas as [beta1, beta2]
        size, parameter_seed, gradient_seed   p_0 is real(size, parameter_seed); the gradient of step k = 0, 1, ..
                       is real(size, gradient_seed + k), whatever p is
        skip           steps at which the parameter has no gradient
        parameters     p after each step, 20 rows
        state          buffers after the last step: momentum_buffer, or exp_avg and exp_avg_sq

A clip case: gradients of given shape, seed and scale; max_norm; total_norm before; values after.
"""

import os

import torch

from inputs import numbers, real, write

STEPS = 20
SIZE = 5
OPTIONS = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize", "betas", "eps")

cases = []


class ClassicSGD(torch.optim.Optimizer):
    """SGD as Caffe and Smith's papers write it, with lr inside the buffer: v = momentum v + lr g; p -= v. At constant
    lr it takes the steps of torch.optim.SGD, whatever the options: the first v is lr g, undamped."""

    def __init__(self, params, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
        super().__init__(params, dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
                                      nesterov=nesterov, maximize=maximize))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                g = (-p.grad if group["maximize"] else p.grad) + group["weight_decay"] * p
                state = self.state[p]
                if "momentum_buffer" in state:
                    v = momentum * state["momentum_buffer"] + (1 - group["dampening"]) * lr * g
                else:
                    v = lr * g
                state["momentum_buffer"] = v
                p -= lr * g + momentum * v if group["nesterov"] else v


def case(name, optimizer, options, schedule=None, momentum_form="torch", skip=()):
    """Records 20 steps. options: one dict, or a list of dicts, one a group."""
    groups = options if isinstance(options, list) else [options]
    make = {"sgd": ClassicSGD if momentum_form == "classic" else torch.optim.SGD,
            "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer]
    parameters, records = [], []
    for i, o in enumerate(groups):
        record = dict(options={}, size=SIZE + i, parameter_seed=1 + 1000 * i, gradient_seed=101 + 1000 * i,
                      skip=list(skip), parameters=[])
        parameters.append(real((SIZE + i,), record["parameter_seed"]).requires_grad_())
        records.append(record)
    # The first group's options double as the defaults that PyTorch demands.
    engine = make([dict(o, params=[p]) for o, p in zip(groups, parameters)], **groups[0])
    for record, group in zip(records, engine.param_groups):
        record["options"] = {key: group[key] for key in OPTIONS if key in group}

    policy, lrs, momenta = None, [], []
    if schedule:
        # Driven beside the optimizer: PyTorch 1.13's CyclicLR refuses to cycle Adam's beta1, later ones do.
        dummy = torch.optim.SGD([torch.zeros(1)], lr=1.0, momentum=0.5)
        policy = torch.optim.lr_scheduler.CyclicLR(dummy, **schedule)
    for k in range(STEPS):
        if policy:
            now = dummy.param_groups[0]
            lrs.append(now["lr"])
            momenta.append(now["momentum"])
            for group in engine.param_groups:
                group["lr"] = now["lr"]
                if "betas" in group:
                    group["betas"] = (now["momentum"], group["betas"][1])
                else:
                    group["momentum"] = now["momentum"]
        for p, record in zip(parameters, records):
            p.grad = None if k in skip else real((record["size"],), record["gradient_seed"] + k)
        engine.step()
        if policy:
            dummy.step()
            policy.step()
        for p, record in zip(parameters, records):
            record["parameters"].append(numbers(p))
    for p, record in zip(parameters, records):
        record["state"] = {key: numbers(value) for key, value in engine.state[p].items()
                           if key != "step" and value is not None}
    cases.append(dict(name=name, optimizer=optimizer, momentum_form=momentum_form, schedule=schedule, lr=lrs,
                      momentum=momenta, groups=records))


def optimizers():
    lr = 0.1
    cycle = dict(base_lr=0.01, max_lr=0.1, step_size_up=4, mode="triangular", cycle_momentum=True, base_momentum=0.8,
                 max_momentum=0.9)
    sgd = {
        "plain": {},
        "decay": dict(weight_decay=0.1),
        "maximize": dict(maximize=True),
        "momentum": dict(momentum=0.9),
        "momentum, dampening": dict(momentum=0.9, dampening=0.5),
        "momentum, decay": dict(momentum=0.9, weight_decay=0.1),
        "momentum, nesterov": dict(momentum=0.9, nesterov=True),
        "momentum, nesterov, decay, maximize": dict(momentum=0.9, nesterov=True, weight_decay=0.1, maximize=True),
        "momentum, dampening, decay, maximize": dict(momentum=0.9, dampening=0.25, weight_decay=0.1, maximize=True),
    }
    for name, options in sgd.items():
        case(f"sgd {name}", "sgd", dict(options, lr=lr))
        if "momentum" in options:
            case(f"sgd {name}, late gradient", "sgd", dict(options, lr=lr), skip=[0, 1, 6])
            case(f"sgd {name}, cycle", "sgd", dict(options, lr=lr), schedule=cycle)
            case(f"sgd classic {name}", "sgd", dict(options, lr=lr), momentum_form="classic")
            case(f"sgd classic {name}, cycle", "sgd", dict(options, lr=lr), schedule=cycle, momentum_form="classic")
    case("sgd two groups", "sgd", [dict(lr=0.1, momentum=0.9), dict(lr=0.02, momentum=0.5, weight_decay=0.1)])
    adam = {
        "defaults": {},
        "betas": dict(betas=[0.8, 0.95]),
        "large eps": dict(eps=0.125),
        "decay": dict(weight_decay=0.1),
        "no decay": dict(weight_decay=0.0),
    }
    for name, options in adam.items():
        for optimizer in ("adam", "adamw"):
            case(f"{optimizer} {name}", optimizer, dict(options, lr=0.01))
    for optimizer in ("adam", "adamw"):
        case(f"{optimizer} late gradient", optimizer, dict(lr=0.01, weight_decay=0.1), skip=[0, 1, 6])
        case(f"{optimizer} cycle", optimizer, dict(lr=0.01, weight_decay=0.1), schedule=cycle)
        case(f"{optimizer} two groups", optimizer,
             [dict(lr=0.01, weight_decay=0.1), dict(lr=0.002, weight_decay=0.0, betas=[0.5, 0.9])])


def clips():
    out = []
    for name, scale, max_norm in (("above", 4.0, 1.0), ("below", 0.125, 10.0), ("far above", 1e6, 0.5), ("zero", 0.0, 1.0)):
        gradients = [dict(shape=shape, seed=501 + i, scale=scale) for i, shape in enumerate(([3, 5], [7], [1], [2, 1, 3]))]
        parameters = []
        for g in gradients:
            p = torch.zeros(g["shape"], dtype=torch.float64, requires_grad=True)
            p.grad = real(tuple(g["shape"]), g["seed"], g["scale"])
            parameters.append(p)
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        for g, p in zip(gradients, parameters):
            g["values"] = numbers(p.grad)
        out.append(dict(name=name, max_norm=max_norm, total_norm=float(norm), gradients=gradients))
    return out


if __name__ == "__main__":
    torch.set_num_threads(1)
    optimizers()
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "optimizers.json")
    head = dict(made_by="tests/golden/make_optimizers.py", pytorch=torch.__version__, steps=STEPS, clip=clips())
    write(path, head, "cases", cases)
    print(f"{path}: {len(cases)} cases, {os.path.getsize(path)} bytes")
