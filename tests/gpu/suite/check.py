"""Comparisons with stated bounds, outputs that begin as poison, launches that are done twice."""

import torch

GUARD = 512  # bytes behind an output that nobody may touch
POISON, MARK = 0xFF, 0xA5
HALF_STEP = 2.0**-8  # what one rounding to bf16 changes a number by at most, relative


class Output:
    """An output on a device: poison, or given values, in front of a guard."""

    def __init__(self, device, shape, dtype, before=None):
        size = torch.empty(0, dtype=dtype).element_size() * torch.Size(shape).numel()
        self.memory = torch.empty(size + GUARD, dtype=torch.uint8, device=device.torch_device)
        self.memory[:size] = POISON
        self.memory[size:] = MARK
        self.size = size
        self.values = self.memory[:size].view(dtype).view(shape)
        if before is not None:
            self.values.copy_(before)

    def is_guarded(self):
        return bool((self.memory[self.size :] == MARK).all())


def half(device, *shape):
    return Output(device, shape, torch.bfloat16)


def single(device, *shape):
    return Output(device, shape, torch.float32)


def like(device, before):
    """An output that is added to."""
    return Output(device, before.shape, before.dtype, before)


class Checker:
    """Rows of one family."""

    def __init__(self, recorder, device, family):
        self.recorder, self.device, self.family = recorder, device, family

    def row(self, case, what, share, ok, bound):
        self.recorder.add(family=self.family, case=case, what=what, share_of_bound=share, bound=bound, ok=ok)

    def twice(self, case, make, calls):
        """Runs launches on two sets of fresh outputs: equal bits, guards untouched. Gives the first set's values."""
        results = []
        for _ in range(2):
            outputs = make()
            for call in calls(*[output.values for output in outputs]):
                self.device.run(call)
            self.device.sync()
            if not all(output.is_guarded() for output in outputs):
                self.row(case, "bytes behind an output", None, False, "untouched")
            results.append(outputs)
        same = all(torch.equal(one.memory, two.memory) for one, two in zip(*results))
        if not same:
            self.row(case, "a second launch", None, False, "equal bits")
        return [output.values for output in results[0]]

    def equal(self, case, what, got, want):
        """Equal bits."""
        kind = {1: torch.uint8, 2: torch.int16, 4: torch.int32}[got.element_size()]
        differ = (got.contiguous().view(kind) != want.contiguous().view(kind)).sum().item()
        self.row(case, what, float(differ), differ == 0, "equal bits; words that differ")

    def near(self, case, what, got, want, within, bound):
        """f32: |got - want| <= within. A NaN fails."""
        away = (got.double() - want.double()).abs()
        share = (away / (within + 1e-300)).nan_to_num(torch.inf, torch.inf).max().item()
        self.row(case, what, share, share <= 1, bound)

    def rounded(self, case, what, got, want, within, bound):
        """bf16: what one rounding makes of something within the bound, so a second rounding shows where it is narrow."""
        want = want.double()
        low, high = (want - within).float().bfloat16(), (want + within).float().bfloat16()
        bad = (~((got >= low) & (got <= high))).sum().item()
        # What is left of the distance when the rounding of what we got is taken off: 2^(e - 9) below 2^e.
        step = torch.ldexp(torch.ones_like(want), torch.frexp(got.float()).exponent - 9)
        away = ((got.double() - want).abs() - step).clamp_min(0)
        share = (away / (within + 1e-300)).nan_to_num(torch.inf, torch.inf).max().item()
        self.row(case, what, share, bad == 0, bound + ", rounded once to bf16")


PRODUCT = "(k / 8 + 16) 2^-21 sqrt(sum (a b)^2)"


def product(left, right, columns=16384):
    """left (n,k) right (m,k)^T in f64, and how far f32 sums of it may be; so many rows of right at once.

    A sum is made of k / 8 steps, and each may lose 2^-23 of the greatest partial sum or more than once: partial sums of
    random terms stay below 4 sqrt(sum of squares), so the distance is (k / 8 + 16) 2^-21 sqrt(sum (a b)^2).
    """
    k, sums, squares = left.shape[1], [], []
    wide, squared = left.double(), left.float() ** 2
    for part in right.split(columns):
        sums.append(wide @ part.double().T)
        squares.append(squared @ (part.float() ** 2).T)
    sums, squares = torch.cat(sums, 1), torch.cat(squares, 1)
    return sums, (k / 8 + 16) * 2.0**-21 * squares.double().sqrt() + 2.0**-22 * sums.abs() + 1e-30
