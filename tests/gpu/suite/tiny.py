"""srek trains sre-tiny on the device: twice the same bits, and near the losses of the processor.

The bound on a loss is 1 % of it plus 0.5 % per step gone: both round activations to bf16, in other places and orders,
and the steps that follow differ by what the weights differ.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

from suite import places
from suite.record import StepFailed

RECIPE = """seed = 5
[model]
directory = "{model}"
numerics = "bf16"
[lora]
rank = 16
[data]
directory = "set"
[batch]
tokens = {tokens}
[schedule]
steps = {steps}
learning_rate = 1e-3
[checkpoint]
every = {every}
"""
SERVICES = "api", "cart", "db", "dns", "queue", "search"
FAULTS = "ran out of memory", "lost its lease", "served stale entries", "exceeded its quota", "could not be resolved"


def records():
    """A small deterministic data set about nothing real."""
    for i in range(60):
        service, fault = SERVICES[i % len(SERVICES)], FAULTS[i % len(FAULTS)]
        yield {"prompt": f"Pod {service}-{i} {fault} at 0{i % 10}:1{i % 6}. What should be looked at first?",
               "completion": f"The events of {service}-{i}: it {fault}, so its limits and its last change come first."}


class Room:
    """A folder, srek, and the device it is to use."""

    def __init__(self, folder, options):
        self.folder = Path(folder)
        self.srek = places.program(options.bundle, "srek")
        if not self.srek:
            raise StepFailed("no bundle with bin/srek: tests/gpu/build makes one")
        self.environment = dict(os.environ)
        if options.emulated:
            self.environment["SREK_EMULATED_DEVICE"] = str(options.emulated.resolve())

    def run(self, *arguments, seconds=400):
        ran = subprocess.run([self.srek.resolve(), *map(str, arguments)], cwd=self.folder, env=self.environment, text=True,
                             capture_output=True, timeout=seconds, check=False)
        if ran.returncode:
            lines = [line for line in ran.stderr.strip().splitlines() if line.startswith("error")] or ran.stderr.splitlines()[-1:]
            raise StepFailed(f"srek {arguments[0]} ended with {ran.returncode}: {' '.join(lines)[:300]}")
        return ran.stdout

    def json(self, *arguments, seconds=400):
        return json.loads(self.run(*arguments, "--json", seconds=seconds).strip().splitlines()[-1])


def train(room, out, *more):
    """The losses of a run, step by step."""
    room.run("train", "recipe.toml", "--out", out, *more)
    lines = [json.loads(line) for line in (room.folder / out / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line.get("event") == "step"]


def trained_files(folder):
    """What has to be equal bit by bit: adapters and moments, wherever they lie."""
    found = sorted(path for path in folder.rglob("*.safetensors"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def run(recorder, options):
    steps, tokens = (2, 128) if options.emulated else (20, 512)
    with tempfile.TemporaryDirectory() as folder:
        room = Room(folder, options)
        model = places.ROOT / "models/sre-tiny"
        (room.folder / "pairs.jsonl").write_text("".join(json.dumps(it) + "\n" for it in records()))
        room.run("data", "build", "--input", "pairs.jsonl", "--tokenizer", model / "tokenizer.json", "--context", tokens, "--out", "set")
        recipe = RECIPE.format(model=model, tokens=tokens, steps=steps, every=steps // 2)
        (room.folder / "recipe.toml").write_text(recipe)
        one, two = (train(room, name, "--gpu", "0") for name in ("one", "two"))
        processor = train(room, "processor")
        mine, again = trained_files(room.folder / "one"), trained_files(room.folder / "two")
    differ = [name for name in mine if mine[name] != again.get(name)]
    recorder.add(what="adapters and moments of two runs", files=len(mine), differ=len(differ), first=" ".join(differ[:1]) or None,
                 ok=len(mine) >= 3 and not differ and mine.keys() == again.keys())
    recorder.add(what="losses of two runs", steps=len(one), ok=one == two and len(one) == steps)
    for i, (device, host) in enumerate(zip(one, processor)):
        away, within = abs(device - host) / host, 0.01 + 0.005 * i
        recorder.add(what=f"step {i + 1}", device=device, processor=host, away=away, bound=within, ok=away <= within)
    recorder.add(what="losses of the processor", steps=len(processor), ok=len(processor) == steps)
    return f"{steps} steps: {one[0]:.4f} to {one[-1]:.4f} on the device, {processor[0]:.4f} to {processor[-1]:.4f} on the processor"
