"""Logits of `srek logits` against LlamaForCausalLM: shapes, rotary scaling, tied heads, stored types, 4-bit bases.

In f32 they must be equal but for rounding. In bf16 the yardstick is PyTorch: the distance of its own bf16 logits from
its f32 logits.
"""

from common import apart, compare, random_model

import torch

import make_llama

LLAMA3 = dict(make_llama.SCALING, original_max_position_embeddings=64)
LENGTH = 96
WIDE = dict(hidden_size=256, head_dim=32, intermediate_size=512, vocab_size=512, num_hidden_layers=4)


def wide(heads, kv_heads, tied=False, **more):
    return dict(WIDE, num_attention_heads=heads, num_key_value_heads=kv_heads, tie_word_embeddings=tied, **more)


# Name: shape, stored type, how the projections are held.
CASES = {
    "heads 8/8, untied, f32": (wide(8, 8), None, "f32"),
    "heads 8/4, tied, f32": (wide(8, 4, tied=True), None, "f32"),
    "heads 8/2, llama3 rope, f32": (wide(8, 2, rope_scaling=LLAMA3), None, "f32"),
    "heads x size not the width, odd sizes, tied, llama3 rope, f32": (
        dict(make_llama.NARROW, num_hidden_layers=3, tie_word_embeddings=True, rope_scaling=LLAMA3), None, "f32"),
    "heads 8/4, stored bf16": (wide(8, 4), torch.bfloat16, "f32"),
    "heads 8/2, tied, llama3 rope, stored bf16": (wide(8, 2, tied=True, rope_scaling=LLAMA3), torch.bfloat16, "f32"),
    "heads 8/2, nf4": (wide(8, 2), None, "nf4"),
    "heads 8/4, tied, llama3 rope, stored bf16, nf4 with double quantization": (
        wide(8, 4, tied=True, rope_scaling=LLAMA3), torch.bfloat16, "nf4_dq"),
}
QUANT = {"f32": "none", "nf4": "nf4", "nf4_dq": "nf4-dq"}


def comparison(table, srek):
    for number, (name, (shape, stored, base)) in enumerate(CASES.items()):
        model = random_model(srek.room / f"model-{number}", number, stored, **shape)
        ids = torch.randint(shape["vocab_size"], [2, LENGTH], generator=torch.Generator().manual_seed(number))
        with torch.no_grad():
            theirs, theirs_bf16 = (
                make_llama.read_model(model, base, dtype)(ids, use_cache=False).logits.float().numpy()
                for dtype in (torch.float32, torch.bfloat16))
        ours, ours_bf16 = (srek.logits(model, ids.tolist(), "--quant", QUANT[base], "--numerics", numerics)
                           for numerics in ("f32", "bf16"))
        most, mean = apart(ours, theirs)
        table.below(f"{name}: greatest error of f32", most, 1e-4, f" (mean {mean:.1g})")
        most, mean = apart(ours_bf16, theirs)
        yardstick_most, yardstick_mean = apart(theirs_bf16, theirs)
        # The greatest of some ten thousand errors is a matter of chance, their mean is not.
        table.below(f"{name}: mean error of bf16 over that of PyTorch's bf16", mean / yardstick_mean, 1.5,
                    f" ({mean:.1g} / {yardstick_mean:.1g}; greatest {most:.1g} / {yardstick_most:.1g})")


compare("logits", comparison)
