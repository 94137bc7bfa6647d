"""What a step found: rows, as CSV and as JSON, written at once when the step is done."""

import csv
import datetime
import io
import json
import os
from pathlib import Path

from suite import places


class StepFailed(Exception):
    """A step that ran to its end and found something wrong."""


def write_atomically(path, text):
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    data = text if isinstance(text, bytes) else text.encode()
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def header(step):
    """What every result says of where it comes from."""
    device = json.loads(os.environ.get("SREK_GPU_DEVICE", "{}"))
    return {
        "step": step,
        "device": device.get("name"),
        "sm": device.get("sm"),
        "driver": device.get("driver"),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": places.commit(),
        "command": os.environ.get("SREK_GPU_COMMAND", ""),
    }


class Recorder:
    """Collects a step's rows. A row with ok = False fails the step at its end."""

    def __init__(self, out, step):
        self.out, self.step, self.rows = Path(out), step, []

    def add(self, **row):
        self.rows.append(row)
        words = "  ".join(f"{key} {shown(value)}" for key, value in row.items() if key != "ok" and value is not None)
        print(("FAIL  " if row.get("ok") is False else "") + words, flush=True)

    def table(self):
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        text = io.StringIO()
        first = header(self.step)
        for key in ("device", "driver", "date", "commit", "command"):
            text.write(f"# {key}: {first[key]}\n")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: shown(value) for key, value in row.items()} for row in self.rows)
        return text.getvalue()

    def finish(self, summary):
        """Writes the result; raises StepFailed where a row says that something is wrong."""
        bad = [row for row in self.rows if row.get("ok") is False]
        if bad:
            words = " ".join(str(shown(value)) for key, value in bad[0].items() if key != "ok" and value is not None)
            raise StepFailed(f"{len(bad)} of {len(self.rows)} rows are wrong, the first: {words[:200]}")
        write_atomically(self.out / f"{self.step}.csv", self.table())
        result = {**header(self.step), "summary": summary, "rows": self.rows}
        write_atomically(self.out / f"{self.step}.json", json.dumps(result, indent=1, default=str) + "\n")
        (self.out / f"{self.step}.failed.json").unlink(missing_ok=True)


def fail(out, step, device, words, rows=None):
    """Notes a failure beside the results; a step's own note, which has its rows, stays."""
    path = Path(out) / f"{step}.failed.json"
    if rows is None and path.exists() and json.loads(path.read_text()).get("error") == words:
        return
    result = {**header(step), "device": device.get("name"), "error": words, "rows": rows or []}
    write_atomically(path, json.dumps(result, indent=1, default=str) + "\n")


def shown(value):
    if isinstance(value, float):
        return f"{value:.6g}"
    return value
