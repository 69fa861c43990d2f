"""Writes ops.json: what PyTorch answers, in f64, for every op: outputs, and gradients of all real inputs.

    python3 tests/golden/make_ops.py          (Debian's python3-torch 1.13.1, or any later one)

One case:
    name        unique, op first
    op          galvan's name of the op
    attributes  its arguments other than tensors
    inputs      [{shape, dtype f64|i32|bool, seed, and for f64 scale, offset, absolute; for i32 below}], made by
                the formula of inputs.py; or {shape, dtype, values}; f64 inputs that take part in the gradient
                have grad, the gradient of sum over outputs j of <y_j, dy_j>
    outputs     [{shape, dtype, values}], f64 ones with the seed of their upstream gradient dy_j (upstream)

Non-finite numbers stand as the strings "inf", "-inf" and "nan".
"""

import os

import torch
import torch.nn.functional as F

from inputs import boolean, integer, numbers, real, write

cases = []
next_seed = 1


def fresh_seed():
    global next_seed
    next_seed += 1
    return next_seed - 1


# Input specifications. -------------------------------------------------------------------------------------------


def f64(*shape, scale=1.0, offset=0.0, absolute=False):
    return dict(shape=list(shape), dtype="f64", scale=scale, offset=offset, absolute=absolute)


def positive(*shape):
    return f64(*shape, offset=0.125, absolute=True)


def i32(*shape, below):
    return dict(shape=list(shape), dtype="i32", below=below)


def mask(*shape):
    return dict(shape=list(shape), dtype="bool")


def values(nested, dtype="f64"):
    t = torch.tensor(nested, dtype={"f64": torch.float64, "i32": torch.int64, "bool": torch.bool}[dtype])
    return dict(shape=list(t.shape), dtype=dtype, values=numbers(t), tensor=t)


def realise(spec):
    """Gives the specification its seed and returns the tensor."""
    if "values" in spec:
        return spec.pop("tensor")
    spec["seed"] = fresh_seed()
    shape, seed = tuple(spec["shape"]), spec["seed"]
    if spec["dtype"] == "bool":
        return boolean(shape, seed)
    if spec["dtype"] == "i32":
        return integer(shape, seed, spec["below"])
    t = real(shape, seed, spec["scale"], spec["offset"], spec["absolute"])
    for key, default in (("scale", 1.0), ("offset", 0.0), ("absolute", False)):
        if spec[key] == default:
            del spec[key]
    return t


def case(name, op, function, inputs, **attributes):
    """Records function(*inputs, **attributes) and its gradients under the op's name."""
    specs = [dict(s) for s in inputs]
    tensors = [realise(s) for s in specs]
    for t in tensors:
        if t.dtype == torch.float64:
            t.requires_grad_()
    result = function(*tensors, **attributes)
    results = list(result) if isinstance(result, (tuple, list)) else [result]
    outputs = []
    loss = 0
    for y in results:
        dtype = "f64" if y.dtype == torch.float64 else "bool" if y.dtype == torch.bool else "i32"
        out = dict(shape=list(y.shape), dtype=dtype, values=numbers(y))
        if y.requires_grad:
            out["upstream"] = fresh_seed()
            loss = loss + (y * real(tuple(y.shape), out["upstream"])).sum()
        outputs.append(out)
    if torch.is_tensor(loss):
        leaves = [t for t in tensors if t.requires_grad]
        loss.backward()
        for spec, t in zip(specs, tensors):
            if t.requires_grad:
                spec["grad"] = numbers(t.grad if t.grad is not None else torch.zeros_like(t))
        assert leaves
    full = op if name == "" else f"{op} {name}"
    assert full not in {c["name"] for c in cases}, full
    cases.append(dict(name=full, op=op, attributes=attributes, inputs=specs, outputs=outputs))


# Ops that PyTorch 1.13 lacks, composed. --------------------------------------------------------------------------


def matmul(a, b, transpose_a=False, transpose_b=False):
    """a @ b after swapping the last two dimensions of either."""
    return (a.mT if transpose_a else a) @ (b.mT if transpose_b else b)


