"""What a micro-test has to give, by the definition of its instruction, computed by torch on the processor.

Rules: moves, conversions and single operations give equal bits (a NaN is a NaN). exponential is within 2.5e-7 of e^x
and logarithm within 6.1e-8 of ln x, relative, for results that are normal numbers. A sum of an `mma` is within
20 x 2^-23 x (|c| + sum of |a b|) of the exact one: each of the 16 products and c may lose what lies below 2^-23 of
the greatest of them, twice as products may come in halves of eight.
"""

import torch


def halves(words):
    """The 16-bit patterns of words, the low ones first."""
    return words.view(torch.int16)


def bf16(words):
    return words.view(torch.bfloat16)


def single(words):
    return words.view(torch.float32)


def packed(low, high):
    """Two f32 as rounded halves of a word; a NaN is 0x7fff."""

    def rounded(words):
        values = words.to(torch.int64) & 0xFFFFFFFF
        up = (values + 0x7FFF + (values >> 16 & 1)) >> 16
        return torch.where(values & 0x7FFFFFFF > 0x7F800000, 0x7FFF, up)

    both = rounded(low) | rounded(high) << 16
    return torch.where(both >= 1 << 31, both - (1 << 32), both).to(torch.int32)


def fused(a, b, c):
    """One rounding: where f64's own two cannot hide it, else None there. The product of two f32 is exact in f64."""
    exact = single(a).double() * single(b).double()
    total = exact + single(c).double()
    # The sum's f64 rounding error, by Knuth: where it is 0, one rounding to f32 is the answer.
    back = total - exact
    lost = (exact - (total - back)) + (single(c).double() - back)
    return total.float(), (lost == 0) | ~torch.isfinite(total)


def fragments(matrices, turned):
    """What ldmatrix gives: lane l has (l / 4, 2 (l % 4)) and its neighbour of each matrix."""
    all_ = halves(matrices).view(-1, 4, 8, 8)
    if turned:
        all_ = all_.transpose(2, 3)
    pairs = all_.reshape(-1, 4, 32, 2).contiguous().view(torch.int32)[..., 0]
    return pairs.transpose(1, 2).reshape(-1)


def operands(a, b, c):
    """The matrices (16,16), (16,8) and (16,8) of fragments, in f64."""
    left = bf16(a).view(-1, 8, 4, 2, 2, 2)  # block, row % 8, k % 8 / 2, k / 8, row / 8, k % 2
    left = left.permute(0, 4, 1, 3, 2, 5).reshape(-1, 16, 16)
    right = bf16(b).view(-1, 8, 4, 2, 2)  # block, column, k % 8 / 2, k / 8, k % 2
    right = right.permute(0, 3, 2, 4, 1).reshape(-1, 16, 8)
    sums = single(c).view(-1, 8, 4, 2, 2).permute(0, 3, 1, 2, 4).reshape(-1, 16, 8)
    return left.double(), right.double(), sums.double()


def as_fragments(sums):
    """(16,8) matrices as lanes have them."""
    return sums.view(-1, 2, 8, 4, 2).permute(0, 2, 3, 1, 4).reshape(-1)


def sums(a, b, c):
    """The exact sums, and how far an `mma` may be from them."""
    left, right, start = operands(a, b, c)
    size = start.abs() + left.abs() @ right.abs()
    return as_fragments(start + left @ right), as_fragments(20 * 2.0**-23 * size)


def copied(source, sizes):
    """The first bytes of each 16, zeros behind them."""
    chunks = source.view(torch.uint8).view(-1, 16)
    keep = torch.arange(16)[None, :] < sizes[:, None]
    return (chunks * keep).reshape(-1).view(torch.int32)


def shuffled(values):
    rows = values.view(-1, 1, 32)
    lanes = torch.arange(32)
    return rows.expand(-1, 32, 32).gather(2, (lanes[:, None] ^ lanes[None, :]).expand(len(rows), 32, 32)).reshape(-1)


