"""Every kernel at small sizes under compute-sanitizer: memcheck, and racecheck for shared memory."""

import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = ("memcheck", "racecheck")
LONGEST = 240


def find():
    here = shutil.which("compute-sanitizer")
    usual = Path("/usr/local/cuda/bin/compute-sanitizer")
    return here or (str(usual) if usual.exists() else None)


def watch(sanitizer, tool):
    """Whether it found nothing, and its last words."""
    # torch asks the driver for what it may not have: that is no error of a kernel.
    own = ["--report-api-errors", "no"] if tool == "memcheck" else []
    command = [sanitizer, "--tool", tool, *own, "--error-exitcode", "9", sys.executable, "-m", "suite.launches"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        return False, f"not done after {LONGEST} s"
    lines = [line.strip() for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
    found = [line for line in lines if line.startswith("=========")]
    words = [line.lstrip("= ") for line in found if "SUMMARY" in line] or found[:3] or lines[-2:]
    launched = any("kernels launched" in line for line in lines)
    return ran.returncode == 0 and launched, "; ".join(words)[:300]


def run(recorder, options):
    sanitizer = find()
    if not sanitizer:
        recorder.add(tool="compute-sanitizer", result="not installed")
        return "compute-sanitizer is not installed"
    for tool in TOOLS:
        fine, words = watch(sanitizer, tool)
        recorder.add(tool=tool, result=words, ok=fine)
    return ", ".join(f"{row['tool']}: {row['result']}" for row in recorder.rows)
