"""linear_cross_entropy by chunks against a log-softmax in f64.

Bounds: logits as every product; losses as the logits of their row; the gradient of a logit is rounded to bf16, so dx
and dW are within 1.1 x 2^-8, and twice the logits' bound, of the sum of their terms' sizes.
"""

import torch

from suite import calls
from suite.check import HALF_STEP, Checker, Output, half, like, product, single
from suite.weights import Source

SCALE = 0.25
BOUND = "1.1 x 2^-8 and the logits' bound, of the terms' sizes"


def launches(head, x, targets, scale, chunk, loss, dx, dw, space):
    """As crates/ops makes them; `space` has logits, gathered rows, their list and their number."""
    logits, gathered, rows, trained = space
    made = [calls.zero(loss, loss.nbytes), calls.zero(dx, dx.nbytes), calls.listed(targets, rows, trained)]
    for start in range(0, len(targets), chunk):
        at = (trained, start, chunk)
        made += [
            calls.gathered(x, rows, *at, gathered),
            calls.logits(head, gathered, logits, *at),
            calls.loss_rows(logits, head.out, targets, rows, *at, scale, loss),
            calls.loss_back(head, logits, dx, rows, *at),
        ]
        if dw is not None:
            made.append(calls.head_gradient(logits, gathered, dw, *at))
    return made


class Reference:
    """In f64, with what each may be off by."""

    def __init__(self, head, x, targets):
        w, kept = head.decoded(), (targets >= 0).nonzero().flatten()
        make = lambda *shape: torch.zeros(shape, dtype=torch.float64, device=x.device)
        self.loss, self.loss_within = make(len(targets)), make(len(targets)) + 1e-30
        self.dx, self.dx_within = make(*x.shape), make(*x.shape) + 1e-30
        logits, within = product(x[kept], w)
        off = within.max(1).values
        lse, picked = logits.logsumexp(1), targets[kept].long()
        self.loss[kept] = lse - logits.gather(1, picked[:, None])[:, 0]
        self.loss_within[kept] = 2 * off + 1e-6 * (lse.abs() + 1) + 1e-30
        d = torch.exp(logits - lse[:, None])
        p = d.clone()
        d[torch.arange(len(kept), device=x.device), picked] -= 1
        # p's error is relative to p; the target's is that of p, too.
        size = SCALE * (1.1 * HALF_STEP * d.abs() + (2 * off[:, None] + 2e-6) * p)
        d *= SCALE
        self.dx[kept], self.dx_within[kept] = 0.0, 0.0
        for columns in range(0, w.shape[0], 16384):
            part, some = w[columns : columns + 16384].double(), slice(columns, columns + 16384)
            self.dx[kept] += d[:, some] @ part
            self.dx_within[kept] += size[:, some] @ part.abs()
        self.d, self.size, self.x = d, size, x[kept].double()

    def dw(self, before, rows):
        """Of some rows of W: all of them in f64 are many."""
        return before[rows].double() + self.d[:, rows].T @ self.x, self.size[:, rows].T @ self.x.abs()


def check_head(on, source, head, n, chunk):
    case = f"{head.kind} {head.out} x {head.inner} N {n} by {chunk}"
    x, scale = source.half(n, head.inner), torch.tensor([SCALE], device=source.on)
    targets = (torch.arange(n, device=source.on) * 9973 % head.out).int()
    targets[torch.arange(n, device=source.on) % 3 == 1] = -100
    want = Reference(head, x, targets)
    before = source.single(head.out, head.inner) if head.kind == "dense" else None
    pitch = -(-head.out // 4) * 4

    def outputs():
        made = [Output(on.device, (chunk, pitch), torch.float32), half(on.device, chunk, head.inner),
                Output(on.device, (n,), torch.int32), Output(on.device, (1,), torch.int32),
                single(on.device, n), half(on.device, n, head.inner)]
        return made + ([like(on.device, before)] if before is not None else [])

    def calls_of(logits, gathered, rows, trained, loss, dx, dw=None):
        return launches(head, x, targets, scale, chunk, loss, dx, dw, (logits, gathered, rows, trained))

    _, _, rows, trained, loss, dx, *more = on.twice(case, outputs, calls_of)
    kept = (targets >= 0).nonzero().flatten().int()
    on.equal(case, "list", rows[: len(kept)], kept)
    on.equal(case, "trained", trained, torch.tensor([len(kept)], dtype=torch.int32, device=source.on))
    on.near(case, "loss", loss, want.loss, want.loss_within, "twice the logits' bound + 1e-6 |lse|")
    on.rounded(case, "dx", dx, want.dx, want.dx_within + 1e-30, BOUND)
    for dw in more:
        # The rows that are targets, the last ones, and a stretch.
        some = torch.cat([targets[kept.long()].long(), torch.arange(head.out - 9, head.out, device=source.on),
                          torch.arange(0, min(head.out, 1024), device=source.on)])
        expected, within = want.dw(before, some)
        on.near(case, "dW", dw[some], expected, within + 2.0**-21 * expected.abs() + 1e-30, BOUND)


def run(recorder, device, sizes):
    on, source = Checker(recorder, device, "linear_cross_entropy"), Source(device.torch_device, 4)
    for kind in ("dense", "q8"):
        head = source.weight(kind, sizes.vocabulary, sizes.hidden)
        check_head(on, source, head, sizes.targets, sizes.chunk)
    # More chunk than rows, as few tokens make it.
    check_head(on, source, source.dense(sizes.keys, sizes.hidden), 11, 11)
