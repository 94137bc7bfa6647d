"""A real device, driven as srek drives it: libcuda alone, on torch's memory, context and stream."""

import ctypes
import shutil
import subprocess

import torch

from suite import places
from suite.device import Device

MOST_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
PLAIN_SHARED = 48 << 10


class Nvidia(Device):
    """The first device that torch sees."""

    is_emulated = False

    def __init__(self):
        super().__init__()
        if not torch.cuda.is_available():
            raise RuntimeError("PyTorch sees no CUDA device")
        self.torch_device = torch.device("cuda", 0)
        torch.cuda.set_device(0)
        torch.zeros(1, device=self.torch_device)
        self.cuda = ctypes.CDLL("libcuda.so.1")
        self.must(self.cuda.cuInit(0), "cuInit")
        # What torch uses is the primary context; it is current on this thread from here on.
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.must(self.cuda.cuDeviceGet(ctypes.byref(device), 0), "cuDeviceGet")
        self.must(self.cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device), "cuDevicePrimaryCtxRetain")
        self.must(self.cuda.cuCtxSetCurrent(context), "cuCtxSetCurrent")
        self.modules, self.functions = {}, {}
        self.capability = torch.cuda.get_device_capability(0)

    def identity(self):
        properties = torch.cuda.get_device_properties(0)
        return {
            "name": properties.name,
            "sm": "sm_{}{}".format(*self.capability),
            "driver": self.driver_version(),
            "memory_bytes": properties.total_memory,
            "multiprocessors": properties.multi_processor_count,
            "torch": torch.__version__,
        }

    def driver_version(self):
        if shutil.which("nvidia-smi"):
            asked = ["nvidia-smi", "--id=0", "--query-gpu=driver_version", "--format=csv,noheader"]
            found = subprocess.run(asked, capture_output=True, text=True, check=False)
            if found.returncode == 0:
                return found.stdout.strip().splitlines()[0]
        version = ctypes.c_int()
        self.must(self.cuda.cuDriverGetVersion(ctypes.byref(version)), "cuDriverGetVersion")
        return f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"

    def must(self, status, what):
        if status:
            words = ctypes.c_char_p()
            self.cuda.cuGetErrorString(status, ctypes.byref(words))
            raise RuntimeError(f"{what}: {(words.value or b'an unknown error').decode()} ({status})")

    def image(self, file):
        """What srek loads: the cubin where it is for this device, else PTX."""
        cubin = places.PTX / f"{file}.sm_{self.capability[0]}{self.capability[1]}.cubin"
        return cubin.read_bytes() if cubin.exists() else (places.PTX / f"{file}.ptx").read_bytes() + b"\0"

    def function(self, name):
        if name not in self.functions:
            kernel = self.kernels[name]
            if kernel.file not in self.modules:
                module = ctypes.c_void_p()
                image = self.image(kernel.file)
                self.must(self.cuda.cuModuleLoadData(ctypes.byref(module), image), f"cuModuleLoadData of {kernel.file}")
                self.modules[kernel.file] = module
            found = ctypes.c_void_p()
            module = self.modules[kernel.file]
            self.must(self.cuda.cuModuleGetFunction(ctypes.byref(found), module, name.encode()), f"no kernel {name}")
            if kernel.shared > PLAIN_SHARED:
                self.must(self.cuda.cuFuncSetAttribute(found, MOST_SHARED, kernel.shared), f"shared memory of {name}")
            self.functions[name] = found
        return self.functions[name]

    def prepare(self, call):
        """A launch that is ready to go, on the stream that is torch's when it goes."""
        kernel, function, packed = self.kernels[call.name], self.function(call.name), self.pack(call)
        pointers = (ctypes.c_void_p * len(packed))(*[ctypes.addressof(it) for it in packed])
        grid = [*call.grid, 1, 1][:3]

        def go(_keep=(packed, call.arguments)):
            stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
            status = self.cuda.cuLaunchKernel(function, *grid, kernel.threads, 1, 1, kernel.shared, stream, pointers, None)
            self.must(status, f"launch of {call.name}")

        return go

    def run(self, call):
        self.prepare(call)()

    def sync(self):
        """Waits; an error of a kernel shows here."""
        torch.cuda.synchronize()
