"""The micro-tests: a probe kernel, inputs from a counter, outputs. kernels/tests/meanings.cpp has the same cases."""

from typing import NamedTuple

import torch

from suite import counter

BITS, NAN, SUMS = "bits", "nan", "sums"  # the same bits; or both a NaN; or within the bound of an `mma`


class Output(NamedTuple):
    name: str
    rule: str
    before: torch.Tensor  # int32


class Case(NamedTuple):
    """A launch takes the inputs, the outputs and, if it is not 0, n."""

    name: str
    kernel: str
    blocks: int
    inputs: tuple
    outputs: tuple
    n: int = 0


def fresh(name, rule, count):
    """An output of `count` bytes, all ones before."""
    return Output(name, rule, torch.full((count // 4,), -1, dtype=torch.int32))


def product(name, a, b, rule, c):
    return Case(name, "probe_multiply", 32, (a, b), (Output("c", rule, c),))


def every_half():
    """All patterns of 16 bits, in words."""
    return counter.paired(torch.arange(65536, dtype=torch.int64))


def orders():
    """What passes barriers, masks and lanes."""
    plain = ("warp", 1, 256), ("blocks", 64, 256), ("barrier", 1, 256), ("mask", 1, 4), ("place", 1, 128)
    some = counter.words(counter.bits(30, 128))
    return [
        *[Case(name, f"probe_{name}", blocks, (), (fresh("to", BITS, count),)) for name, blocks, count in plain],
        Case("copy", "probe_copy", 1, (some,), (fresh("to", BITS, 512),)),
        Case("vector", "probe_vector", 1, (some,), (fresh("to", BITS, 512),)),
    ]


def numbers():
    """Arithmetic and conversions."""
    n, k = 4096, 4 * 4096
    raw, three = counter.raw, (("e", BITS), ("l", BITS), ("packed", BITS))
    return [
        Case("fused", "probe_fused", 1, (raw(1, n), raw(2, n), raw(3, n)), (fresh("one", NAN, k), fresh("two", NAN, k)), n),
        Case("quotients", "probe_quotients", 1, (raw(4, n), raw(5, n)),
             tuple(fresh(name, NAN, k) for name in ("root", "quotient", "sig")), n),
        Case("pack", "probe_pack", 1, (raw(6, n), raw(7, n)), (fresh("packed", BITS, k),), n),
        Case("halves", "probe_halves", 1, (raw(21, n),), tuple(fresh(name, BITS, k) for name in ("low", "high", "rounded")), n),
        Case("bytes", "probe_bytes", 1, (raw(31, n), raw(32, n)), (fresh("to", BITS, 4 * k),), n),
        Case("widen", "probe_widen", 1, (every_half(),), (fresh("of_f16", NAN, 1 << 18), fresh("of_bf16", BITS, 1 << 18)),
             65536),
        Case("sums", "probe_sums", 4, (counter.span(14, 1024, 3.0),),
             (fresh("of_warp", BITS, k // 4), fresh("of_block", BITS, k // 4))),
        Case("numbers", "probe_numbers", 1, (counter.span(16, n, 90.0),), tuple(fresh(*it, k) for it in three), n),
        Case("normals", "probe_numbers", 1, (counter.normal(17, n),), tuple(fresh(*it, k) for it in three), n),
    ]


def moves():
    """Loads, copies and shuffles."""
    k, some = 4 * 4096, counter.words
    return [
        Case("eight", "probe_eight", 4, (counter.raw(8, 1024), some(counter.bits(9, 512))),
             (fresh("of_f32", BITS, k // 4), fresh("of_bf16", BITS, k // 4), fresh("of_f16", NAN, k // 4),
              fresh("back", BITS, k // 8))),
        Case("streaming", "probe_streaming", 4, (some(counter.bits(10, 512)),), (fresh("to", BITS, 2048),)),
        Case("groups", "probe_groups", 4, (some(counter.bits(11, 512)), some(counter.bits(12, 128) % 17)),
             (fresh("first", BITS, 2048), fresh("second", BITS, 2048))),
        Case("shuffle", "probe_shuffle", 4, (counter.raw(13, 128),), (fresh("to", BITS, k),)),
        Case("fragments", "probe_fragments", 16, (some(counter.bits(15, 2048)),),
             (fresh("plain", BITS, 8192), fresh("turned", BITS, 8192))),
    ]


def products():
    """Tensor cores: exact on whole numbers, else within a bound."""
    found = [product("whole", counter.whole_pairs(18, 4096), counter.whole_pairs(19, 2048), BITS,
                     counter.whole_singles(20, 4096))]
    for width in (2, 8, 24):
        seed = 20 + width
        c = counter.words(counter.wide_halves(counter.bits(200 + seed, 4096), width) << 16)
        a, b = counter.wide(seed, 4096, width), counter.wide(100 + seed, 2048, width)
        found.append(product(f"wide-{width}", a, b, SUMS, c))
    return found


def every():
    return [*orders(), *numbers(), *moves(), *products()]
