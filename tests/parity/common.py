"""What the comparisons share: the table, calls of srek, models with random weights, data sets read back."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
GOLDENS = ROOT / "tests/goldens"
sys.path.insert(0, str(GOLDENS))


class Table:
    """Rows of the result; each is printed as soon as it is known."""

    def __init__(self, name):
        self.name, self.failed = name, False

    def row(self, what, number, limit, ok):
        """`ok` is whether it holds, or a word where that cannot be said."""
        self.failed |= ok is False
        cells = (self.name, what, number, limit, {True: "yes", False: "**no**"}.get(ok, ok))
        print("|", " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells), "|", flush=True)

    def below(self, what, number, limit, more=""):
        """A row for a number that must not be above a limit."""
        self.row(what, f"{number:.2g}{more}", f"{limit:g}", bool(number <= limit))

    def equal(self, what, same, of, unit=""):
        """A row for things that must all be the same."""
        self.row(what, f"{same} of {of}{unit}", "all", same == of and of > 0)


class Srek:
    """The program, run in a folder of its own."""

    def __init__(self, program, room):
        self.program, self.room = program, Path(room)

    def run(self, *arguments):
        """Exit code, standard output, standard error."""
        environment = dict(os.environ, XDG_CACHE_HOME=str(self.room / "cache"))
        done = subprocess.run([self.program, *map(str, arguments)], cwd=self.room, capture_output=True, text=True,
                              env=environment)
        return done.returncode, done.stdout, done.stderr

    def must(self, *arguments):
        code, output, error = self.run(*arguments)
        if code != 0:
            raise SystemExit(f"srek {' '.join(map(str, arguments))}: exit code {code}\n{error}")
        return output

    def logits(self, model, ids, *arguments):
        """(lists, ids, V) in f32; `ids` are lists of one length."""
        from safetensors.numpy import load_file

        (self.room / "ids.json").write_text(json.dumps(ids))
        self.must("logits", "--model", model, "--ids", "ids.json", "--out", "logits.safetensors", *arguments)
        return load_file(self.room / "logits.safetensors")["logits"]

    def has(self, command, *words):
        """Whether the command's help names all of these."""
        _, text, _ = self.run(command, "--help")
        return all(word in text for word in words)


def compare(name, comparison):
    """Runs a comparison with the table, the program and a folder; the exit code says whether all holds."""
    table = Table(name)
    with tempfile.TemporaryDirectory(prefix="srek-parity-") as room:
        comparison(table, Srek(sys.argv[1], room))
    sys.exit(1 if table.failed else 0)


def apart(found, expected):
    """Greatest and mean difference, both over the largest magnitude expected."""
    found, expected = numpy.asarray(found, numpy.float64), numpy.asarray(expected, numpy.float64)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    difference, largest = abs(found - expected), abs(expected).max()
    return difference.max() / largest, difference.mean() / largest


def random_model(directory, seed, dtype=None, **shape):
    """A Llama with random weights whose logits spread by about one, as transformers saves it."""
    import make_llama
    import torch
    from transformers import LlamaForCausalLM

    directory.mkdir(parents=True)
    make_llama.write_model(directory, shape, torch.Generator().manual_seed(seed))
    if dtype is not None:
        LlamaForCausalLM.from_pretrained(directory, dtype=dtype).save_pretrained(directory)
        (directory / "generation_config.json").unlink(missing_ok=True)
    return directory


def documents(directory):
    """The documents of a data set as (source, ids, labels), read as docs/formats.md describes shards."""
    for path in sorted(Path(directory).glob("*.shard")):
        data = path.read_bytes()
        head = numpy.frombuffer(data, "<u8", 15, 8)
        count, tokens, begins = int(head[3]), int(head[4]), head[7:14]
        assert data[:8] == b"srekdata" and head[0] == 2 and head[14] == len(data), path
        section = lambda number, kind, length: numpy.frombuffer(data, kind, length, int(begins[number]))
        ends, names = section(0, "<u8", count), section(3, "<u8", count)
        ids, labels = section(4, "<u4", tokens), section(5, "<i4", tokens)
        sources = data[int(begins[6]):int(begins[6]) + int(head[6])]
        start = name = 0
        for end, name_end in zip(map(int, ends), map(int, names)):
            yield sources[name:name_end].decode(), ids[start:end], labels[start:end]
            start, name = end, name_end
