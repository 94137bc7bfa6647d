"""Writes quant/nf4.safetensors and quant/double.safetensors: what bitsandbytes makes of some weights.

pip install numpy==2.4.6 torch==2.9.1 bitsandbytes==0.50.2 safetensors==0.8.0
python tests/goldens/make_quant.py          (from the workspace root; a few seconds, no GPU)
"""

import os
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
# The odd-length path would otherwise be compiled on the spot; eager gives the same bits.
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import bitsandbytes.functional as bnb
import torch
from safetensors.torch import save_file

torch.set_num_threads(1)
OUT = Path(__file__).parent / "quant"
THRESHOLDS = (bnb.get_4bit_type("nf4", device="cpu")[:-1] + bnb.get_4bit_type("nf4", device="cpu")[1:]) / 2


def weights():
    """Name -> f32 weight. Each is also tried in bf16 and f16."""
    random = torch.Generator().manual_seed(20)

    def normal(*shape):
        return torch.randn(*shape, generator=random)

    zero_block = normal(4, 64)
    zero_block[2] = 0
    zero_tail = normal(100)
    zero_tail[64:] = 0
    outlier = normal(4, 64) * 0.02
    outlier[1, 17] = -6e4
    below = torch.nextafter(THRESHOLDS, torch.full([15], -2.0))
    above = torch.nextafter(THRESHOLDS, torch.full([15], 2.0))
    ties = torch.cat([THRESHOLDS, below, above, -THRESHOLDS, torch.tensor([1.0, -1.0, 0.0, -0.0])])
    return {
        "matrix": normal(24, 64) * 0.05,
        "rows_cross_blocks": normal(10, 50),
        "odd": normal(131),
        "one": torch.tensor([-0.25]),
        "zero_block": zero_block,
        "zero_tail": zero_tail,
        "denormal": normal(150) * 2e-39,
        "tiny_denormal": normal(150) * 3e-44,
        "half_denormal": normal(150) * 3e-7,
        "outlier": outlier,
        "ties": ties,
        "large": normal(80) * 1e4,
    }


def nf4():
    tensors = {}
    for name, weight in weights().items():
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            key = f"{name}.{str(dtype).removeprefix('torch.')}"
            values = weight.to(dtype)
            codes, state = bnb.quantize_4bit(values, quant_type="nf4")
            tensors |= {
                f"{key}.values": values,
                f"{key}.codes": codes.flatten(),
                f"{key}.absmax": state.absmax,
                f"{key}.decoded": bnb.dequantize_4bit(codes, state).reshape(values.shape),
            }
            again, state = bnb.quantize_4bit(values, quant_type="nf4", compress_statistics=True)
            assert torch.equal(codes, again)
            tensors |= {
                f"{key}.double.q": state.absmax,
                f"{key}.double.nested": state.state2.absmax,
                f"{key}.double.offset": state.offset.reshape(1),
                f"{key}.double.decoded": bnb.dequantize_4bit(codes, state).reshape(values.shape),
            }
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, OUT / "nf4.safetensors")


def double():
    """The statistics alone, at sizes that exercise the order of torch's sum."""
    random = torch.Generator().manual_seed(21)
    cases = {f"uniform_{n}": torch.rand(n, generator=random) for n in (1, 3, 5, 7, 8, 33, 255, 256, 257, 1000, 20000)}
    cases |= {f"normal_{n}": torch.randn(n, generator=random).abs() * 0.03 for n in (64, 4100)}
    cases |= {"skewed_600": torch.randn(600, generator=random).pow(6)}
    cases |= {"equal_300": torch.full([300], 0.0371), "zero_300": torch.zeros(300)}
    cases |= {"denormal_40": torch.rand(40, generator=random) * 1e-42}
    tensors = {"map": bnb.create_dynamic_map()}
    for name, absmax in cases.items():
        offset = absmax.mean()
        q, state = bnb.quantize_blockwise(absmax - offset, blocksize=256)
        assert torch.equal(state.code, tensors["map"])
        decoded = bnb.dequantize_blockwise(q, state)
        decoded += offset
        tensors |= {
            f"{name}.absmax": absmax,
            f"{name}.q": q,
            f"{name}.nested": state.absmax,
            f"{name}.offset": offset.reshape(1),
            f"{name}.decoded": decoded,
        }
    save_file(tensors, OUT / "double.safetensors")


OUT.mkdir(exist_ok=True)
nf4()
double()
