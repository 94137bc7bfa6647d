"""Random weights in our formats, with what they decode to."""

from typing import NamedTuple

import torch

LEVELS = (-1.0, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.091050036, 0.0,
          0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0)
BLOCK, NESTED = 64, 256


class Nf4(NamedTuple):
    """4 bits; absmax in f32, or in bytes that are decoded by a map, a scale of 256 and an offset."""

    kind = "nf4"
    out: int
    inner: int
    codes: torch.Tensor
    absmax: torch.Tensor | None
    q: torch.Tensor | None
    map: torch.Tensor | None
    nested: torch.Tensor | None
    offset: float

    def arguments(self):
        return (self.codes, self.absmax, self.q, self.map, self.nested, self.offset)

    def bytes(self):
        return sum(it.nbytes for it in self.arguments()[:5] if it is not None)

    def scales(self):
        """absmax of every block; each operation rounds."""
        if self.absmax is not None:
            return self.absmax
        return self.map[self.q.long()] * self.nested.repeat_interleave(NESTED)[: len(self.q)] + self.offset

    def decoded(self):
        """bf16(code x absmax), as (out, in)."""
        pairs = torch.stack([self.codes >> 4, self.codes & 15], 1).reshape(-1)
        levels = torch.tensor(LEVELS, device=self.codes.device)[pairs.int()]
        return (levels.view(-1, BLOCK) * self.scales()[:, None]).bfloat16().view(self.out, self.inner)


class Q8(NamedTuple):
    """Signed bytes with an f32 scale per 64."""

    kind = "q8"
    out: int
    inner: int
    codes: torch.Tensor
    scales: torch.Tensor

    def arguments(self):
        return (self.codes, self.scales)

    def bytes(self):
        return self.codes.nbytes + self.scales.nbytes

    def decoded(self):
        return (self.codes.float().view(-1, BLOCK) * self.scales[:, None]).bfloat16().view(self.out, self.inner)


class Dense(NamedTuple):
    """bf16."""

    kind = "dense"
    out: int
    inner: int
    values: torch.Tensor

    def arguments(self):
        return (self.values, self.inner)

    def bytes(self):
        return self.values.nbytes

    def decoded(self):
        return self.values


class Source:
    """Random tensors of one seed on a device; sizes fit what networks have."""

    def __init__(self, device, seed):
        self.on = device
        self.generator = torch.Generator(device=device).manual_seed(seed)

    def single(self, *shape, scale=1.0):
        return torch.randn(shape, generator=self.generator, device=self.on) * scale

    def half(self, *shape, scale=1.0):
        return self.single(*shape, scale=scale).bfloat16()

    def bytes(self, count, dtype=torch.uint8):
        low, high = (0, 256) if dtype == torch.uint8 else (-128, 128)
        return torch.randint(low, high, (count,), generator=self.generator, device=self.on, dtype=torch.int16).to(dtype)

    def uniform(self, count, low, high):
        return torch.rand(count, generator=self.generator, device=self.on) * (high - low) + low

    def nf4(self, out, inner, doubled=True):
        blocks, codes = out * inner // BLOCK, self.bytes(out * inner // 2)
        if not doubled:
            return Nf4(out, inner, codes, self.uniform(blocks, 0.02, 0.06), None, None, None, 0.0)
        nested = self.uniform(-(-blocks // NESTED), 0.01, 0.014)
        return Nf4(out, inner, codes, None, self.bytes(blocks), self.uniform(256, -1, 1), nested, 0.03125)

    def q8(self, out, inner):
        return Q8(out, inner, self.bytes(out * inner, torch.int8), self.uniform(out * inner // BLOCK, 0.0002, 0.0006))

    def dense(self, out, inner):
        return Dense(out, inner, self.half(out, inner, scale=inner**-0.5))

    def weight(self, kind, out, inner):
        return {"nf4": self.nf4, "q8": self.q8, "dense": self.dense}[kind](out, inner)
