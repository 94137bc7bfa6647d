"""What the device can do at most: tensor cores by mma.sync, torch's matrix product, copies."""

import json

import torch

from suite import clock
from suite.device import Call, open_device

REPEATS, FACTORS = 8192, 4 * 4 * 2 * 16 * 8 * 16  # operations of a block per repeat: warps, products, each m16n8k16


def tensor_cores(device, recorder):
    """mma.sync on constants, as many blocks on a multiprocessor as help: (TFLOP/s, blocks)."""
    many, best = torch.cuda.get_device_properties(0).multi_processor_count, 0.0
    for blocks in (1, 2, 4, 8, 16):
        to = torch.empty(128, device=device.torch_device)
        time = clock.measure([device.prepare(Call("probe_time", (many * blocks,), (to, REPEATS)))])
        rate = many * blocks * REPEATS * FACTORS / time.median
        recorder.add(what=f"mma.sync bf16, {blocks} blocks of 128 per multiprocessor", rate=rate / 1e12, unit="TFLOP/s",
                     **clock.row(time))
        if not bool((to == 64.0 * REPEATS).all()):
            recorder.add(what="sum of mma.sync", rate=to[0].item(), unit="", ok=False)
        best = max(best, rate)
    return best


def matrix_product(device, recorder, size=8192):
    """torch's, on random data."""
    a, b, c = (torch.randn(size, size, device=device.torch_device).bfloat16() for _ in range(3))
    time = clock.measure([lambda: torch.mm(a, b, out=c)])
    recorder.add(what=f"torch bf16 matmul {size}^3", rate=2 * size**3 / time.median / 1e12, unit="TFLOP/s", **clock.row(time))
    return 2 * size**3 / time.median


def copies(device, recorder):
    """On the device (bytes read and written), and from and to pinned memory."""
    free = torch.cuda.mem_get_info()[0]
    count = min(4 << 30, free // 4)
    a, b = (torch.empty(count, dtype=torch.uint8, device=device.torch_device) for _ in range(2))
    a.random_()
    time = clock.measure([lambda: b.copy_(a)])
    copied = 2 * count / time.median
    recorder.add(what=f"copy on the device, {count >> 20} MiB", rate=copied / 1e9, unit="GB/s", **clock.row(time))
    rates = {"copy": copied}
    count = min(1 << 29, count)
    host = torch.empty(count, dtype=torch.uint8).pin_memory()
    for what, to, source in (("to_device", a[:count], host), ("to_host", host, a[:count])):
        # The engine's copies are launched one by one, so these are.
        time = clock.measure([lambda to=to, source=source: to.copy_(source, non_blocking=True)], graph=False)
        rates[what] = count / time.median
        recorder.add(what=f"copy {what.replace('_', ' ')}, pinned, {count >> 20} MiB", rate=rates[what] / 1e9, unit="GB/s", **clock.row(time))
    return rates


def measure(device, recorder):
    """All of them, in plain units."""
    return {"tensor_cores": tensor_cores(device, recorder), "matmul": matrix_product(device, recorder), **copies(device, recorder)}


def known(device, recorder, out):
    """Those of this run's results, or new ones."""
    path = out / "peaks.json"
    if not path.exists():
        return measure(device, recorder)
    return next(row for row in json.loads(path.read_text())["rows"] if row.get("what") == "all")["peaks"]


def run(recorder, options):
    peaks = measure(open_device(), recorder)
    recorder.add(what="all", peaks=peaks)
    return (f"mma.sync {peaks['tensor_cores'] / 1e12:.1f} TFLOP/s, torch matmul {peaks['matmul'] / 1e12:.1f}, copy "
            f"{peaks['copy'] / 1e9:.0f} GB/s, pinned {peaks['to_device'] / 1e9:.1f} up, {peaks['to_host'] / 1e9:.1f} down")
