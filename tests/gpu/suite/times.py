"""Every kernel's time at a model's sizes, as shares of what the device can do, and PyTorch's beside the products'.

Buffers rotate over more than the device's cache holds. The limit of a kernel is what takes longer: its bytes at the
copy's rate, or its operations at mma.sync's.
"""

import math

import torch

from suite import clock, peaks, work
from suite.device import open_device
from suite.weights import Source

ROTATED = 1 << 28  # bytes; several times any second cache
MOST_SETS = 64


def footprint(call):
    return sum(it.nbytes for it in call.arguments if isinstance(it, torch.Tensor))


def sets_of(one):
    """Launches on as many sets of buffers as it takes."""
    first = one.make()
    count = min(max(math.ceil(ROTATED / max(footprint(first), 1)), 1), MOST_SETS)
    return [first, *[one.make() for _ in range(count - 1)]]


def time_kernel(device, recorder, limits, one):
    made = sets_of(one)
    time = clock.measure([device.prepare(call) for call in made])
    by_bytes, by_work = one.moved / limits["copy"], one.operations / limits["tensor_cores"]
    limit = max(by_bytes, by_work)
    recorder.add(what=one.what, **clock.row(time), gb_s=one.moved / time.median / 1e9,
                 tflop_s=one.operations / time.median / 1e12 or None, percent_of_limit=100 * limit / time.median,
                 limit="bytes" if by_bytes >= by_work else "operations", sets=len(made))
    return time.median


def time_matmul(device, recorder, limits, n, out, inner):
    """torch's product of bf16, as y = x W^T."""
    source = Source(device.torch_device, 9)
    made = [(source.half(n, inner), source.half(out, inner), source.half(n, out)) for _ in range(3)]
    time = clock.measure([lambda x=x, w=w, y=y: torch.mm(x, w.T, out=y) for x, w, y in made])
    rate = 2.0 * n * out * inner / time.median
    recorder.add(what=f"torch bf16 matmul {out}x{inner} N {n}", **clock.row(time), tflop_s=rate / 1e12,
                 percent_of_limit=100 * rate / limits["tensor_cores"], limit="operations")
    return time.median


def time_sdpa(device, recorder, limits, d, t, h):
    """torch's flash attention, its keys expanded to all heads beforehand: (forward, backward)."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    source = Source(device.torch_device, 9)
    q, k, v = (source.half(1, h, t, d).requires_grad_() for _ in range(3))
    d_o, forward = source.half(1, h, t, d), torch.nn.functional.scaled_dot_product_attention
    operations = 2.0 * t * t * d * h
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        with torch.no_grad():
            ahead = clock.measure([lambda: forward(q, k, v, is_causal=True)])
        o = forward(q, k, v, is_causal=True)
        back = clock.measure([lambda: torch.autograd.grad(o, (q, k, v), d_o, retain_graph=True)], graph=False)
    for way, time, times in (("forward", ahead, 1.0), ("backward", back, 2.5)):
        rate = times * operations / time.median
        recorder.add(what=f"torch flash SDPA {way} D {d} T {t} H {h}", **clock.row(time), tflop_s=rate / 1e12,
                     percent_of_limit=100 * rate / limits["tensor_cores"], limit="operations")
    return ahead.median, back.median


def compare(recorder, times, shape):
    """Ratios of times: ours to torch's, and NF4's to dense."""

    def ratio(what, ours, theirs):
        if all(name in times for name in (*ours, *theirs)):
            recorder.add(what=what, ratio=sum(times[name] for name in ours) / sum(times[name] for name in theirs))

    for n in shape.rows:
        size = f"{shape.ffn}x{shape.hidden} N {n}"
        nf4, dense = f"qlinear_nf4_forward {size}", f"qlinear_dense_forward {size}"
        ratio(f"time of NF4 to dense, {size}", [nf4], [dense])
        ratio(f"time of NF4 to torch's bf16, {size}", [nf4], [f"torch {size}"])
        ratio(f"time of dense to torch's bf16, {size}", [dense], [f"torch {size}"])
    for t in shape.tokens:
        name = f"T {t} H {shape.heads}/{shape.key_heads}"
        ratio(f"time of attention forward to flash SDPA, {name}", [f"attention_forward_128 {name}"], [f"sdpa forward {t}"])
        parts = [f"attention_backward_queries_128 {name}", f"attention_backward_keys_128 {name}",
                 f"attention_delta D 128 {name}"]
        ratio(f"time of attention backward to flash SDPA, {name}", parts, [f"sdpa backward {t}"])


def run(recorder, options):
    device, shape, times = open_device(), work.REAL, {}
    limits = peaks.known(device, recorder, options.out)
    for one in work.every(device, shape):
        times[one.what] = time_kernel(device, recorder, limits, one)
        torch.cuda.empty_cache()
    for n in shape.rows:
        times[f"torch {shape.ffn}x{shape.hidden} N {n}"] = time_matmul(device, recorder, limits, n, shape.ffn, shape.hidden)
    for t in shape.tokens:
        try:
            both = time_sdpa(device, recorder, limits, 128, t, shape.heads)
            times[f"sdpa forward {t}"], times[f"sdpa backward {t}"] = both
        except RuntimeError as error:  # no flash kernels in this build, or no memory
            recorder.add(what=f"torch flash SDPA T {t}", result=str(error).splitlines()[0])
    compare(recorder, times, shape)
    ratios = [f"{row['what']}: {row['ratio']:.2f}" for row in recorder.rows if "ratio" in row]
    return f"{len(times)} times; " + "; ".join(ratios)
