"""The emulated device: the kernels compiled for this processor (kernels/emulated)."""

import ctypes

import torch

from suite.device import Device


class Emulated(Device):
    """Copies whole tensors in and out at each launch, so that the checked build knows of every byte."""

    is_emulated = True
    torch_device = torch.device("cpu")

    def __init__(self, path):
        super().__init__()
        self.library = ctypes.CDLL(str(path))
        for name in ("error", "findings"):
            getattr(self.library, f"srek_emulated_{name}").restype = ctypes.c_char_p

    def identity(self):
        return {"name": "emulated", "sm": "emulated", "driver": "none", "memory_bytes": 0, "multiprocessors": 1}

    def must(self, status):
        if status:
            raise RuntimeError(self.library.srek_emulated_error().decode())

    def run(self, call):
        """Launches; where the checked build finds something, that is an error."""
        kernel = self.kernels[call.name]
        packed = self.pack(call)
        storages = {it.untyped_storage().data_ptr(): it.untyped_storage()
                    for it in call.arguments if isinstance(it, torch.Tensor)}
        places, extents = {}, (ctypes.c_uint64 * len(packed))()
        try:
            for pointer, storage in storages.items():
                places[pointer] = self.copied(storage)
            for i, value in enumerate(call.arguments):
                if isinstance(value, torch.Tensor):
                    base = value.untyped_storage()
                    offset = value.data_ptr() - base.data_ptr()
                    packed[i].value = places[base.data_ptr()].value + offset
                    extents[i] = base.nbytes() - offset
            pointers = (ctypes.c_void_p * len(packed))(*[ctypes.addressof(it) for it in packed])
            grid = (ctypes.c_uint32 * 3)(*call.grid, *[1] * (3 - len(call.grid)))
            self.must(self.library.srek_emulated_launch(call.name.encode(), grid, kernel.threads, kernel.shared,
                                                        pointers, len(packed), extents))
            for pointer, place in places.items():
                self.must(self.library.srek_emulated_copy_out(ctypes.c_void_p(pointer), place,
                                                              ctypes.c_uint64(storages[pointer].nbytes())))
        finally:
            for place in places.values():
                self.library.srek_emulated_free(place)
        found = self.library.srek_emulated_findings().decode()
        if found:
            self.library.srek_emulated_clear()
            raise RuntimeError(f"{call.name}: {found}")

    def copied(self, storage):
        """A buffer of the emulated device with a storage's bytes."""
        place, count = ctypes.c_void_p(), ctypes.c_uint64(storage.nbytes())
        self.must(self.library.srek_emulated_allocate(count, ctypes.byref(place)))
        self.must(self.library.srek_emulated_copy_in(place, ctypes.c_void_p(storage.data_ptr()), count))
        return place

    def sync(self):
        """Launches run at once."""
