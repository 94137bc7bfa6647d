#!/usr/bin/env python3
"""Counts the instructions of a kernel's hot loop in a cubin, and models what they allow on an RTX 3060.

    kernels/tests/count.py [--listing] CUBIN KERNEL...
    kernels/tests/count.py --all [FOLDER]   the figures of benches/results/gpu_modelled.csv, of kernels/ptx or FOLDER

Needs `nvdisasm`: $NVDISASM, or on the path (pip install nvidia-cuda-nvdisasm==13.5.37 has one). What it
prints is arithmetic on the listing, not a measurement: latency, cache misses and idle schedulers are not in it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

# The device that is tuned for: sm_86, RTX 3060 12 GB.
SMS, CLOCK, BANDWIDTH, PEAK = 28, 1.78e9, 360e9, 25.5e12
# Per SM and clock: warp instructions that four schedulers issue, and lanes of the pipes.
ISSUE, INTEGER, CONVERSION, SHARED_BYTES = 4, 64, 16, 128
WARP = 32
# 25.5e12 / 2 / 28 / 1.78e9 = 256 fused operations per SM and clock, 64 per scheduler; an m16n8k16 has 2,048.
MMA_CYCLES = 16 * 8 * 16 / (PEAK / 2 / SMS / CLOCK / ISSUE)
STEP_OF_BYTES = BANDWIDTH / (SMS * CLOCK)  # bytes per SM and clock

CLASSES = [
    ("mma", r"HMMA"),
    ("matrix load", r"LDSM"),
    ("shared load", r"LDS"),
    ("shared store", r"STS"),
    ("copy", r"LDGSTS|LDGDEPBAR|DEPBAR"),
    ("global load", r"LDG|LD\b"),
    ("global store", r"STG|ST\b"),
    ("shuffle", r"SHFL"),
    ("float", r"FFMA|FMUL|FADD|FSETP\.|FSET"),
    ("to bf16", r"F2FP"),
    ("spill", r"LDL|STL"),
    ("special", r"MUFU|I2F|F2I|I2I|F2F"),
    ("multiply (integer)", r"IMAD|IMUL"),
    ("integer", r"LOP|SHF|PRMT|IADD|LEA|ISETP|SEL|MOV|FMNMX|FSEL|PLOP|IMNMX|POPC|BREV|LOP3|VOTE|P2R|R2P|IABS"),
    ("uniform", r"U[A-Z]|R2UR|S2UR"),
    ("control", r"BRA|BSSY|BSYNC|BAR|WARPSYNC|EXIT|NOP|S2R|CS2R|YIELD|CALL|RET|BMOV|BREAK|ERRBAR|MEMBAR"),
]
# What may run in the half of the float lanes that also does integers, or beside it in as many lanes.
NARROW = ("to bf16", "multiply (integer)", "integer")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="the kernels whose figures are kept: command,figure,modelled,limit,percent")
    parser.add_argument("--listing", action="store_true", help="print the loop")
    parser.add_argument("cubin", nargs="?")
    parser.add_argument("kernels", nargs="*")
    arguments = parser.parse_args()
    if arguments.all:
        for cubin, kernel in ALL:
            folder = Path(arguments.cubin or Path(__file__).parent / "../ptx")
            row = model(folder / f"{cubin}.sm_86.cubin", kernel)
            print(f"kernels/tests/count.py {kernel},{row['figure']},{row['modelled']:.1f},{row['limit']:.1f},"
                  f"{row['percent']:.0f}")
        return
    if not arguments.kernels:
        parser.error("which kernel?")
    for kernel in arguments.kernels:
        show(kernel, model(arguments.cubin, kernel), arguments.listing)


ALL = [
    *[("qlinear", f"qlinear_{name}") for name in (
        "nf4_vector_1", "nf4_three_vector_1", "nf4_gated_vector_1", "q8_vector_1", "dense_vector_1", "nf4_vector_2",
        "nf4_vector_4", "nf4_vector_8", "nf4_forward", "nf4_backward", "q8_forward", "dense_forward")],
    *[("attention", f"attention_{name}_128") for name in ("forward", "backward_queries", "backward_keys")],
]


def show(kernel, row, listing):
    """Prints what `model` found."""
    print(f"{kernel}: a loop of {row['count']} instructions{row['note']}")
    for name, count in sorted(row["classes"].items(), key=lambda item: -item[1]):
        print(f"  {name:20} {count:6g}")
    for name, cycles in row["cycles"].items():
        print(f"  cycles of an SM for {name:24} {cycles:8.1f} per warp's pass")
    print(f"  modelled {row['figure']}: {row['modelled']:.1f} of {row['limit']:.1f}, {row['percent']:.0f} %")
    if listing:
        print("\n".join(row["listing"]))


def model(cubin, kernel):
    """The hot loop's counts, and the share of the device's limit that they allow."""
    lines = disassemble(cubin, kernel)
    loops = find_loops(lines)
    if any("HMMA" in line for line in lines):
        return model_mma(lines, loops)
    return model_vector(lines, loops)


def model_mma(lines, loops):
    """Tensor cores: the loop that has the most of them, and everything between two of its passes."""
    start, end = max(loops, key=lambda loop: (sum("HMMA" in line for line in lines[loop[0] : loop[1]]),
                                              loop[0] - loop[1]))
    body = [line for line in lines[start:end] if opcode(line)]
    classes = classify(body)
    mma = classes["mma"]
    others = len(body) - mma
    cycles = pipe_cycles(classes, body)
    # A scheduler's tensor core is busy for this long; in an SM there are four.
    tensor = mma * MMA_CYCLES / ISSUE
    cycles["tensor cores"] = tensor
    # As if no other warp's instructions were issued while a scheduler's tensor core works.
    alone = tensor / (tensor + others / ISSUE)
    bound = max(cycles.values())
    return {"count": len(body), "note": f", {mma} of them mma of {MMA_CYCLES:.0f} cycles; hidden behind other warps'"
            f" the share is {100 * tensor / bound:.0f} %", "classes": classes, "cycles": cycles,
            "figure": "share of the mma peak if nothing overlaps", "modelled": alone * PEAK / 1e12, "limit": PEAK / 1e12,
            "percent": 100 * alone, "listing": body}


def model_vector(lines, loops):
    """Weights that are streamed: the innermost loop that loads them, and its part of the loop around it."""
    def streams(loop):
        return sum("LDG.E.NA" in line for line in lines[loop[0] : loop[1]])

    inner = min((loop for loop in loops if streams(loop)), key=lambda loop: (loop[1] - loop[0]))
    body = [line for line in lines[inner[0] : inner[1]] if opcode(line)]
    around = min((loop for loop in loops if loop[0] <= inner[0] and loop[1] >= inner[1] and loop != inner),
                 key=lambda loop: loop[1] - loop[0], default=inner)
    # A piece of 2,048 of k is two steps of 1,024; what prefetches ahead of the steps counts as around them.
    steps = 2
    outside = [line for at, line in enumerate(lines[around[0] : around[1]], around[0])
               if opcode(line) and not inner[0] <= at < inner[1]]
    classes, beside = classify(body), classify(outside)
    loads = streams(inner)
    for name, count in beside.items():
        classes[name] += count / steps
    cycles = pipe_cycles(classes, body)
    weights_bytes = loads * 16 * WARP
    # Absmax and the like are a few percent; they are left out on both sides.
    reached = weights_bytes / max(cycles.values())
    share = min(1.0, reached / STEP_OF_BYTES)
    return {"count": len(body), "note": f" and {len(outside)} around {steps} passes, for {loads} loads of 16 bytes per lane;"
            f" {max(cycles, key=cycles.get)} comes first: {2 * reached:.1f} nibbles per clock and SM,"
            f" {2 * STEP_OF_BYTES:.1f} are the bandwidth", "classes": classes, "cycles": cycles,
            "figure": "GB/s that instructions allow", "modelled": min(reached * SMS * CLOCK / 1e9, 1e5),
            "limit": BANDWIDTH / 1e9, "percent": 100 * share, "listing": body}


def pipe_cycles(classes, body):
    """Cycles of an SM that a warp's pass through the loop takes of each unit."""
    everything = sum(classes.values())
    wavefronts = sum(count * size for count, size in (
        (sum("LDS" in line and "128" not in line and "64" not in line and "LDSM" not in line for line in body), 1),
        (sum("LDS.64" in line or "LDS.U.64" in line for line in body), 2),
        (sum("LDS" in line and "128" in line for line in body), 4),
        (sum("LDSM" in line for line in body), 4),
        (sum("STS" in line for line in body), 4),
    ))
    return {
        "issuing": everything / ISSUE,
        "integers and roundings": sum(classes[name] for name in NARROW) * WARP / INTEGER,
        "special functions": classes["special"] * WARP / CONVERSION,
        "shared memory": float(wavefronts),
    }


