"""Reads what `srek export --format gguf-lora` writes with llama.cpp's own `gguf` package and compares.

pip install numpy==2.4.6 torch==2.15.0 transformers==5.24.0 peft==0.18.0 safetensors==0.8.0 gguf==0.19.0
python tests/goldens/check_lora_gguf.py SREK     (from the workspace root; SREK is the built binary; a minute, no GPU)

For every variant under llama/ and both adapters (one has mixed ranks and alphas): the keys are those that
convert_lora_to_gguf.py of llama.cpp writes, every adapted module is there under llama.cpp's name, and what
llama.cpp will add to a weight, alpha / R times B A with R read off B, is PEFT's delta weight, with the rows of
queries and keys in llama.cpp's order.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
from gguf import GGUFReader
from peft import PeftModel
from transformers import LlamaForCausalLM

HERE = Path(__file__).parent
VARIANTS = ("plain", "scaled", "plain_tied", "scaled_tied", "narrow")
NAMES = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate",
         "up_proj": "ffn_up", "down_proj": "ffn_down"}


def permuted(weight, heads):
    """As llama.cpp's converter orders the rows of queries and keys."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def compare(srek, room, variant, name):
    source, adapter = HERE / "llama" / variant / "model", HERE / "llama" / variant / name
    out = room / "adapter.gguf"
    subprocess.run([srek, "export", "--model", source, "--adapter", adapter, "--format", "gguf-lora", "--out", out],
                   check=True, stdout=subprocess.DEVNULL)
    reader = GGUFReader(out)
    text = lambda key: bytes(reader.fields[key].parts[-1]).decode()
    assert (text("general.architecture"), text("general.type"), text("adapter.type")) == ("llama", "adapter", "lora")
    alpha = float(reader.fields["adapter.lora.alpha"].parts[-1][0])
    found = {tensor.name: numpy.array(tensor.data) for tensor in reader.tensors}
    base = LlamaForCausalLM.from_pretrained(source)
    model, config = PeftModel.from_pretrained(base, adapter), base.config
    expected, worst = 0, 0.0
    for path, module in model.named_modules():
        if not hasattr(module, "get_delta_weight") or not getattr(module, "lora_A", None):
            continue
        parts = path.split(".")
        layer, kind = parts[parts.index("layers") + 1], parts[-1]
        want = module.get_delta_weight("default").detach().double().numpy()
        if kind == "q_proj":
            want = permuted(want, config.num_attention_heads)
        if kind == "k_proj":
            want = permuted(want, config.num_key_value_heads)
        key = f"blk.{layer}.{NAMES[kind]}.weight"
        a, b = found.pop(f"{key}.lora_a"), found.pop(f"{key}.lora_b")
        rank = b.shape[1]
        assert a.shape[0] == rank, key
        got = alpha / rank * (b.astype(numpy.float64) @ a.astype(numpy.float64))
        worst, expected = max(worst, abs(got - want).max() / abs(want).max()), expected + 1
    assert expected and not found, (expected, list(found))
    assert worst < 1e-6, worst
    print(f"{variant:12} {name:14} {expected} modules, deltas at most {worst:.1e} apart")


def main():
    srek = str(Path(sys.argv[1]).resolve())
    for variant in VARIANTS:
        for name in ("adapter", "adapter_mixed"):
            with tempfile.TemporaryDirectory() as room:
                compare(srek, Path(room), variant, name)


if __name__ == "__main__":
    main()
