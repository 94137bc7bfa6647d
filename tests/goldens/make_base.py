"""Writes base/<case>/: llama/<variant>/model as transformers and bitsandbytes quantize and save it.

pip install numpy==2.4.6 torch==2.9.1 transformers==4.57.3 bitsandbytes==0.50.2 safetensors==0.8.0 accelerate==1.15.0
python tests/goldens/make_base.py     (from the workspace root, after make_llama.py; seconds, no GPU)

The logits of what was saved, read again by transformers, must be those that make_llama.py kept.
"""

import json
import os
import shutil
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TORCHDYNAMO_DISABLE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from safetensors.torch import load_file
from transformers import BitsAndBytesConfig, LlamaForCausalLM

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

HERE = Path(__file__).parent
# Case: variant, double quantization.
CASES = {"nf4_dq": ("narrow", True), "nf4": ("plain_tied", False)}


def quantization(double):
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=double,
                              bnb_4bit_compute_dtype=torch.float32)


def read(directory, **settings):
    return LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager", device_map="cpu",
                                            **settings).eval()


def logits(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor(ids), use_cache=False).logits


def main():
    for case, (variant, double) in CASES.items():
        source, out = HERE / "llama" / variant, HERE / "base" / case
        shutil.rmtree(out, ignore_errors=True)
        read(source / "model", quantization_config=quantization(double)).save_pretrained(out)
        (out / "generation_config.json").unlink(missing_ok=True)
        ids = json.loads((source / "ids.json").read_text())
        want = load_file(source / "golden.safetensors")[f"{case}.logits"]
        found = logits(read(out), ids)
        print(case, variant, "greatest difference", (found - want).abs().max().item(), "of", want.abs().max().item())
        assert torch.allclose(found, want, rtol=0, atol=1e-5)


if __name__ == "__main__":
    main()
