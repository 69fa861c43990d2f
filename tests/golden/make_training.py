"""Writes training.json and training.safetensors: 50 steps of two 2-layer models, as PyTorch takes them.

    python3 tests/golden/make_training.py          (Debian's python3-torch 1.13.1, or any later one)

Models (training.json, models): gpt2 (pre-norm, fused QKV, tanh GELU, learned positions, tied head, biases) and llama
(RMSNorm, RoPE rotate-half, SwiGLU, 4 heads that share 2 key/value heads, untied head, no biases), with Hugging
Face's names. Every matrix stands as [out, in], GPT-2's too. The parameter at place i of the list starts as
real(shape, seed = i + 1, scale, offset), rounded to f32 in the f32 runs.

Batches: ids = integer([B, T + 1], seed = 5000 + step % 5, below = V); the model reads ids[:, :T] and predicts
ids[:, 1:]; the loss is the mean cross-entropy over all B T of them, taken before the step's update.

Runs (training.json, runs), one for each model, optimizer and dtype:
    sgd      momentum .9 under CyclicLR (triangular, cycled momentum), no clipping, no decay
    adamw    constant lr, gradients clipped to norm 1, decay only on tensors of two and more dimensions
    losses   of the 50 steps; norms: the gradients' global norm at each step, before clipping

Tensors of training.safetensors, for dtype f64 and f32:
    <model>/<dtype>/gradient/<parameter>            at step 0, not clipped
    <model>/<dtype>/<optimizer>/<parameter>         after the 50 steps
Under adamw GPT-2's key biases (the middle third of c_attn.bias) hold noise: their exact gradient is zero.
"""

import json
import math
import os
import struct

import torch
import torch.nn.functional as F

from inputs import integer, numbers, real, write

STEPS = 50
B = 3
GPT2 = dict(vocabulary=17, context=8, layers=2, heads=2, width=16, hidden=64, eps=1e-5)
LLAMA = dict(vocabulary=17, context=8, layers=2, heads=4, kv_heads=2, width=16, hidden=40, eps=1e-5, theta=10000.0)
SGD = dict(lr=0.01, momentum=0.9)
CYCLE = dict(base_lr=0.01, max_lr=0.1, step_size_up=8, mode="triangular", cycle_momentum=True, base_momentum=0.8,
             max_momentum=0.9)
ADAMW = dict(lr=0.003, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1, clip=1.0)


# Parameters, in order. -------------------------------------------------------------------------------------------


def matrix(name, *shape, scale=0.25):
    return dict(name=name, shape=list(shape), scale=scale, offset=0.0)


def norm_weight(name, size):
    return dict(name=name, shape=[size], scale=0.125, offset=1.0)


def bias(name, size):
    return dict(name=name, shape=[size], scale=0.125, offset=0.0)


def gpt2_parameters(c):
    C, H = c["width"], c["hidden"]
    out = [matrix("transformer.wte.weight", c["vocabulary"], C, scale=0.5),
           matrix("transformer.wpe.weight", c["context"], C, scale=0.5)]
    for i in range(c["layers"]):
        h = f"transformer.h.{i}."
        out += [norm_weight(h + "ln_1.weight", C), bias(h + "ln_1.bias", C)]
        out += [matrix(h + "attn.c_attn.weight", 3 * C, C), bias(h + "attn.c_attn.bias", 3 * C)]
        out += [matrix(h + "attn.c_proj.weight", C, C), bias(h + "attn.c_proj.bias", C)]
        out += [norm_weight(h + "ln_2.weight", C), bias(h + "ln_2.bias", C)]
        out += [matrix(h + "mlp.c_fc.weight", H, C), bias(h + "mlp.c_fc.bias", H)]
        out += [matrix(h + "mlp.c_proj.weight", C, H, scale=0.125), bias(h + "mlp.c_proj.bias", C)]
    return out + [norm_weight("transformer.ln_f.weight", C), bias("transformer.ln_f.bias", C)]


def llama_parameters(c):
    C, H, KV = c["width"], c["hidden"], c["width"] // c["heads"] * c["kv_heads"]
    out = [matrix("model.embed_tokens.weight", c["vocabulary"], C, scale=0.5)]
    for i in range(c["layers"]):
        h = f"model.layers.{i}."
        out += [norm_weight(h + "input_layernorm.weight", C)]
        out += [matrix(h + "self_attn.q_proj.weight", C, C), matrix(h + "self_attn.k_proj.weight", KV, C)]
        out += [matrix(h + "self_attn.v_proj.weight", KV, C), matrix(h + "self_attn.o_proj.weight", C, C)]
        out += [norm_weight(h + "post_attention_layernorm.weight", C)]
        out += [matrix(h + "mlp.gate_proj.weight", H, C), matrix(h + "mlp.up_proj.weight", H, C)]
        out += [matrix(h + "mlp.down_proj.weight", C, H)]
    return out + [norm_weight("model.norm.weight", C), matrix("lm_head.weight", c["vocabulary"], C)]


# Forward passes: (parameters by name, sizes, ids [B, T]) -> logits [B, T, V]. ------------------------------------


def heads(x, count):
    """[B, T, count D] -> [B, count, T, D]"""
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