def classify(body):
    classes = Counter()
    for line in body:
        code = opcode(line)
        for name, pattern in CLASSES:
            if re.match(pattern, code):
                classes[name] += 1
                break
        else:
            classes["other"] += 1
            print(f"unknown: {code}", file=sys.stderr)
    return classes


def find_loops(lines):
    """(first, behind last) of every stretch that a branch goes back over."""
    labels = {line.strip().rstrip(":"): at for at, line in enumerate(lines) if line.strip().startswith(".L")}
    loops = []
    for at, line in enumerate(lines):
        found = re.search(r"\bBRA.*`\((\.L\w+)\)", line)
        if found and labels.get(found[1], at) < at:
            loops.append((labels[found[1]], at + 1))
    return loops


def opcode(line):
    found = re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", line)
    return found[1] if found else None


def disassemble(cubin, kernel):
    tool = os.environ.get("NVDISASM") or shutil.which("nvdisasm")
    if not tool:
        sys.exit("no nvdisasm: pip install nvidia-cuda-nvdisasm==13.5.37, then NVDISASM=.../nvidia/cu13/bin/nvdisasm")
    run = subprocess.run([tool, "-c", str(cubin)], capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr)
    text = run.stdout.split("\n")
    starts = [at for at, line in enumerate(text) if line.startswith(".text.")]
    for at, end in zip(starts, [*starts[1:], len(text)]):
        if text[at] == f".text.{kernel}:":
            return text[at:end]
    sys.exit(f"{cubin} has no {kernel}")


main()
