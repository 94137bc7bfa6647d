"""Blocks of ggml's formats and what gguf-py decodes them to: tests/goldens/quant/ggml.safetensors.

    pip install gguf==0.19.0 safetensors==0.6.2 numpy
    python make_ggml.py
"""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

COUNT = 1024
# Where the f16 scales of a block stand; random bytes there might be infinite.
SCALES = {"Q8_0": [0], "Q4_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
# Drawn behind the others, which stay what they were.
LATER = {"Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2]}


def add(tensors, names, random):
    for name in names:
        kind = Kind[name]
        weights, size = GGML_QUANT_SIZES[kind]
        if weights == 1:
            values = random.normal(0, 0.02, COUNT).astype(np.float32)
            data = quantize(values, kind).view(np.uint8)
        else:
            data = random.integers(0, 256, (COUNT // weights, size), dtype=np.uint8)
            for at in (SCALES | LATER)[name]:
                scales = random.normal(0, 0.01, (len(data), 1)).astype(np.float16)
                data[:, at : at + 2] = scales.view(np.uint8)
        decoded = dequantize(data.reshape(-1) if weights == 1 else data, kind)
        tensors[f"{name}.bytes"] = np.ascontiguousarray(data).reshape(-1)
        tensors[f"{name}.values"] = np.ascontiguousarray(decoded, dtype=np.float32).reshape(-1)


def main():
    random = np.random.default_rng(5)
    tensors = {}
    add(tensors, ["F32", "F16", "BF16", *SCALES], random)
    values = random.normal(0, 0.02, COUNT).astype(np.float32)
    values[64:96] = 0
    tensors["encoded.values"] = values
    tensors["encoded.bytes"] = quantize(values, Kind.Q8_0).reshape(-1)
    add(tensors, LATER, random)
    save_file(tensors, Path(__file__).parent / "quant" / "ggml.safetensors")


main()
