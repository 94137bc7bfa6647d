"""Compares what `srek quantize` writes with what transformers and bitsandbytes make of the same model.

pip install numpy==2.4.6 torch==2.9.1 transformers==4.57.3 bitsandbytes==0.50.2 safetensors==0.8.0 accelerate==1.15.0
python tests/goldens/check_base.py SREK     (from the workspace root; SREK is the built binary; a minute, no GPU)

For every variant under llama/, in f32, bf16 and f16, and both formats: the tensors must be those that
save_pretrained writes, byte for byte; transformers must load the directory without a missing or unexpected
tensor and compute the same logits, bit for bit, and in f32 those that `srek logits` computes nearly. What
has its embedding in 8 bits must be refused by transformers.
"""

import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

from make_base import HERE, logits

import torch
from safetensors.torch import load_file
from transformers import BitsAndBytesConfig, LlamaForCausalLM

VARIANTS = ("plain", "scaled", "plain_tied", "scaled_tied", "narrow")


def load(directory, dtype, **settings):
    model, info = LlamaForCausalLM.from_pretrained(directory, dtype=dtype, attn_implementation="eager", device_map="cpu",
                                                   output_loading_info=True, **settings)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")), info
    return model.eval()


def compare(srek, room, variant, dtype, double):
    source = HERE / "llama" / variant
    ids = json.loads((source / "ids.json").read_text())
    dense, ours, theirs = room / "dense", room / "ours", room / "theirs"
    LlamaForCausalLM.from_pretrained(source / "model", dtype=dtype).save_pretrained(dense)
    subprocess.run([srek, "quantize", "--model", dense, "--out", ours, "--format", "nf4-dq" if double else "nf4"],
                   check=True, stdout=subprocess.DEVNULL)
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=double,
                                bnb_4bit_compute_dtype=dtype)
    quantized = load(dense, dtype, quantization_config=config)
    quantized.save_pretrained(theirs)
    found, want = load_file(ours / "model.safetensors"), load_file(theirs / "model.safetensors")
    assert found.keys() == want.keys(), found.keys() ^ want.keys()
    for name, tensor in want.items():
        assert tensor.dtype == found[name].dtype and tensor.shape == found[name].shape, name
        assert torch.equal(tensor.view(torch.uint8) if tensor.dim() else tensor,
                           found[name].view(torch.uint8) if tensor.dim() else found[name]), name
    loaded = logits(load(ours, dtype), ids)
    assert torch.equal(loaded, logits(quantized, ids))
    subprocess.run([srek, "logits", "--model", ours, "--ids", source / "ids.json", "--out", room / "l.safetensors",
                    "--numerics", "f32" if dtype == torch.float32 else "bf16"], check=True, stdout=subprocess.DEVNULL)
    own = load_file(room / "l.safetensors")["logits"]
    difference = ((own - loaded.float()).abs().max() / loaded.float().abs().max()).item()
    print(f"{variant:12} {str(dtype):15} double={double!s:5}  {len(want)} tensors equal, logits equal, srek's {difference:.1e} away")
    assert difference < (1e-5 if dtype == torch.float32 else 5e-2)


def refused(srek, room):
    subprocess.run([srek, "quantize", "--model", HERE / "llama/plain/model", "--embedding", "q8", "--out", room / "q8"],
                   check=True, stdout=subprocess.DEVNULL)
    try:
        LlamaForCausalLM.from_pretrained(room / "q8")
    except Exception as error:
        print("embedding in 8 bits: refused:", " ".join(str(error).split())[:120])
    else:
        raise AssertionError("transformers loads what it cannot read")


def main():
    logging.getLogger("transformers").setLevel(logging.ERROR)
    for variant in VARIANTS:
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            for double in (False, True):
                with tempfile.TemporaryDirectory() as room:
                    compare(sys.argv[1], Path(room), variant, dtype, double)
    with tempfile.TemporaryDirectory() as room:
        refused(sys.argv[1], Path(room))


if __name__ == "__main__":
    main()
