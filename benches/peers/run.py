#!/usr/bin/env python3
"""Runs srek and its peers on one CPU, alternating, on equal shapes and threads, and writes one CSV.

Usage: benches/peers/run.py [--work NAME,...] [--rounds 3] [--threads 2] [--csv FILE] [--srek PROGRAM] [--here DIR]

Peers: llama.cpp (built from the sdist of llama-cpp-python), and PyTorch with transformers, PEFT and bitsandbytes. What they
need is installed below --here (default: the user's cache, srek/peers) the first time: a virtual environment of
about 7 GB, llama.cpp in about ten minutes on two cores, and models of random weights. Needs python3 with venv and
a C++ compiler.

In every round each contender of a work runs once, in turns, with a probe of the memory's bandwidth before it. What
is compared are medians over the rounds. PyTorch runs with transparent huge pages and a malloc that keeps large blocks
(GLIBC_TUNABLES), which is the harder bar; on machines with AMX it is also asked without (ONEDNN_MAX_CPU_ISA), since no
other contender uses it. A peer that dies is told and left out.
"""

import argparse
import csv
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ("numpy==2.4.6 torch==2.9.1 transformers==4.57.3 peft==0.18.0 bitsandbytes==0.50.2 safetensors==0.8.0 "
            "accelerate==1.15.0 gguf==0.19.0 cmake==4.4.5 ninja==1.13.2").split()
LLAMA = "llama-cpp-python==0.3.36"
MALLOC = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=4294967296"
QUANTS = ["Q4_0", "IQ4_NL", "Q4_K_M", "Q8_0"]


def sh(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, **options)


