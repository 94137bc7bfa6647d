#!/usr/bin/env python3
"""Runs srek and its peers on one CPU, alternating, on equal shapes and threads, and writes one CSV.

Usage: benches/peers/run.py [--only NAME,...] [--against NAME,...] [--rounds 3] [--threads 2] [--csv FILE] [--srek PROGRAM] [--here DIR]
       benches/peers/run.py --list

Peers: llama.cpp (built from the sdist of llama-cpp-python), candle, PyTorch with transformers, PEFT and bitsandbytes,
and tokenizers. What they need is made below --here (default: the user's cache, srek/peers) the first time that it is
needed: a virtual environment of 7 GB, llama.cpp in ten minutes on two cores, and models of random weights, 20 GB in
all. Needs python3 with venv, a C++ compiler, cargo, and a directory of Markdown for the work `text` (--markdown).

In every round each contender of a work runs once, in turns, with a probe of the machine's peaks before it. What is
compared are medians over the rounds. PyTorch runs with transparent huge pages and a malloc that keeps large blocks,
mostly the harder bar, and training also without. On machines with AMX, peers are also asked without it: it makes
llama.cpp die in some formats. A contender that fails has a row with the reason in the stead of a number.
"""

import argparse
import csv
import datetime
import os
import pathlib
import statistics
import subprocess
import sys

import measure
from place import PROJECT, Place
from works import works

HEADING = ["date", "commit", "machine", "threads", "work", "contender", "rounds", "unit", "median", "lowest", "highest",
           "srek_over_it", "gb_per_second", "probe_gb_per_second", "probe_bf16_gflops", "peak_gib", "planned_gib", "note"]


def commit():
    out = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    return out.stdout.strip() or "unknown"


def log(*words):
    print(*words, file=sys.stderr, flush=True)


def compete(work, rounds, probe):
    """What was seen of each contender, the probes beside it, and why it failed if it did."""
    seen = {name: [] for name, _ in work.contenders}
    probes = {name: [] for name, _ in work.contenders}
    failed = {}
    for round_ in range(rounds):
        for name, once in work.contenders:
            if name in failed:
                continue
            try:
                before = probe()
                seen[name].append(once())
            except (measure.Failed, subprocess.CalledProcessError, OSError, LookupError, ValueError) as problem:
                failed[name] = str(problem)
                log(f"{work.name}, {name}: {problem}")
                continue
            probes[name].append(before)
            log(f"{work.name}, round {round_ + 1}, {name}: {seen[name][-1].value:.4g} {work.unit}, memory "
                f"{before['read_bytes_per_second'] / 1e9:.1f} GB/s")
    return seen, probes, failed


def median(values):
    return statistics.median(values)


def number(value, digits=3):
    """What is not known is 0 and has no number."""
    return f"{value:.{digits}f}" if value else ""


def rows(work, seen, probes, failed):
    ours = seen[work.contenders[0][0]]
    for name, _ in work.contenders:
        if name in failed:
            yield [name, 0, work.unit, *[""] * 9, failed[name].replace("\n", " ")[:200]]
            continue
        values = [it.value for it in seen[name]]
        of = lambda field: median([getattr(it, field) for it in seen[name]])
        peak = lambda field: median([it[field] for it in probes[name]]) / 1e9
        ratio = 0
        if ours:
            ratio = median([it.value for it in ours]) / median(values)
            ratio = ratio if work.more else 1 / ratio
        yield [name, len(values), work.unit, *(f"{it:.4g}" for it in [median(values), min(values), max(values)]),
               number(ratio), number(of("bytes_per_second") / 1e9, 1), number(peak("read_bytes_per_second"), 1),
               number(peak("bf16_flops"), 0), number(of("peak_bytes") / 2**30, 2), number(of("planned_bytes") / 2**30, 2),
               seen[name][-1].note]


def arguments():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", cache / "srek/target"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="NAME,...", help="these works")
    parser.add_argument("--against", default="", metavar="NAME,...", help="those beside the first whose names begin so")
    parser.add_argument("--list", action="store_true", help="print the names of all works and contenders")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--csv", type=pathlib.Path, default=PROJECT / "benches/results/peers.csv")
    parser.add_argument("--srek", type=pathlib.Path, default=target / "release/srek")
    parser.add_argument("--here", type=pathlib.Path, default=cache / "srek/peers")
    parser.add_argument("--markdown", type=pathlib.Path, default=PROJECT.parent / "shared/data")
    args = parser.parse_args()
    for name in ["rounds", "threads"]:
        if getattr(args, name) < 1:
            parser.error(f"--{name} is {getattr(args, name)}, expected 1 or more")
    return args


def main():
    args = arguments()
    place = Place(args.here.absolute(), args.srek.absolute(), args.threads, args.markdown.absolute())
    chosen = works(place)
    if args.list:
        for work in chosen.values():
            print(work.name, *(f"\n    {name}" for name, _ in work.contenders), sep="")
        return
    if args.only:
        unknown = set(args.only.split(",")) - set(chosen)
        if unknown:
            sys.exit(f"no work {sorted(unknown)}\nhint: one of {', '.join(chosen)}")
        chosen = {name: chosen[name] for name in args.only.split(",")}
    if args.against:
        wanted = args.against.split(",")
        for work in chosen.values():
            first, *others = work.contenders
            work.contenders = [first, *(it for it in others if it[0].startswith(tuple(wanted)))]
    if not os.access(args.srek, os.X_OK) or not args.srek.is_file():
        sys.exit(f"{args.srek} is no program\nhint: cargo build --release, or --srek PROGRAM")
    if args.csv.exists() and args.csv.read_text().split("\n", 1)[0] != ",".join(HEADING):
        sys.exit(f"{args.csv} has another heading\nhint: name a new file with --csv")
    place.install_python()
    new = not args.csv.exists()
    with open(args.csv, "a", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        if new:
            out.writerow(HEADING)
        for work in chosen.values():
            seen = compete(work, args.rounds, place.probe)
            for row in rows(work, *seen):
                out.writerow([datetime.date.today(), commit(), measure.processor(), args.threads, work.name, *row])
                print(f"{work.name:18} {row[0]:38} {row[3] or '-':>8} {work.unit}  srek is {row[6] or '-':>6} x  {row[-1]}",
                      flush=True)
            file.flush()


if __name__ == "__main__":
    main()
