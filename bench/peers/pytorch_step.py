#!/usr/bin/env python3
"""One training step of the presets in PyTorch, eager or compiled: the peer that galvan is measured against.

    python3 bench/peers/pytorch_step.py --preset tiny --threads 2 --steps 50 [--json]
    python3 bench/peers/pytorch_step.py --preset gpt2 --batch-size 16 --device cuda --dtype bf16 --compile --graph

The model is nanoGPT's way of writing GPT-2: pre-norm, one matrix for q, k and v, tanh GELU, learned positions, tied
head, biases, no dropout. A step is zero_grad, forward, cross-entropy, backward, clipping to norm 1, optimizer. Works
on every PyTorch from 1.13; where versions differ, --attention auto and --fused auto take what is fastest there.

Prints the median ms of a step and tokens a second. bench/peers/README.md says how to set up an environment in which
PyTorch is at its best.
"""

import argparse
import json
import math
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

PRESETS = {
    "tiny": dict(layers=4, heads=4, width=128, context=64, batch=12),
    "shakespeare-char": dict(layers=6, heads=6, width=384, context=256, batch=8),
    "gpt2": dict(layers=12, heads=12, width=768, context=1024, batch=1, vocabulary=50304),
}
VOCABULARY = 65  # of the presets that name none


def attend_manual(q, k, v, mask):
    """As nanoGPT without flash attention, the mask (0 or -inf) added: scores and softmax are [B, H, T, T]."""
    scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(q.shape[-1]))
    return F.softmax(scores + mask, dim=-1) @ v


def attend_baddbmm(q, k, v, mask):
    """Mask and scale ride along in the first product."""
    B, H, T, D = q.shape
    scores = torch.baddbmm(mask.expand(B * H, T, T), q.reshape(-1, T, D), k.reshape(-1, T, D).transpose(1, 2), alpha=1.0 / math.sqrt(D))
    return torch.bmm(F.softmax(scores, dim=-1), v.reshape(-1, T, D)).view(B, H, T, D)


