"""srek bench on the device, on a random checkpoint of the Llama 3.1 8B shape; the device's memory is watched beside it.

srek bench answers {"rows": [{...}]}; its rows are stored as they come. Of each command, what it took of the device at
most stands beside the plan's bytes: the greatest plan_device_bytes of its rows, and what srek doctor says a context costs.
"""

import json
import subprocess
import threading
import time

import torch

from suite import checkpoint, places
from suite.record import StepFailed

COMMANDS = (
    *[("--train", tokens, "--device-mib", "11520", "--repeats", repeats)
      for tokens, repeats in (("512", "3"), ("2048", "3"), ("8192", "1"), ("32768", "1"))],
    ("--depth", "0,4096,16384", "--head", "q8", "--adapter", "ADAPTER", "--repeats", "2"),
)
LONGEST = 330  # seconds of each; two steps of 32,768 tokens are 206 on a 3060 at best
POLL = 0.05


class Watch:
    """The least free memory of the device while a block runs. This process's own share is there before and after."""

    def __enter__(self):
        torch.cuda.mem_get_info()
        self.before = self.least = torch.cuda.mem_get_info()[0]
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.poll)
        self.thread.start()
        return self

    def poll(self):
        while not self.stop.wait(POLL):
            self.least = min(self.least, torch.cuda.mem_get_info()[0])

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def taken(self):
        return self.before - self.least


def answer(text):
    """The JSON object among what a command printed."""
    for line in reversed(text.strip().splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and isinstance(found.get("rows"), list):
            return found["rows"]
    raise StepFailed("srek bench printed no JSON with rows")


def bench(srek, model, more, seconds=LONGEST, device=("--gpu", "0")):
    """The rows, or the first words of the error."""
    command = [str(srek), "bench", *device, "--model", str(model), *more, "--json"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None, f"not done after {seconds} s"
    if ran.returncode:
        errors = [line for line in ran.stderr.splitlines() if line.startswith("error")] or ran.stderr.splitlines()[-1:]
        return None, f"ended with {ran.returncode}: {' '.join(errors)[:300]}"
    try:
        return answer(ran.stdout), None
    except StepFailed as error:
        return None, str(error)


def context_bytes(srek):
    """What a context took of the device when srek doctor opened it; 0 where it does not tell."""
    ran = subprocess.run([str(srek), "doctor", "--json"], capture_output=True, text=True, timeout=LONGEST, check=True)
    found = json.loads(ran.stdout)["gpu"]["found"]
    return (found[0].get("context_bytes") if found else None) or 0


def report(recorder, what, answered, context, taken):
    """A command's rows as they came, its memory and, where it failed, why."""
    rows, error = answered
    for row in rows or []:
        recorder.rows.append({"command": what, **row})
        print(json.dumps(row), flush=True)
        if row.get("error"):
            recorder.add(command=what, error=str(row["error"]), ok=False)
    planned = max((row["plan_device_bytes"] for row in rows or []), default=0)
    share = (taken - context) / planned if planned else None
    recorder.add(command=what, taken_bytes=taken, context_bytes=context, planned_bytes=planned, taken_of_plan=share, error=error,
                 ok=error is None and bool(rows) and (share is None or share <= 1.01))


def run(recorder, options):
    srek = places.program(options.bundle, "srek")
    if not srek:
        raise StepFailed("no bundle with bin/srek: tests/gpu/build makes one")
    started = time.monotonic()
    model = checkpoint.kept(checkpoint.LLAMA_8B, "shape8b", "cuda")
    adapter = checkpoint.write_adapter(model.parent / f"{model.name}-adapter", checkpoint.LLAMA_8B, on="cuda")
    torch.cuda.empty_cache()
    context = context_bytes(srek)
    size = (model / "model.safetensors").stat().st_size
    recorder.add(what="checkpoint", bytes=size, seconds=time.monotonic() - started)
    for more in COMMANDS:
        with Watch() as watch:
            answered = bench(srek, model, [str(adapter) if word == "ADAPTER" else word for word in more])
        report(recorder, " ".join(more), answered, context, watch.taken())
    taken = max(row.get("taken_bytes", 0) for row in recorder.rows)
    return f"{len(recorder.rows)} rows; at most {taken / 2**30:.2f} GiB of the device"
