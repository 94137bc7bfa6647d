"""The forms in which PEFT writes LoRA adapters: each is served with PEFT's logits here, or refused.

Some initializations (PiSSA, OLoRA) also change the base, which the adapter's tensors do not show: PEFT changes it again
when it loads the adapter. Whoever does not must refuse.
"""

from common import apart, compare, random_model

import torch
from peft import LoraConfig, PeftModel, get_peft_model

import make_llama

SHAPE = dict(hidden_size=128, num_attention_heads=4, num_key_value_heads=2, head_dim=32, intermediate_size=192,
             vocab_size=96, num_hidden_layers=3, tie_word_embeddings=False)
SEVEN = list(make_llama.PROJECTIONS)
FORMS = {
    "all-linear": dict(target_modules="all-linear"),
    "a rank of 1": dict(target_modules=SEVEN, r=1, lora_alpha=7),
    "a rank of 100": dict(target_modules=SEVEN, r=100, lora_alpha=33),
    "an alpha of 2.5": dict(target_modules=SEVEN, lora_alpha=2.5),
    "rsLoRA": dict(target_modules=SEVEN, use_rslora=True),
    "dropout": dict(target_modules=SEVEN, lora_dropout=0.5),
    "rank_pattern": dict(target_modules=SEVEN, rank_pattern={"q_proj": 2, "mlp.up_proj": 3},
                         alpha_pattern={"model.layers.0.self_attn.v_proj": 5}),
    "init gaussian": dict(target_modules=SEVEN, init_lora_weights="gaussian"),
    "init orthogonal": dict(target_modules=SEVEN, init_lora_weights="orthogonal"),
    "init pissa": dict(target_modules=SEVEN, init_lora_weights="pissa"),
    "init olora": dict(target_modules=SEVEN, init_lora_weights="olora"),
    "a pattern of modules": dict(target_modules=r".*\.layers\.[01]\.self_attn\.(q|v)_proj"),
    "full names": dict(target_modules=["model.layers.0.self_attn.q_proj", "layers.2.mlp.down_proj"]),
    "a pattern in rank_pattern": dict(target_modules=SEVEN, rank_pattern={r"layers\.[02]\.mlp\.up_proj": 3}),
    "layers_to_transform": dict(target_modules=["q_proj", "up_proj"], layers_to_transform=[1]),
    "exclude_modules": dict(target_modules=SEVEN, exclude_modules=["k_proj"]),
    "lm_head": dict(target_modules=["q_proj", "lm_head"]),
    "embed_tokens": dict(target_modules=["q_proj", "embed_tokens"]),
    "modules_to_save": dict(target_modules=["q_proj"], modules_to_save=["lm_head"]),
    "DoRA": dict(target_modules=SEVEN, use_dora=True),
    "lora_bias": dict(target_modules=["q_proj"], lora_bias=True),
    "bias": dict(target_modules=["q_proj"], bias="all"),
    "target_parameters": dict(target_modules=["q_proj"], target_parameters=["model.layers.0.mlp.up_proj.weight"]),
    "trainable_token_indices": dict(target_modules=["q_proj"], trainable_token_indices=[1, 2]),
}


def saved(base, out, settings):
    """An adapter of this form with random weights."""
    config = LoraConfig(**(dict(task_type="CAUSAL_LM", r=4, lora_alpha=8) | settings))
    model = get_peft_model(make_llama.read_model(base, "f32"), config)
    random = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=random)
            if "lora_A" in name or "lora_B" in name or "lora_embedding" in name:
                parameter.copy_(noise * (0.1 if "_B" in name else parameter.shape[-1] ** -0.5))
            elif parameter.requires_grad:
                parameter.add_(0.05 * noise)
    model.save_pretrained(out)
    return out


def comparison(table, srek):
    base = random_model(srek.room / "model", 9, **SHAPE)
    ids = torch.randint(SHAPE["vocab_size"], [2, 32], generator=torch.Generator().manual_seed(9))
    taken, refused, wrong = [], [], []
    for name, settings in FORMS.items():
        directory = saved(base, srek.room / name.replace(" ", "-"), settings)
        with torch.no_grad():
            model = PeftModel.from_pretrained(make_llama.read_model(base, "f32"), directory).eval()
            expected = model(input_ids=ids, use_cache=False).logits.numpy()
        (srek.room / "ids.json").write_text(str(ids.tolist()))
        code, _, error = srek.run("logits", "--model", base, "--adapter", directory, "--ids", "ids.json", "--out",
                                  "first.safetensors")
        if code != 0:
            (refused if code == 2 and "error: " in error else wrong).append(name)
            continue
        most, _ = apart(srek.logits(base, ids.tolist(), "--adapter", directory, "--numerics", "f32"), expected)
        (taken if most <= 1e-4 else wrong).append(name if most <= 1e-4 else f"{name} ({most:.2g} off)")
    for what, names in (("served with PEFT's logits", taken), ("refused with an error", refused)):
        table.row(f"forms of PEFT's adapters, {what}", f"{len(names)}: {', '.join(names)}", "", "yes")
    table.row("forms of PEFT's adapters, served otherwise", ", ".join(wrong) or "none", "none", not wrong)


compare("adapters", comparison)
