"""Faults of a device that the checks of kernels have to notice: python -m suite.faults LIB.so."""

import sys
from pathlib import Path

import torch

from suite import family_lora, family_products, sizes, weights
from suite.emulated import Emulated
from suite.record import Recorder

# Few rows are enough to see a fault.
FEW = sizes.TINY._replace(rows=(21, 23), few=(1, 3), vocabulary=131)


class Faulty(Emulated):
    """Does something to the last output of every launch of some kernels."""

    def __init__(self, path, kernel, spoil):
        super().__init__(path)
        self.kernel, self.spoil, self.count = kernel, spoil, 0

    def run(self, call):
        super().run(call)
        if call.name.startswith(self.kernel):
            self.count += 1
            tensors = [it for it in call.arguments if isinstance(it, torch.Tensor)]
            self.spoil(tensors, self.count)


def memory(tensor):
    """All bytes of a tensor's buffer, the guard behind it included."""
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())


def behind(tensors, _):
    memory(tensors[-1])[tensors[-1].nbytes + 3] = 0


def differently(tensors, count):
    if count % 2 == 0:
        tensors[-1].view(-1)[0] += 1.0


def not_at_all(tensors, _):
    tensors[-1].view(-1).view(torch.uint8)[-64:] = 0xFF


def one_step(tensors, _):
    """The last place of one bf16, both times."""
    tensors[-1].view(-1).view(torch.int16)[5] ^= 4


def changed_level():
    """Our own table of levels, by less than a rounding of a sum."""
    kept = weights.LEVELS
    weights.LEVELS = (*kept[:11], kept[11] * 1.01, *kept[12:])
    return lambda: setattr(weights, "LEVELS", kept)


FAULTS = (
    ("a byte behind an output", family_lora, "lora_down_few", behind, None),
    ("a second launch that differs", family_lora, "lora_down_few", differently, None),
    ("outputs that are not written", family_lora, "lora_back", not_at_all, None),
    ("a last place of one value", family_lora, "lora_up", one_step, None),
    ("a level of NF4", family_products, "none", behind, changed_level),
)


def is_noticed(library, family, kernel, spoil, prepare):
    device, recorder = Faulty(library, kernel, spoil), Recorder(".", "faults")
    recorder.add = lambda **row: recorder.rows.append(row)
    undo = prepare() if prepare else lambda: None
    try:
        family.run(recorder, device, FEW)
    finally:
        undo()
    return any(row["ok"] is False for row in recorder.rows)


def main():
    library, missed = Path(sys.argv[1]), []
    if is_noticed(library, family_lora, "none", behind, None):
        print("a sound device is taken for a faulty one")
        return 1
    for name, *fault in FAULTS:
        if not is_noticed(library, *fault):
            missed.append(name)
    print(f"{len(FAULTS) - len(missed)} of {len(FAULTS)} faults noticed {'; '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