def causal_attention(q, k, v):
    """[B, H, T, D] each -> [B, T, H D]"""
    T, D = q.shape[-2:]
    scores = q @ k.mT / math.sqrt(D)
    scores = scores.masked_fill(~torch.ones(T, T, dtype=torch.bool).tril(), -torch.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def gpt2(p, c, ids):
    layer_norm = lambda x, name: F.layer_norm(x, (c["width"],), p[name + ".weight"], p[name + ".bias"], c["eps"])
    linear = lambda x, name: F.linear(x, p[name + ".weight"], p[name + ".bias"])
    x = p["transformer.wte.weight"][ids] + p["transformer.wpe.weight"][: ids.shape[1]]
    for i in range(c["layers"]):
        h = f"transformer.h.{i}."
        q, k, v = linear(layer_norm(x, h + "ln_1"), h + "attn.c_attn").split(c["width"], -1)
        n = c["heads"]
        x = x + linear(causal_attention(heads(q, n), heads(k, n), heads(v, n)), h + "attn.c_proj")
        hidden = F.gelu(linear(layer_norm(x, h + "ln_2"), h + "mlp.c_fc"), approximate="tanh")
        x = x + linear(hidden, h + "mlp.c_proj")
    return layer_norm(x, "transformer.ln_f") @ p["transformer.wte.weight"].mT


def rope(x, theta):
    """[B, H, T, D]: position t turns the pair (x_i, x_{i + D/2}) by t theta^(-2 i / D), an angle taken in f64."""
    T, D = x.shape[-2:]
    frequency = theta ** (-torch.arange(0, D, 2, dtype=torch.float64) / D)
    angle = torch.arange(T, dtype=torch.float64)[:, None] * frequency
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., : D // 2], x[..., D // 2 :]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def llama(p, c, ids):
    rms_norm = lambda x, name: p[name + ".weight"] * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + c["eps"])
    linear = lambda x, name: x @ p[name + ".weight"].mT
    group = c["heads"] // c["kv_heads"]
    x = p["model.embed_tokens.weight"][ids]
    for i in range(c["layers"]):
        h = f"model.layers.{i}."
        y = rms_norm(x, h + "input_layernorm")
        q = rope(heads(linear(y, h + "self_attn.q_proj"), c["heads"]), c["theta"])
        k = rope(heads(linear(y, h + "self_attn.k_proj"), c["kv_heads"]), c["theta"])
        v = heads(linear(y, h + "self_attn.v_proj"), c["kv_heads"])
        y = causal_attention(q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1))
        x = x + linear(y, h + "self_attn.o_proj")
        y = rms_norm(x, h + "post_attention_layernorm")
        y = F.silu(linear(y, h + "mlp.gate_proj")) * linear(y, h + "mlp.up_proj")
        x = x + linear(y, h + "mlp.down_proj")
    return linear(rms_norm(x, "model.norm"), "lm_head")


# Training. -------------------------------------------------------------------------------------------------------


def train(forward, sizes, specs, optimizer, dtype):
    """Returns losses, norms, gradients at step 0 and final parameters, the last two as dicts by name."""
    p = {s["name"]: real(tuple(s["shape"]), s["seed"], s["scale"], s["offset"]).to(dtype).requires_grad_() for s in specs}
    policy, clip = None, math.inf
    if optimizer == "sgd":
        engine = torch.optim.SGD(p.values(), **SGD)
        policy = torch.optim.lr_scheduler.CyclicLR(engine, **CYCLE)
    else:
        options = {key: value for key, value in ADAMW.items() if key != "clip"}
        clip = ADAMW["clip"]
        engine = torch.optim.AdamW([dict(params=[t for t in p.values() if t.dim() >= 2]),
                                    dict(params=[t for t in p.values() if t.dim() < 2], weight_decay=0.0)], **options)
    losses, norms = [], []
    for step in range(STEPS):
        ids = integer((B, sizes["context"] + 1), 5000 + step % 5, sizes["vocabulary"])
        loss = F.cross_entropy(forward(p, sizes, ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        engine.zero_grad()
        loss.backward()
        if step == 0:
            first = {name: t.grad.clone() for name, t in p.items()}
        norms.append(torch.nn.utils.clip_grad_norm_(p.values(), clip))
        engine.step()
        if policy:
            policy.step()
        losses.append(loss.detach())
    return torch.stack(losses), torch.stack(norms), first, {name: t.detach() for name, t in p.items()}


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        raw = t.contiguous().numpy().tobytes()
        header[name] = dict(dtype={torch.float64: "F64", torch.float32: "F32"}[t.dtype], shape=list(t.shape),
                            data_offsets=[len(data), len(data) + len(raw)])
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    torch.set_num_threads(1)
    here = os.path.dirname(os.path.abspath(__file__))
    models, runs, tensors = {}, [], {}
    for model, forward, sizes, parameters in (("gpt2", gpt2, GPT2, gpt2_parameters), ("llama", llama, LLAMA, llama_parameters)):
        specs = parameters(sizes)
        for i, s in enumerate(specs):
            s["seed"] = i + 1
        models[model] = dict(sizes=sizes, parameters=specs)
        for dtype, tag in ((torch.float64, "f64"), (torch.float32, "f32")):
            for optimizer in ("sgd", "adamw"):
                losses, norms, gradients, final = train(forward, sizes, specs, optimizer, dtype)
                runs.append(dict(model=model, optimizer=optimizer, dtype=tag, losses=numbers(losses), norms=numbers(norms)))
                tensors.update({f"{model}/{tag}/gradient/{name}": t for name, t in gradients.items()})
                tensors.update({f"{model}/{tag}/{optimizer}/{name}": t for name, t in final.items()})
    head = dict(made_by="tests/golden/make_training.py", pytorch=torch.__version__, steps=STEPS, batch=B, batches=5,
                batch_seed=5000, models=models, sgd=SGD, cycle=CYCLE, adamw=ADAMW)
    write(os.path.join(here, "training.json"), head, "runs", runs)
    write_safetensors(os.path.join(here, "training.safetensors"), tensors)
