"""Writes config/: what transformers puts into a Llama's config.json, and which rank and scale PEFT
gives each module where patterns overlap.

pip install torch==2.9.1 transformers==4.57.3 peft==0.18.0
python tests/goldens/make_config.py
"""

import json
import os
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

OUT = Path(__file__).parent / "config"
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LAYERS = 2
# Rank and alpha by pattern. In each the sorted order would choose otherwise for some module.
PATTERNS = [
    ({"q_proj": 8, "model.layers.1.self_attn.q_proj": 2}, {"self_attn.q_proj": 3, "q_proj": 5}),
    ({"self_attn.v_proj": 2, "layers.0.self_attn.v_proj": 6, "v_proj": 8}, {"v_proj": 4, "layers.1.self_attn.v_proj": 16}),
    ({"mlp.up_proj": 3, "model.layers.0.mlp.up_proj": 5}, {"up_proj": 2, "mlp.up_proj": 7, "1.mlp.up_proj": 9}),
]


def factors(directory):
    """Rank and scale of every adapted module, as PEFT reads the directory."""
    shape = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=LAYERS, num_attention_heads=2, vocab_size=8)
    model = get_peft_model(LlamaForCausalLM(LlamaConfig(**shape)), LoraConfig.from_pretrained(directory))
    layers = {name: module for name, module in model.named_modules() if hasattr(module, "lora_A")}
    return {name.removeprefix("base_model.model."): [module.r["default"], module.scaling["default"]]
            for name, module in sorted(layers.items())}


def adapter(rank_pattern, alpha_pattern):
    config = dict(peft_type="LORA", task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=PROJECTIONS,
                  rank_pattern=rank_pattern, alpha_pattern=alpha_pattern)
    with tempfile.TemporaryDirectory() as directory:
        text = json.dumps(config)
        (Path(directory) / "adapter_config.json").write_text(text)
        return {"config": text, "factors": factors(directory)}


def write(name, value):
    (OUT / name).write_text(json.dumps(value, indent=1) + "\n")


OUT.mkdir(exist_ok=True)
write("patterns.json", [adapter(*patterns) for patterns in PATTERNS])
write("llama.json", LlamaConfig().to_dict())
