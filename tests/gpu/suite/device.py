"""A device that launches our kernels on torch's tensors: the real one, or the emulated one."""

import ctypes
import re
from typing import NamedTuple

import torch

from suite import places


class Kernel(NamedTuple):
    """What kernels/ptx/*.tsv says of a kernel, and which of its arguments are floats."""

    file: str
    threads: int
    shared: int
    sizes: tuple
    floats: tuple


class Call(NamedTuple):
    """A launch: tensors, None, and numbers in the kernel's order."""

    name: str
    grid: tuple
    arguments: tuple


def floats_of(text, name):
    """Which parameters of an entry are floats: launchers see 4 bytes of either kind."""
    entry = re.search(rf"\.entry {name}\((.*?)\)", text, re.S)
    if not entry:
        raise ValueError(f"no entry {name}")
    return tuple(".f32" in line for line in entry[1].splitlines() if ".param" in line)


def table():
    """All kernels by name."""
    kernels, texts = {}, {}
    for listed in ("kernels.tsv", "probe.tsv"):
        for line in (places.PTX / listed).read_text().splitlines()[1:]:
            name, file, threads, shared, sizes = line.split("\t")
            if file not in texts:
                texts[file] = (places.PTX / f"{file}.ptx").read_text()
            sizes = tuple(int(size) for size in sizes.split(","))
            kernels[name] = Kernel(file, int(threads), int(shared), sizes, floats_of(texts[file], name))
    return kernels


class Device:
    """Common to both: checking and packing a launch's arguments."""

    def __init__(self):
        self.kernels = table()
        self.launched = set()

    def pack(self, call):
        """The arguments as C values."""
        kernel = self.kernels[call.name]
        if len(call.arguments) != len(kernel.sizes):
            raise ValueError(f"{call.name} takes {len(kernel.sizes)} arguments, not {len(call.arguments)}")
        for value in call.arguments:
            if isinstance(value, torch.Tensor) and value.device.type != self.torch_device.type:
                raise ValueError(f"{call.name}: a tensor on {value.device}, not {self.torch_device}")
        self.launched.add(call.name)
        return [pack_one(call.name, i, *each) for i, each in enumerate(zip(call.arguments, kernel.sizes, kernel.floats))]

    def launch(self, name, grid, *arguments):
        self.run(Call(name, tuple(grid), arguments))


def pack_one(name, place, value, size, is_float):
    wrong = TypeError(f"{name}: argument {place} is {type(value).__name__}, of {size} bytes, float: {is_float}")
    if size == 8:
        if isinstance(value, torch.Tensor):
            if not value.is_contiguous():
                raise ValueError(f"{name}: argument {place} is not contiguous")
            return ctypes.c_uint64(value.data_ptr())
        if value is None or isinstance(value, int):
            return ctypes.c_uint64(value or 0)
        raise wrong
    if size == 4 and is_float and isinstance(value, float):
        return ctypes.c_float(value)
    if size == 4 and not is_float and isinstance(value, int):
        return ctypes.c_uint32(value)
    raise wrong


def open_device(emulated=None):
    """The emulated device of a library, or the first real one."""
    if emulated:
        from suite.emulated import Emulated

        return Emulated(emulated)
    from suite.nvidia import Nvidia

    return Nvidia()
