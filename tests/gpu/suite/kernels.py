"""Every kernel of kernels.tsv against PyTorch; each has to have been launched, twice, with equal bits."""

import importlib
import time

from suite import sizes
from suite.device import open_device

FAMILIES = ("family_products", "family_lora", "family_attention", "family_loss", "family_rows")


def run(recorder, options):
    device = open_device(options.emulated)
    for family in FAMILIES:
        started = time.monotonic()
        importlib.import_module(f"suite.{family}").run(recorder, device, sizes.of(device))
        print(f"{family}: {time.monotonic() - started:.1f} s", flush=True)
    ours = [name for name, kernel in device.kernels.items() if kernel.file != "probe"]
    missing = [name for name in ours if name not in device.launched]
    recorder.add(family="all", case="kernels.tsv", what="kernels that were not launched", share_of_bound=float(len(missing)),
                 bound=" ".join(missing) or "none", ok=not missing)
    worst = max(row["share_of_bound"] or 0.0 for row in recorder.rows if not row["bound"].startswith("equal"))
    return f"{len(ours)} kernels, {len(recorder.rows)} comparisons, at most {worst:.3f} of a bound"
