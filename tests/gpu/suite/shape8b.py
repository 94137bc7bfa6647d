"""srek bench on the device, on a random checkpoint of the Llama 3.1 8B shape; the device's memory is watched beside it.

srek bench answers {"rows": [{...}]}; its rows are stored as they come. Of each command, what it took of the device at
most stands beside the plan's bytes (plan_device_bytes + context_bytes of its rows, where they are named so).
"""

import json
import subprocess
import threading
import time

import torch

from suite import checkpoint, places
from suite.record import StepFailed

COMMANDS = (("--train", "512,2048,8192,32768", "--device-mib", "11520"), ("--depth", "0,4096,16384"))
LONGEST = 230  # seconds of each
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


def report(recorder, what, rows, error, taken):
    """A command's rows as they came, its memory and, where it failed, why."""
    for row in rows or []:
        recorder.rows.append({"command": what, **row})
        print(json.dumps(row), flush=True)
        if row.get("error"):
            recorder.add(command=what, error=str(row["error"]), ok=False)
    planned = [row.get("plan_device_bytes", 0) + row.get("context_bytes", 0) for row in rows or []]
    most = max(planned, default=0) or None
    recorder.add(command=what, taken_bytes=taken, planned_bytes=most, taken_of_plan=taken / most if most else None, error=error,
                 ok=error is None and bool(rows))


def run(recorder, options):
    srek = places.program(options.bundle, "srek")
    if not srek:
        raise StepFailed("no bundle with bin/srek: tests/gpu/build makes one")
    started = time.monotonic()
    model = checkpoint.kept(checkpoint.LLAMA_8B, "shape8b", "cuda")
    torch.cuda.empty_cache()
    size = (model / "model.safetensors").stat().st_size
    recorder.add(what="checkpoint", bytes=size, seconds=time.monotonic() - started)
    for more in COMMANDS:
        with Watch() as watch:
            rows, error = bench(srek, model, more)
        report(recorder, " ".join(more), rows, error, watch.taken())
    taken = max(row.get("taken_bytes", 0) for row in recorder.rows)
    return f"{len(recorder.rows)} rows; at most {taken / 2**30:.2f} GiB of the device"