class Place:
    """Where peers and models are; makes what is missing."""

    def __init__(self, here, srek, threads):
        self.here, self.srek, self.threads = here, srek, threads
        self.python = here / "venv/bin/python"
        self.llama = here / "llama.cpp/build/bin"

    def install(self):
        self.here.mkdir(parents=True, exist_ok=True)
        if not self.python.exists():
            sh(sys.executable, "-m", "venv", self.here / "venv")
            sh(self.python, "-m", "pip", "install", "-q", *PACKAGES)
        if not (self.llama / "llama-quantize").exists():
            self.build_llama()

    def build_llama(self):
        source = self.here / "llama.cpp"
        if not source.exists():
            sh(self.python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "llama-cpp-python", LLAMA, cwd=self.here)
            archive = next(self.here.glob("llama_cpp_python-*.tar.gz"))
            sh("tar", "xzf", archive, cwd=self.here)
            folder = self.here / archive.name.removesuffix(".tar.gz")
            (folder / "vendor/llama.cpp").rename(source)
        tools = self.here / "venv/bin"
        sh(tools / "cmake", "-S", source, "-B", source / "build", "-G", "Ninja",
           f"-DCMAKE_MAKE_PROGRAM={tools / 'ninja'}", "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON",
           "-DLLAMA_CURL=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_SERVER=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF")
        sh(tools / "cmake", "--build", source / "build", "--target", "llama-bench", "llama-quantize")

    def checkpoint(self, shape):
        directory = self.here / "models" / shape
        if not (directory / "model.safetensors").exists():
            sh(self.python, PROJECT / "benches/peers/make_model.py", shape, directory)
        return directory

    def stored(self, shape):
        directory = self.here / "models" / f"{shape}-nf4"
        if not (directory / "model.safetensors").exists():
            sh(self.srek, "quantize", "--model", self.checkpoint(shape), "--out", directory)
        return directory

    def gguf(self, shape, quant):
        base = self.here / "models" / f"{shape}-BF16.gguf"
        if not base.exists():
            part = base.with_suffix(".part")
            sh(self.python, PROJECT / "benches/peers/make_gguf.py", self.checkpoint(shape), part)
            part.rename(base)
        if quant == "BF16":
            return base
        file = self.here / "models" / f"{shape}-{quant}.gguf"
        if not file.exists():
            part = file.with_suffix(".part")
            sh(self.llama / "llama-quantize", base, part, quant, self.threads, stdout=subprocess.DEVNULL,
               stderr=subprocess.DEVNULL)
            part.rename(file)
        return file

    def probe(self):
        out = sh(self.srek, "doctor", "--threads", self.threads, "--json", stdout=subprocess.PIPE,
                 stderr=subprocess.DEVNULL, text=True).stdout
        return json.loads(out.splitlines()[-1])

    # Contenders: functions that run once and give tokens per second.

    def ours(self, shape, what, *options):
        def once():
            command = [self.srek, "bench", "--model", self.stored(shape), "--head", "q8", "--threads", self.threads,
                       "--repeats", 2, "--json", *options]
            out = sh(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
            rows = json.loads(out.splitlines()[-1])["rows"]
            return next(row["tokens_per_second"] for row in rows if row["command"].startswith(what))
        return once

    def llama_cpp(self, shape, quant, *options):
        def once():
            command = [self.llama / "llama-bench", "-m", self.gguf(shape, quant), "-t", self.threads, "-r", 2,
                       "-o", "json", *options]
            out = sh(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
            return json.loads(out)[0]["avg_ts"]
        return once

    def torch(self, shape, *options, amx=True):
        def once():
            environment = dict(os.environ, GLIBC_TUNABLES=MALLOC, HF_HUB_OFFLINE="1")
            if not amx:
                environment["ONEDNN_MAX_CPU_ISA"] = "AVX512_CORE_BF16"
            command = [self.python, PROJECT / "benches/peers/with_torch.py", options[0], self.checkpoint(shape),
                       "--threads", self.threads, *options[1:]]
            out = sh(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment).stdout
            return json.loads(out.splitlines()[-1])["tokens_per_second"]
        return once


def has_amx():
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    return "amx_bf16" in flags


def works(place):
    """For each work its contenders: name and function."""
    def torch(shape, name, *options):
        yield name, place.torch(shape, *options)
        if has_amx():
            yield name + " without AMX", place.torch(shape, *options, amx=False)

    found = {}
    for depth, name in [(0, "decode 1B"), (4096, "decode 1B at 4096")]:
        found[name] = [("srek NF4", place.ours("1B", "decode", "--depth", max(depth, 1)))]
        found[name] += [(f"llama.cpp {quant}", place.llama_cpp("1B", quant, "-p", 0, "-n", 32, "-d", depth))
                        for quant in (QUANTS if depth == 0 else QUANTS[:2])]
    found["decode 1B"] += [("PyTorch bf16", place.torch("1B", "decode")),
                           ("bitsandbytes NF4", place.torch("1B", "decode", "--nf4"))]
    found["prefill 1B"] = [("srek NF4", place.ours("1B", "prefill", "--depth", 512))]
    found["prefill 1B"] += [(f"llama.cpp {quant}", place.llama_cpp("1B", quant, "-p", 512, "-n", 0))
                            for quant in [*QUANTS, "BF16"]]
    found["prefill 1B"] += torch("1B", "PyTorch bf16", "prefill")
    found["train 1B"] = [("srek NF4", place.ours("1B", "train", "--train", 512))]
    found["train 1B"] += torch("1B", "PEFT bf16", "train", "--repeats", 1)
    found["train 1B"] += torch("1B", "PEFT + bitsandbytes NF4", "train", "--nf4", "--repeats", 1)
    found["train small"] = [("srek NF4", place.ours("small", "train", "--train", "8x256"))]
    found["train small"] += torch("small", "PEFT bf16", "train", "--documents", 8, "--tokens", 256)
    found["train small"] += torch("small", "PEFT + bitsandbytes NF4", "train", "--nf4", "--documents", 8,
                                  "--tokens", 256)
    return found


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip().replace(",", " ")
    return "unknown"


def commit():
    out = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    return out.stdout.strip() or "unknown"


def main():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", cache / "srek/target"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default="all", help="names as in the CSV, joined by commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--csv", type=pathlib.Path, default=PROJECT / "benches/results/peers.csv")
    parser.add_argument("--srek", type=pathlib.Path, default=target / "release/srek")
    parser.add_argument("--here", type=pathlib.Path, default=cache / "srek/peers")
    args = parser.parse_args()
    if not args.srek.exists():
        sys.exit(f"there is no {args.srek}\nhint: cargo build --release, or --srek PROGRAM")
    place = Place(args.here, args.srek, args.threads)
    chosen = works(place)
    if args.work != "all":
        unknown = set(args.work.split(",")) - set(chosen)
        if unknown:
            sys.exit(f"no work {sorted(unknown)}\nhint: one of {', '.join(chosen)}")
        chosen = {name: chosen[name] for name in args.work.split(",")}
    place.install()
    new = not args.csv.exists()
    with open(args.csv, "a", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        if new:
            out.writerow(["date", "commit", "machine", "threads", "work", "contender", "rounds", "median_tokens_per_second",
                          "lowest", "highest", "srek_over_it", "probe_gb_per_second", "bf16_gflops"])
        for work, contenders in chosen.items():
            died = {}
            rates = {name: [] for name, _ in contenders}
            probes = {name: [] for name, _ in contenders}
            for round_ in range(args.rounds):
                for name, once in contenders:
                    if name in died:
                        continue
                    probes[name].append(place.probe())
                    try:
                        rates[name].append(once())
                    except subprocess.CalledProcessError as problem:
                        died[name] = f"ended with {problem.returncode}"
                        print(f"{work}, {name}: {died[name]}", file=sys.stderr, flush=True)
                        continue
                    print(f"{work}, round {round_ + 1}, {name}: {rates[name][-1]:.1f} tokens/s, memory "
                          f"{probes[name][-1]['read_bytes_per_second'] / 1e9:.1f} GB/s", file=sys.stderr, flush=True)
            ours = statistics.median(rates[contenders[0][0]])
            for name, reason in died.items():
                print(f"{work:20} {name:36} {reason}", flush=True)
            for name, seen in rates.items():
                if name in died:
                    continue
                middle = statistics.median(seen)
                probe = statistics.median(it["read_bytes_per_second"] for it in probes[name]) / 1e9
                peak = statistics.median(it["bf16_flops"] for it in probes[name]) / 1e9
                out.writerow([datetime.date.today(), commit(), processor(), args.threads, work, name, args.rounds,
                              f"{middle:.1f}", f"{min(seen):.1f}", f"{max(seen):.1f}", f"{ours / middle:.2f}",
                              f"{probe:.1f}", f"{peak:.0f}"])
                print(f"{work:20} {name:36} {middle:9.1f} tokens/s   srek is {ours / middle:5.2f} x", flush=True)
            file.flush()


if __name__ == "__main__":
    main()
