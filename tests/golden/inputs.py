"""Inputs that Python and C++ make alike, to the last bit, without a random generator.

Element i (row-major) of the tensor with seed s, in 32-bit unsigned arithmetic that wraps around:

    u  = i * 2654435761 + s * 40503 + 12345
    u ^= u >> 16;  u *= 2246822519;  u ^= u >> 13;  u *= 3266489917;  u ^= u >> 16

    real     u / 2^32 * 2 - 1        in [-1, 1), exact in f64
    integer  floor(u * n / 2^32)     in [0, n)
    boolean  u >= 2^31

tests/core/golden.h holds the same in C++.
"""

import json
import math

import numpy
import torch


def bits(count, seed):
    """The hash u of elements 0 .. count-1, as uint64 numbers below 2^32."""
    mask = numpy.uint64(0xFFFFFFFF)
    i = numpy.arange(count, dtype=numpy.uint64)
    u = (i * numpy.uint64(2654435761) + numpy.uint64(seed * 40503 + 12345)) & mask
    u ^= u >> numpy.uint64(16)
    u = (u * numpy.uint64(2246822519)) & mask
    u ^= u >> numpy.uint64(13)
    u = (u * numpy.uint64(3266489917)) & mask
    return u ^ (u >> numpy.uint64(16))


def real(shape, seed, scale=1.0, offset=0.0, absolute=False):
    """f64 tensor of scale * v + offset, where v (or |v| if absolute) is the hash in [-1, 1)."""
    v = bits(math.prod(shape), seed).astype(numpy.float64) / 2.0**32 * 2.0 - 1.0
    v = numpy.abs(v) if absolute else v
    return torch.from_numpy(scale * v + offset).reshape(shape)


def integer(shape, seed, below):
    """i64 tensor of the hash scaled to [0, below)."""
    v = (bits(math.prod(shape), seed) * numpy.uint64(below)) >> numpy.uint64(32)
    return torch.from_numpy(v.astype(numpy.int64)).reshape(shape)


def boolean(shape, seed):
    """bool tensor: the hash's top bit."""
    return torch.from_numpy(bits(math.prod(shape), seed) >= 2**31).reshape(shape)


def numbers(tensor):
    """The elements, row-major, as JSON numbers: integers stay integers, and what JSON lacks becomes a string."""
    flat = tensor.detach().reshape(-1).tolist()
    if not tensor.dtype.is_floating_point:
        return [int(x) for x in flat]
    return [x if math.isfinite(x) else "nan" if math.isnan(x) else "inf" if x > 0 else "-inf" for x in flat]


def write(path, head, key, items):
    """Writes {head..., key: [one item a line]}. Floats are the shortest text that reads back to the same f64."""
    with open(path, "w", encoding="ascii") as out:
        out.write("{" + "".join(f"{json.dumps(k)}: {json.dumps(v)},\n" for k, v in head.items()))
        lines = [json.dumps(item, allow_nan=False, separators=(",", ":")) for item in items]
        out.write(f"{json.dumps(key)}: [\n" + ",\n".join(lines) + "\n]}\n")
