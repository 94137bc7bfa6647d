"""Compiles CUDA sources to PTX with the NVRTC of a wheel: compile.py LIBRARY INCLUDE... -- SOURCE OUTPUT...

Options are those of every kernel: kernels/common.cuh says why nothing is fused of itself.
"""

import ctypes
import sys
from pathlib import Path

ARCHITECTURE = "compute_80"


def main():
    split = sys.argv.index("--")
    nvrtc = ctypes.CDLL(sys.argv[1])
    options = [f"--gpu-architecture={ARCHITECTURE}", "--std=c++17", "--fmad=false"]
    options += [f"--include-path={folder}" for folder in sys.argv[2:split]]
    pairs = sys.argv[split + 1 :]
    bad = 0
    for source, output in zip(pairs[::2], pairs[1::2], strict=True):
        ptx, log = compile_one(nvrtc, Path(source), options)
        if log:
            print(f"{source}:\n{log}", file=sys.stderr)
        if ptx is None:
            bad = 1
        else:
            Path(output).write_text(ptx)
    sys.exit(bad)


def compile_one(nvrtc, source, options):
    """The PTX, or None, and what the compiler had to say."""
    program = ctypes.c_void_p()
    text = source.read_bytes()
    check(nvrtc, nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, source.name.encode(), 0, None, None))
    words = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
    status = nvrtc.nvrtcCompileProgram(program, len(options), words)
    log = fetch(nvrtc, program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog").strip()
    ptx = fetch(nvrtc, program, "nvrtcGetPTXSize", "nvrtcGetPTX") if status == 0 else None
    check(nvrtc, nvrtc.nvrtcDestroyProgram(ctypes.byref(program)))
    return ptx, log


def fetch(nvrtc, program, of_size, of_text):
    size = ctypes.c_size_t()
    check(nvrtc, getattr(nvrtc, of_size)(program, ctypes.byref(size)))
    text = ctypes.create_string_buffer(size.value)
    check(nvrtc, getattr(nvrtc, of_text)(program, text))
    return text.value.decode()


def check(nvrtc, status):
    if status:
        nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
        sys.exit(f"NVRTC: {nvrtc.nvrtcGetErrorString(status).decode()}")


main()
