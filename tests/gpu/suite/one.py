"""Runs one step in this process: python -m suite.one [--emulated LIB] [--bundle DIR] --out DIR STEP.

The last line printed is the step's summary, or the first words of its error.
"""

import argparse
import importlib
import json
import os
import sys
import traceback
from pathlib import Path

from suite import device as devices
from suite import record

MODULES = {"tests": "binaries"}  # named otherwise than their step


def main():
    parser = argparse.ArgumentParser()
    for name in ("--emulated", "--bundle", "--out", "--goldens"):
        parser.add_argument(name, type=Path)
    parser.add_argument("step")
    options = parser.parse_args()
    if options.step == "identify":
        try:
            print(json.dumps(devices.open_device(options.emulated).identity()))
        except (OSError, RuntimeError) as error:
            print(error)
            return 1
        return 0
    recorder = record.Recorder(options.out, options.step)
    try:
        module = importlib.import_module(f"suite.{MODULES.get(options.step, options.step)}")
        summary = module.run(recorder, options)
        recorder.finish(summary)
        print(summary, flush=True)
        return 0
    except Exception as error:
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        if not isinstance(error, record.StepFailed):
            traceback.print_exc()
        named = json.loads(os.environ.get("SREK_GPU_DEVICE", "{}"))
        record.fail(options.out, options.step, named, words, recorder.rows)
        print(words, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
