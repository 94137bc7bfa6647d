"""Compares what `srek export` writes with PEFT's merge_and_unload.

pip install numpy==2.4.6 torch==2.15.0 transformers==5.24.0 peft==0.18.0 safetensors==0.8.0 accelerate==1.15.0
python tests/goldens/check_merged.py SREK     (from the workspace root; SREK is the built binary; a minute, no GPU)

For every variant under llama/ and both adapters, in f32, bf16 and f16: the same tensors, of the same types and
shapes, and values that differ by no more than the last place of a weight (sums of products are taken in another
order); transformers must load the directory without a missing or unexpected tensor.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

HERE = Path(__file__).parent
VARIANTS = ("plain", "scaled", "plain_tied", "scaled_tied", "narrow")
# Two neighbours of a weight's type, as a share of the larger.
LAST_PLACE = {torch.float32: 2.0 ** -22, torch.bfloat16: 2.0 ** -7, torch.float16: 2.0 ** -10}


def compare(srek, room, variant, name, dtype):
    source, adapter = HERE / "llama" / variant / "model", HERE / "llama" / variant / name
    dense, ours, theirs = room / "dense", room / "ours", room / "theirs"
    LlamaForCausalLM.from_pretrained(source, dtype=dtype).save_pretrained(dense)
    subprocess.run([srek, "export", "--model", dense, "--adapter", adapter, "--out", ours], check=True,
                   stdout=subprocess.DEVNULL)
    base = LlamaForCausalLM.from_pretrained(dense, dtype=dtype)
    PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(theirs)
    found, want = load_file(ours / "model.safetensors"), load_file(theirs / "model.safetensors")
    assert found.keys() == want.keys(), found.keys() ^ want.keys()
    elements = differing = 0
    for key, tensor in want.items():
        other = found[key]
        assert tensor.dtype == other.dtype == dtype and tensor.shape == other.shape, key
        apart = (tensor.double() - other.double()).abs()
        # Where terms cancel, the sum is small beside its terms; these are of the size of the largest weight.
        allowed = LAST_PLACE[dtype] * tensor.double().abs() + 2.0 ** -22 * tensor.double().abs().max()
        assert (apart <= allowed).all(), (key, apart.max())
        elements, differing = elements + apart.numel(), differing + int((apart > 0).sum())
    _, info = LlamaForCausalLM.from_pretrained(ours, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")), info
    print(f"{variant:12} {name:14} {str(dtype):15} {len(want)} tensors, {differing} of {elements} values a last place apart")


def main():
    srek = str(Path(sys.argv[1]).resolve())
    for variant in VARIANTS:
        for name in ("adapter", "adapter_mixed"):
            for dtype in LAST_PLACE:
                with tempfile.TemporaryDirectory() as room:
                    compare(srek, Path(room), variant, name, dtype)


main()
