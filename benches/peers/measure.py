"""Runs programs, with the time that they took and the most memory that they had; and says what the machine is."""

import dataclasses
import json
import os
import pathlib
import subprocess
import tempfile
import time


class Failed(Exception):
    """Why a contender has no number."""


@dataclasses.dataclass
class Ran:
    out: str
    seconds: float
    peak_bytes: int

    def json(self):
        """The last line, which is an object."""
        return json.loads(self.out.strip().splitlines()[-1])


@dataclasses.dataclass
class Seen:
    """What a contender's run gave, in the unit of its work."""

    value: float
    peak_bytes: int = 0
    # What was read and written a second, where that is known.
    bytes_per_second: float = 0.0
    # The memory that it said it would take.
    planned_bytes: int = 0
    note: str = ""


def run(*command, environment=None, cwd=None):
    """Runs a program to its end. Its children's memory is not counted."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=errors, env={**os.environ, **(environment or {})}, cwd=cwd)
        out = process.stdout.read()
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        # Else the object would wait for a process that is gone.
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Failed(reason(process.returncode, errors))
    return Ran(out.decode(errors="replace"), seconds, usage.ru_maxrss * 1024)


def reason(code, errors):
    if code < 0:
        return f"killed by signal {-code}"
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return f"exit code {code}: {lines[-1] if lines else 'it said nothing'}"


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip().replace(",", " ")
    return "unknown"


def has_amx():
    return "amx_tile" in pathlib.Path("/proc/cpuinfo").read_text().split()
