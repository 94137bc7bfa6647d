"""Sizes of the checks: those of Llama 3.1 8B, and small odd ones."""

from typing import NamedTuple


class Sizes(NamedTuple):
    hidden: int
    ffn: int
    keys: int  # Hkv D
    vocabulary: int
    rows: tuple
    few: tuple
    rank: int
    dims: tuple  # of attention: (D, H, Hkv, lengths of documents)
    decode: tuple  # (D, H, Hkv, keys seen)
    chunk: int
    targets: int

    def weights(self):
        """(out, in) of the projections."""
        return (self.hidden, self.hidden), (self.keys, self.hidden), (self.ffn, self.hidden), (self.hidden, self.ffn)


REAL = Sizes(4096, 14336, 1024, 128256, (9, 512, 2048), (1, 2, 3, 8), 16,
             ((128, 32, 8, (700, 1, 1030, 317)), (64, 32, 8, (64, 513, 447)), (128, 8, 8, (1, 2, 500))),
             ((128, 32, 8, (4096, 16384, 1, 257)), (64, 32, 4, (3000, 64))), 256, 600)
TINY = Sizes(128, 192, 64, 1301, (21, 133), (1, 2, 3, 8), 16,
             ((64, 4, 2, (3, 70, 1, 9)), (128, 2, 1, (67,))), ((64, 6, 2, (300, 256, 1)), (128, 2, 2, (70,))), 10, 23)


def of(device):
    return TINY if device.is_emulated else REAL
