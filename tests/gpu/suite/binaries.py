"""The test binaries of Rust that the bundle carries, on the real device (SREK_DEVICE=nvidia)."""

import os
import re
import subprocess

from suite import places

NAMES = "ops-device", "model-device"
LONGEST = 240
LINE = re.compile(r"^test (.+?) \.\.\. (ok|FAILED|ignored)", re.M)
TOTAL = re.compile(r"^test result: (\w+)\. (\d+) passed; (\d+) failed; (\d+) ignored", re.M)


def run_one(recorder, name, path):
    """A row per test; one more where the binary did not end as its tests did."""
    environment = {**os.environ, "SREK_DEVICE": "nvidia"}
    command = [str(path.resolve()), "device::", "--test-threads=1"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LONGEST, check=False, cwd=places.ROOT)
    except subprocess.TimeoutExpired:
        recorder.add(binary=name, test="all", result=f"not done after {LONGEST} s", ok=False)
        return
    for test, result in LINE.findall(ran.stdout):
        recorder.add(binary=name, test=test, result=result, ok=result != "FAILED")
    total = TOTAL.search(ran.stdout)
    words = total[0] if total else (ran.stdout + ran.stderr).strip()[-300:]
    recorder.add(binary=name, test="all", result=words, ok=ran.returncode == 0 and total is not None and int(total[2]) > 0)
    if ran.returncode:
        print(ran.stdout[-4000:], ran.stderr[-2000:], sep="\n", flush=True)


def run(recorder, options):
    for name in NAMES:
        path = places.program(options.bundle, name)
        if path:
            run_one(recorder, name, path)
        else:
            recorder.add(binary=name, test="all", result="not in the bundle")
    return "; ".join(f"{row['binary']}: {row['result']}" for row in recorder.rows if row["test"] == "all")