def rms_norm(x, weight, eps):
    """y = weight * x / sqrt(mean(x^2) + eps) over the last dimension."""
    return weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def rope(x, theta, offset):
    """Llama's rotation of x [B, H, T, D] (rotate-half): position p = offset + t turns the pair (x_i, x_{i + D/2})
    by the angle p * theta^(-2 i / D)."""
    T, D = x.shape[-2:]
    frequency = theta ** (-torch.arange(0, D, 2, dtype=torch.float64) / D)
    angle = (offset + torch.arange(T, dtype=torch.float64))[:, None] * frequency
    c, s = angle.cos(), angle.sin()
    a, b = x[..., : D // 2], x[..., D // 2 :]
    return torch.cat([a * c - b * s, b * c + a * s], -1)


def attention(q, k, v, causal, scale):
    """softmax(scale q k^T + mask) v for q [B, H, T, D], k and v [B, G, S, D], H a multiple of G: query head h reads
    key head h / (H / G). Causal: query t sees keys 0 .. t + S - T, so that the last query sees all."""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    scores = scale * (q @ k.mT)
    if causal:
        T, S = scores.shape[-2:]
        scores = scores.masked_fill(~torch.ones(T, S, dtype=torch.bool).tril(S - T), -torch.inf)
    return scores.softmax(-1) @ v


# Cases. ----------------------------------------------------------------------------------------------------------


def matrix_products():
    for m, k, n in ((1, 1, 1), (3, 5, 7), (1, 33, 2), (31, 3, 1), (13, 17, 11), (2, 0, 3)):
        case(f"{m}x{k} @ {k}x{n}", "matmul", matmul, [f64(m, k), f64(k, n)])
    case("transposed a", "matmul", matmul, [f64(5, 3), f64(5, 7)], transpose_a=True)
    case("transposed b", "matmul", matmul, [f64(3, 5), f64(7, 5)], transpose_b=True)
    case("transposed both", "matmul", matmul, [f64(5, 3), f64(7, 5)], transpose_a=True, transpose_b=True)
    case("batched", "matmul", matmul, [f64(3, 2, 5), f64(3, 5, 4)])
    case("batched, transposed both", "matmul", matmul, [f64(3, 5, 2), f64(3, 4, 5)], transpose_a=True, transpose_b=True)
    case("batch against matrix", "matmul", matmul, [f64(3, 2, 5), f64(5, 4)])
    case("matrix against batch", "matmul", matmul, [f64(2, 5), f64(3, 5, 4)])
    case("broadcast batches", "matmul", matmul, [f64(2, 1, 3, 5), f64(3, 5, 2)])
    case("broadcast batches both ways", "matmul", matmul, [f64(2, 1, 3, 5), f64(1, 3, 2, 5)], transpose_b=True)
    case("bias", "linear", F.linear, [f64(3, 5), f64(7, 5), f64(7)])
    case("no bias", "linear", F.linear, [f64(3, 5), f64(7, 5)])
    case("3-d", "linear", F.linear, [f64(2, 3, 5), f64(4, 5), f64(4)])
    case("one row", "linear", F.linear, [f64(1, 33), f64(2, 33), f64(2)])


def pointwise():
    binary = dict(add=torch.add, sub=torch.sub, mul=torch.mul, div=torch.div, maximum=torch.maximum, minimum=torch.minimum)
    for op, f in binary.items():
        other = positive if op == "div" else f64
        case("same shape", op, f, [f64(3, 5, 2), other(3, 5, 2)])
        case("broadcast right", op, f, [f64(3, 5, 2), other(5, 1)])
        case("broadcast left", op, f, [f64(5), other(2, 3, 1)])
        case("with a scalar", op, f, [f64(33), other()])
        case("empty", op, f, [f64(0, 3), other(1, 3)])
    for op in ("maximum", "minimum"):
        case("ties", op, binary[op], [values([1.0, 2.0, -3.0, 0.0]), values([1.0, 1.0, -3.0, 5.0])])
    case("", "neg", torch.neg, [f64(31)])
    for exponent in (2.0, 3.0, -1.5, 0.5, 1.0, 0.0):
        case(f"exponent {exponent}", "pow", torch.pow, [positive(3, 5)], exponent=exponent)
    case("negative base, even exponent", "pow", torch.pow, [f64(7)], exponent=2.0)
    case("negative base, odd exponent", "pow", torch.pow, [f64(7)], exponent=3.0)
    case("", "exp", torch.exp, [f64(33, scale=4.0)])
    case("extreme", "exp", torch.exp, [values([-1e4, -80.0, 0.0, 80.0])])
    case("", "log", torch.log, [positive(31)])
    case("small and large", "log", torch.log, [values([2.0**-100, 0.5, 1.0, 2.0**100])])
    case("", "sqrt", torch.sqrt, [positive(31)])
    case("", "abs", torch.abs, [f64(31)])
    case("zero", "abs", torch.abs, [values([-2.0, 0.0, 3.0])])
    case("both", "clamp", torch.clamp, [f64(33)], min=-0.25, max=0.5)
    case("below only", "clamp", torch.clamp, [f64(9)], min=-0.25)
    case("above only", "clamp", torch.clamp, [f64(9)], max=0.5)
    # On a bound the gradient passes, as in PyTorch 1.13; newer ones stop it when both bounds are given.
    case("at the bounds", "clamp", torch.clamp, [values([-1.0, -0.25, 0.0, 0.5, 1.0])], min=-0.25, max=0.5)
    case("same shape", "where", torch.where, [mask(3, 5), f64(3, 5), f64(3, 5)])
    case("broadcast", "where", torch.where, [mask(3, 1, 2), f64(5, 1), f64(2)])
    case("", "masked_fill", torch.masked_fill, [f64(3, 5), mask(3, 5)], value=-7.5)
    case("broadcast mask", "masked_fill", torch.masked_fill, [f64(2, 3, 5), mask(3, 1)], value=0.0)
    for diagonal in (0, 2, -1, -9):
        case(f"diagonal {diagonal}", "tril", torch.tril, [f64(4, 6)], diagonal=diagonal)
    case("batched", "tril", torch.tril, [f64(2, 3, 3)], diagonal=0)
    for op in ("eq", "ne", "lt", "le", "gt", "ge"):
        case("", op, getattr(torch, op), [values([1.0, 2.0, 3.0, -0.0, 5.5]), values([1.0, 3.0, 2.0, 0.0, 5.5])])
        case("broadcast", op, getattr(torch, op), [f64(3, 1), f64(5)])
    activations = dict(relu=torch.relu, silu=F.silu, tanh=torch.tanh, sigmoid=torch.sigmoid,
                       gelu_tanh=lambda x: F.gelu(x, approximate="tanh"), gelu_exact=F.gelu)
    for op, f in activations.items():
        case("", op, f, [f64(33, scale=4.0)])
        case("3x5x2", op, f, [f64(3, 5, 2)])
        case("extreme", op, f, [values([-1e4, -100.0, -20.0, -8.0, -0.0, 0.0, 2.0**-30, 8.0, 20.0, 100.0, 1e4])])


def reductions():
    for op, f in (("sum", torch.sum), ("mean", torch.mean)):
        case("all", op, lambda x, dims, keepdim, f=f: f(x), [f64(3, 5, 7)], dims=[], keepdim=False)
        for dims in ([0], [1], [-1], [0, 2], [1, 2], [0, 1, 2]):
            for keepdim in (False, True):
                case(f"dims {dims}, keepdim {keepdim}", op, lambda x, dims, keepdim, f=f: f(x, dims, keepdim),
                     [f64(3, 5, 4)], dims=dims, keepdim=keepdim)
        case("long row", op, lambda x, dims, keepdim, f=f: f(x, dims, keepdim), [f64(2, 129)], dims=[1], keepdim=False)
    case("of nothing", "sum", lambda x, dims, keepdim: x.sum(dims, keepdim), [f64(0, 3)], dims=[0], keepdim=False)
    amax = lambda x, dims, keepdim: torch.amax(x, dims, keepdim)
    for dims in ([0], [1], [-1], [0, 2]):
        for keepdim in (False, True):
            case(f"dims {dims}, keepdim {keepdim}", "max", amax, [f64(3, 5, 4)], dims=dims, keepdim=keepdim)
    case("all", "max", lambda x, dims, keepdim: x.max(), [f64(3, 5, 4)], dims=[], keepdim=False)
    for dim in (0, 1, -1):
        for keepdim in (False, True):
            case(f"dim {dim}, keepdim {keepdim}", "argmax", torch.argmax, [f64(3, 5, 4)], dim=dim, keepdim=keepdim)
    case("ties take the first", "argmax", torch.argmax, [values([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [0.0, -1.0, 0.0]])],
         dim=1, keepdim=False)
    for dims in ([0], [-1], [0, 2]):
        for correction in (0, 1):
            case(f"dims {dims}, correction {correction}", "var",
                 lambda x, dims, keepdim, correction: torch.var(x, dims, unbiased=bool(correction), keepdim=keepdim),
                 [f64(3, 5, 4)], dims=dims, keepdim=correction == 1, correction=correction)
    case("large mean", "var", lambda x, dims, keepdim, correction: torch.var(x, dims, unbiased=False, keepdim=keepdim),
         [f64(2, 31, offset=64.0)], dims=[1], keepdim=False, correction=0)


def normalised():
    for op, f in (("softmax", torch.softmax), ("log_softmax", torch.log_softmax)):
        for shape in ((1, 1), (3, 31), (2, 33), (2, 3, 5)):
            case("x".join(map(str, shape)), op, f, [f64(*shape, scale=4.0)], dim=-1)
        case("over the first", op, f, [f64(5, 3)], dim=0)
        case("over the middle", op, f, [f64(2, 5, 3)], dim=1)
        case("vector", op, f, [f64(7)], dim=-1)
        case("extreme", op, f, [values([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 9999.0, 9998.5]])], dim=-1)
    case("minus infinity", "softmax", torch.softmax,
         [values([[float("-inf"), 0.5, 1.0], [2.0, float("-inf"), float("-inf")]])], dim=-1)

    ce = lambda x, target, reduction, ignore_index, label_smoothing: F.cross_entropy(
        x, target, reduction=reduction, ignore_index=ignore_index, label_smoothing=label_smoothing)
    some = values([2, -100, 0, 32, -100, 7, 31], "i32")
    for reduction in ("mean", "sum", "none"):
        for smoothing in (0.0, 0.1):
            tag = f"{reduction}, smoothing {smoothing}"
            case(tag, "cross_entropy", ce, [f64(5, 17, scale=4.0), i32(5, below=17)], reduction=reduction,
                 ignore_index=-100, label_smoothing=smoothing)
            case(f"{tag}, some ignored", "cross_entropy", ce, [f64(7, 33, scale=4.0), some], reduction=reduction,
                 ignore_index=-100, label_smoothing=smoothing)
    case("ignoring class 1", "cross_entropy", ce, [f64(4, 3), values([0, 1, 2, 1], "i32")], reduction="mean",
         ignore_index=1, label_smoothing=0.25)
    case("extreme", "cross_entropy", ce, [values([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 9999.0, 9998.5]]),
         values([0, 1, 2, 2], "i32")], reduction="none", ignore_index=-100, label_smoothing=0.0)
    case("one class", "cross_entropy", ce, [f64(3, 1), i32(3, below=1)], reduction="mean", ignore_index=-100,
         label_smoothing=0.0)

    layer = lambda x, w, b, eps: F.layer_norm(x, (x.shape[-1],), w, b, eps)
    for shape in ((3, 5), (2, 3, 7), (4, 31), (2, 33), (3, 1)):
        tag = "x".join(map(str, shape))
        case(tag, "layer_norm", layer, [f64(*shape), f64(shape[-1]), f64(shape[-1])], eps=1e-5)
        case(tag, "rms_norm", rms_norm, [f64(*shape), f64(shape[-1])], eps=1e-5)
    case("constant row", "layer_norm", layer, [values([[3.0, 3.0, 3.0, 3.0], [0.0, 0.0, 0.0, 0.0]]), f64(4), f64(4)], eps=1e-5)
    case("large mean", "layer_norm", layer, [f64(2, 31, offset=64.0), f64(31), f64(31)], eps=1e-5)
    case("zero row", "rms_norm", rms_norm, [values([[0.0, 0.0, 0.0], [1e4, -1e4, 1.0]]), f64(3)], eps=1e-5)


