"""Runs steps, each in a process of its own, so that a fault of one leaves the others a working device."""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from suite import places, record

STEPS = {
    "micro": "every instruction of common.cuh on random bits, against its host meaning; writes goldens",
    "kernels": "every kernel against PyTorch",
    "sanitizer": "every kernel at small sizes under compute-sanitizer",
    "peaks": "what this device can do at most",
    "times": "every kernel's time beside that, and PyTorch's",
    "tiny": "srek trains sre-tiny: twice the same bits, and near the processor's losses",
    "shape8b": "srek bench on a random checkpoint of the Llama 3.1 8B shape",
    "peers": "PEFT, transformers and, where they are, bitsandbytes and Unsloth on that shape",
    "tests": "the carried test binaries of Rust",
}
EMULATED = ("micro", "kernels", "tiny")
# A step that takes longer is stopped: on lent devices a command may run for ten minutes.
LONGEST = 540


def parse():
    text = "\n".join(f"  {name:10} {what}" for name, what in STEPS.items())
    parser = argparse.ArgumentParser(prog="tests/gpu/run", epilog="steps, in this order:\n" + text,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="what tests/gpu/build made (default: .gpu-bundle)")
    parser.add_argument("--out", type=Path, help="where results go (default: benches/results/gpu/DEVICE)")
    parser.add_argument("--budget", type=float, default=float("inf"), help="start no step after so many seconds")
    parser.add_argument("--fresh", action="store_true", help="run steps again whose results are there")
    parser.add_argument("--emulated", type=Path, metavar="LIB.so", help="the emulated device instead, at tiny sizes")
    parser.add_argument("steps", nargs="*", metavar="STEP")
    options = parser.parse_args()
    for step in options.steps:
        if step not in STEPS:
            parser.error(f"no step {step}; there are {', '.join(STEPS)}")
        if options.emulated and step not in EMULATED:
            parser.error(f"the step {step} needs a real device")
    for path in (options.bundle, options.emulated):
        if path and not path.exists():
            parser.error(f"{path} is not there")
    return options


def ask(arguments, seconds):
    """Runs `python -m suite.one`, shows what it prints; gives its exit status and the last line."""
    command, last = [sys.executable, "-u", "-m", "suite.one", *map(str, arguments)], None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        stopped = []
        timer = threading.Timer(seconds, lambda: (stopped.append(True), end(process)))
        timer.start()
        try:
            for line in process.stdout:
                if last is not None:
                    print(last, flush=True)
                last = line.rstrip()
        except BaseException:
            end(process)
            raise
        finally:
            timer.cancel()
    if stopped:
        return 124, f"stopped after {seconds:.0f} s; last: {last}"
    if process.returncode < 0:
        return process.returncode, f"ended by signal {-process.returncode}; last: {last}"
    return process.returncode, last or ""


def end(process):
    """With what it started: a program that lives on would hold the device."""
    os.killpg(process.pid, signal.SIGKILL)


def identify(options):
    emulated = ["--emulated", options.emulated.resolve()] if options.emulated else []
    code, line = ask([*emulated, "identify"], 300)
    if code:
        print(f"tests/gpu/run: no device: {line or 'see above'}", file=sys.stderr)
        sys.exit(1)
    return json.loads(line), emulated


def run_step(step, device, options, emulated, out):
    """One line of the table: what became of a step."""
    done = out / f"{step}.json"
    if done.exists() and not options.fresh:
        return "done before", json.loads(done.read_text())["summary"], 0.0
    started = time.monotonic()
    print(f"== {step}: {STEPS[step]}", flush=True)
    bundle = ["--bundle", options.bundle.resolve()] if options.bundle else []
    goldens = [] if options.out or options.emulated else ["--goldens", places.ROOT / "kernels/tests/goldens"]
    code, line = ask([*emulated, *bundle, *goldens, "--out", out, step], LONGEST)
    seconds = time.monotonic() - started
    if code == 0:
        return "done", line, seconds
    record.fail(out, step, device, line)
    return "FAILED", line[:300], seconds


def main():
    options = parse()
    started = time.monotonic()
    device, emulated = identify(options)
    out = (options.out or places.ROOT / "benches/results/gpu" / places.plain_name(device["name"])).resolve()
    out.mkdir(parents=True, exist_ok=True)
    os.environ["SREK_GPU_COMMAND"] = " ".join(["tests/gpu/run", *sys.argv[1:]])
    os.environ["SREK_GPU_DEVICE"] = json.dumps(device)
    record.write_atomically(out / "device.json", json.dumps(device, indent=1) + "\n")
    rows = []
    for step in options.steps or (EMULATED[:2] if options.emulated else STEPS):
        if time.monotonic() - started >= options.budget:
            rows.append((step, "no time left", "", 0.0))
            continue
        rows.append((step, *run_step(step, device, options, emulated, out)))
    print(f"\n{device['name']}, driver {device['driver']}: {out}")
    for step, state, words, seconds in rows:
        print(f"{step:10} {state:12} {seconds:6.1f} s  {words}")
    sys.exit(1 if any(state == "FAILED" for _, state, _, _ in rows) else 0)


main()