def attend_sdpa(q, k, v, mask):
    """PyTorch's fused attention, from 2.0."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


ATTENTION = dict(manual=attend_manual, baddbmm=attend_baddbmm, sdpa=attend_sdpa)


class Block(nn.Module):
    def __init__(self, c, attend):
        super().__init__()
        width = c["width"]
        self.heads, self.attend = c["heads"], attend
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.attn_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.mlp_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, mask):
        B, T, C = x.shape
        q, k, v = (t.view(B, T, self.heads, -1).transpose(1, 2) for t in self.c_attn(self.ln_1(x)).split(C, dim=2))
        y = self.attend(q, k, v, mask).transpose(1, 2).reshape(B, T, C)
        x = x + self.attn_proj(y)
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, c, attend):
        super().__init__()
        vocabulary = c.get("vocabulary", VOCABULARY)
        self.wte, self.wpe = nn.Embedding(vocabulary, c["width"]), nn.Embedding(c["context"], c["width"])
        self.blocks = nn.ModuleList(Block(c, attend) for _ in range(c["layers"]))
        self.ln_f = nn.LayerNorm(c["width"])
        self.head = nn.Linear(c["width"], vocabulary, bias=False)
        self.head.weight = self.wte.weight
        self.register_buffer("mask", torch.full((c["context"], c["context"]), -math.inf).triu(1))
        self.register_buffer("positions", torch.arange(c["context"]))
        for name, p in self.named_parameters():
            if p.dim() >= 2:
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * c["layers"]) if "_proj" in name else 0.02)

    def forward(self, ids, targets):
        x = self.wte(ids) + self.wpe(self.positions)
        for block in self.blocks:
            x = block(x, self.mask)
        logits = self.head(self.ln_f(x))
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))


def gflop_per_step(c):
    """Of all matrix products, forward and backward, attention counted whole, causal or not."""
    C, tokens = c["width"], c["batch"] * c["context"]
    per_token = c["layers"] * (12 * C * C + 2 * c["context"] * C) + c.get("vocabulary", VOCABULARY) * C
    return 6 * per_token * tokens / 1e9


def make_optimizer(model, kind, fused, capturable):
    """AdamW or SGD in their fastest eager form: one fused kernel (from 2.4 on CPUs), or lists of tensors."""
    decay = [p for p in model.parameters() if p.dim() >= 2]
    rest = [p for p in model.parameters() if p.dim() < 2]
    groups = [dict(params=decay, weight_decay=0.1 if kind == "adamw" else 0.0), dict(params=rest, weight_decay=0.0)]
    on_card = dict(capturable=True) if capturable else {}
    make = (lambda **form: torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), **on_card, **form)) if kind == "adamw" else (
        lambda **form: torch.optim.SGD(groups, lr=1e-2, momentum=0.9, **form))
    if fused != "no":
        try:
            return make(fused=True), "fused"
        except (TypeError, RuntimeError):
            if fused == "yes":
                raise
    return make(foreach=True), "foreach"


def captured(train_step):
    """The step as one CUDA graph, and the tensor that holds its loss."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(5):
            train_step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = train_step()

    def replay():
        graph.replay()
        return loss
    return replay


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--optimizer", choices=("adamw", "sgd"), default="adamw")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32", help="bf16: autocast, f32 parameters")
    parser.add_argument("--attention", choices=("auto", *ATTENTION), default="auto")
    parser.add_argument("--fused", choices=("auto", "yes", "no"), default="auto", help="the optimizer's fused kernel")
    parser.add_argument("--batch-size", type=int, default=0, help="0: the preset's")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--graph", action="store_true", help="on a card, all of the step as one CUDA graph")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=50, help="timed steps")
    parser.add_argument("--warmup", type=int, default=3, help="steps before the timed ones")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    c = dict(PRESETS[args.preset])
    c["batch"] = args.batch_size or c["batch"]
    attention = args.attention
    if attention == "auto":
        attention = "sdpa" if hasattr(F, "scaled_dot_product_attention") else "baddbmm"
    model = GPT(c, ATTENTION[attention]).to(args.device)
    optimizer, form = make_optimizer(model, args.optimizer, args.fused, args.graph)
    parameters = list(model.parameters())
    ids = torch.randint(c.get("vocabulary", VOCABULARY), (c["batch"], c["context"] + 1), device=args.device)
    x, y = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()

    forward = torch.compile(model) if args.compile else model
    wait = torch.cuda.synchronize if args.device == "cuda" else lambda: None

    def train_step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(args.device, dtype=torch.bfloat16, enabled=args.dtype == "bf16", cache_enabled=not args.graph):
            loss = forward(x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss

    step = captured(train_step) if args.graph else train_step
    # On a card, waiting for each step would be what is timed.
    at_a_time = 20 if args.device == "cuda" else 1
    for _ in range(args.warmup):
        step()
    wait()
    times = []
    for _ in range(args.steps):
        start = time.perf_counter()
        for _ in range(at_a_time):
            loss = step()
        wait()
        times.append(1e3 * (time.perf_counter() - start) / at_a_time)
    ms = statistics.median(times)
    result = dict(name=f"pytorch {torch.__version__.split('+')[0]}", preset=args.preset, optimizer=f"{args.optimizer} {form}",
                  dtype=args.dtype, attention=attention, device=args.device, compiled=args.compile, graph=args.graph, threads=args.threads, ms_per_step=round(ms, 3),
                  ms_fastest=round(min(times), 3),
                  tokens_per_second=round(c["batch"] * c["context"] / ms * 1e3, 1),
                  gflop_per_step=round(gflop_per_step(c), 3), loss=loss.item())
    if args.json:
        print(json.dumps(result))
    else:
        print("  ".join(f"{key} {value}" for key, value in result.items()))


if __name__ == "__main__":
    main()