def indexing():
    embed = lambda w, ids: F.embedding(ids, w)
    case("vector of ids", "embedding", embed, [f64(7, 5), i32(9, below=7)])
    case("matrix of ids", "embedding", embed, [f64(5, 3), i32(2, 4, below=5)])
    gather = lambda x, index, dim: torch.gather(x, dim, index)
    case("dim 0", "gather", gather, [f64(5, 3), i32(4, 3, below=5)], dim=0)
    case("dim 1", "gather", gather, [f64(3, 7), i32(3, 2, below=7)], dim=1)
    case("dim -1 of 3, shorter index", "gather", gather, [f64(3, 4, 5), i32(2, 3, 9, below=5)], dim=-1)
    select = lambda x, index, dim: torch.index_select(x, dim, index)
    case("dim 0", "index_select", select, [f64(5, 3), i32(7, below=5)], dim=0)
    case("dim 1", "index_select", select, [f64(2, 7, 3), i32(4, below=7)], dim=1)
    case("dim -1", "index_select", select, [f64(2, 3, 5), i32(1, below=5)], dim=-1)
    cat = lambda *tensors, dim: torch.cat(tensors, dim)
    case("dim 0", "cat", cat, [f64(2, 3), f64(1, 3), f64(4, 3)], dim=0)
    case("dim 1", "cat", cat, [f64(2, 3, 2), f64(2, 1, 2)], dim=1)
    case("dim -1, one empty", "cat", cat, [f64(3, 2), f64(3, 0), f64(3, 5)], dim=-1)
    stack = lambda *tensors, dim: torch.stack(tensors, dim)
    case("dim 0", "stack", stack, [f64(3, 2), f64(3, 2), f64(3, 2)], dim=0)
    case("dim 1", "stack", stack, [f64(3, 2), f64(3, 2)], dim=1)
    case("dim -1", "stack", stack, [f64(3, 2), f64(3, 2)], dim=-1)
    split = lambda x, sizes, dim: torch.split(x, sizes, dim)
    case("dim 0", "split", split, [f64(7, 3)], sizes=[3, 3, 1], dim=0)
    case("dim -1", "split", split, [f64(2, 3, 9)], sizes=[3, 3, 3], dim=-1)
    case("dim 1, uneven", "split", split, [f64(2, 6)], sizes=[1, 5], dim=1)