def added(values):
    """Sums of a warp, and of a block of eight, in the stated order: lanes 16, 8, 4, 2, 1 apart, then warps."""
    warps = single(values).clone().view(-1, 8, 32)
    lanes = torch.arange(32)
    for distance in (16, 8, 4, 2, 1):
        warps = warps + warps[..., lanes ^ distance]
    block = torch.zeros_like(warps[:, :1])
    for warp in range(8):
        block = block + warps[:, warp : warp + 1, :1]
    return warps.reshape(-1), block.expand(-1, 8, 32).reshape(-1)


def near(case, words):
    """Exponentials and logarithms: (expected, allowed relative error, where it counts) per output, in f64."""
    x = single(words).double()
    e = torch.exp(x)
    counts = (x > -87.0) & (x < 88.7)
    return {"e": (e, 2.5e-7, counts), "l": (torch.log(x.abs()), 6.1e-8, x != 0)}


def wanted(case):
    """Outputs by name, as words and a mask of what is known, where the definition gives bits."""
    ins = case.inputs
    if case.name == "fused":
        one, known = fused(*ins)
        return {"one": (one.view(torch.int32), known), "two": ((single(ins[0]) * single(ins[1]) + single(ins[2])).view(torch.int32), None)}
    if case.name == "quotients":
        # A root in f64, rounded again, is the root in f32; torch's own f32 root is not always.
        root, quotient = torch.sqrt(single(ins[0]).double()).float(), single(ins[0]) / single(ins[1])
        return {"root": (root.view(torch.int32), None), "quotient": (quotient.view(torch.int32), None)}
    if case.name == "widen":
        patterns = halves(ins[0])
        return {"of_f16": (patterns.view(torch.float16).float().view(torch.int32), None),
                "of_bf16": (patterns.to(torch.int32) << 16, None)}
    if case.name == "eight":
        patterns = halves(ins[1])
        return {"of_f32": (ins[0], None), "of_bf16": (patterns.to(torch.int32) << 16, None),
                "of_f16": (patterns.view(torch.float16).float().view(torch.int32), None),
                "back": (packed(ins[0][0::2], ins[0][1::2]), None)}
    if case.name == "sums":
        return {name: (it.contiguous().view(torch.int32), None) for name, it in zip(("of_warp", "of_block"), added(ins[0]))}
    if case.name in ("numbers", "normals"):
        return {"packed": (packed(ins[0], ins[0] ^ -(1 << 31)), None)}
    simple = {
        "pack": lambda: {"packed": packed(*ins)},
        "halves": lambda: {"low": ins[0] << 16, "high": ins[0] & -65536, "rounded": packed(ins[0], ins[0]) & -65536},
        "bytes": lambda: {"to": ((ins[0][:, None] >> torch.arange(0, 32, 8).int() & 255) | (ins[1][:, None] & -256)).reshape(-1)},
        "streaming": lambda: {"to": ins[0]},
        "groups": lambda: {"first": copied(ins[0], ins[1]), "second": copied(ins[0], 16 - ins[1])},
        "shuffle": lambda: {"to": shuffled(ins[0])},
        "fragments": lambda: {"plain": fragments(ins[0], False), "turned": fragments(ins[0], True)},
        "whole": lambda: {"c": sums(*ins, case.outputs[0].before)[0].float().view(torch.int32)},
        "warp": lambda: {"to": torch.arange(64, dtype=torch.int32) ^ 1},
        "blocks": lambda: {"to": torch.arange(64, dtype=torch.int32)},
        "barrier": lambda: {"to": torch.ones(64, dtype=torch.int32)},
        "mask": lambda: {"to": torch.tensor([120.0]).view(torch.int32)},
        "place": lambda: {"to": torch.full((32,), 2.0).view(torch.int32)},
        "copy": lambda: {"to": copied(ins[0], torch.arange(32) % 17)},
        "vector": lambda: {"to": torch.cat([ins[0][:64].view(32, 2), ins[0].view(32, 4)[:, :2]], 1).reshape(-1)},
    }
    return {name: (it, None) for name, it in simple.get(case.name, dict)().items()}