def transformer():
    case("2x3x5x4", "rope", rope, [f64(2, 3, 5, 4)], theta=10000.0, offset=0)
    case("from position 7", "rope", rope, [f64(1, 2, 3, 6)], theta=10000.0, offset=7)
    case("theta 500000", "rope", rope, [f64(1, 1, 9, 8)], theta=500000.0, offset=0)
    for causal in (False, True):
        tag = "causal" if causal else "full"
        for b, h, g, t, s, d in ((1, 1, 1, 1, 1, 1), (2, 3, 3, 5, 5, 4), (1, 2, 2, 17, 17, 3), (1, 4, 2, 7, 7, 4), (1, 3, 1, 3, 3, 2),
                                 (2, 2, 2, 3, 8, 4), (1, 4, 2, 1, 6, 4)):
            name = f"{tag}, B {b}, H {h}, G {g}, T {t}, S {s}, D {d}"
            case(name, "attention", attention, [f64(b, h, t, d, scale=2.0), f64(b, g, s, d, scale=2.0), f64(b, g, s, d)],
                 causal=causal, scale=d**-0.5)
    case("causal, extreme", "attention", attention, [f64(1, 1, 5, 4, scale=64.0), f64(1, 1, 5, 4, scale=64.0), f64(1, 1, 5, 4)],
         causal=True, scale=1.0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for family in (matrix_products, pointwise, reductions, normalised, indexing, transformer):
        family()
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ops.json")
    write(path, dict(made_by="tests/golden/make_ops.py", pytorch=torch.__version__), "cases", cases)
    print(f"{path}: {len(cases)} cases, {os.path.getsize(path)} bytes")
