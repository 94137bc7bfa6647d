"""Every instruction of common.cuh on the device, against two host meanings: torch's, and the emulated device's.

What came out is kept as goldens, which kernels/tests/meanings.cpp compares with: kernels/tests/goldens/<sm>/.
"""

import hashlib
import json
from pathlib import Path

import torch

from suite import cases, meanings, places, record
from suite.device import Call, open_device


def perform(device, case):
    """The outputs of a case, as words on the processor. Run twice: the bits have to be equal."""
    results = []
    for _ in range(2):
        to = [output.before.clone().to(device.torch_device) for output in case.outputs]
        inputs = [words.to(device.torch_device) for words in case.inputs]
        more = (case.n,) if case.n else ()
        device.run(Call(case.kernel, (case.blocks,), (*inputs, *to, *more)))
        device.sync()
        results.append([words.cpu() for words in to])
    for output, one, two in zip(case.outputs, *results):
        if not torch.equal(one, two):
            raise record.StepFailed(f"{case.name}.{output.name}: two launches differ")
    return results[0]


def is_nan(words):
    return words & 0x7FFFFFFF > 0x7F800000


def differing(rule, got, want, known=None):
    """Which words differ by the rule."""
    wrong = got != want
    if rule == cases.NAN:
        wrong &= ~(is_nan(got) & is_nan(want))
    if known is not None:
        wrong &= known
    return wrong.nonzero().flatten()


def compare(recorder, case, output, got, against, want, known=None):
    bad = differing(output.rule, got, want, known)
    row = {"case": case.name, "output": output.name, "against": against, "words": len(got), "differ": len(bad)}
    if len(bad):
        mine, theirs = (int(words[bad[0]]) & 0xFFFFFFFF for words in (got, want))
        row["first"] = f"[{int(bad[0])}] {mine:08x}, expected {theirs:08x}"
    recorder.add(**row, ok=not len(bad))


def judge(recorder, case, got):
    """Against the definitions."""
    known = meanings.wanted(case)
    for output, words in zip(case.outputs, got):
        if output.name in known:
            compare(recorder, case, output, words, "definition", *known[output.name])
    if case.outputs[0].rule == cases.SUMS:
        exact, within = meanings.sums(*case.inputs, case.outputs[0].before)
        share = ((meanings.single(got[0]).double() - exact).abs() / within).nan_to_num(torch.inf).max().item()
        recorder.add(case=case.name, output="c", against="exact sums", words=len(got[0]), share_of_bound=share, ok=share <= 1)
    if case.kernel == "probe_numbers":
        for (name, (want, allowed, counts)), words in zip(meanings.near(case, case.inputs[0]).items(), got):
            away = ((meanings.single(words).double() - want).abs() / want.abs().clamp_min(1e-300))[counts]
            share = (away.nan_to_num(torch.inf).max() / allowed).item()
            recorder.add(case=case.name, output=name, against="f64", words=len(away), share_of_bound=share, ok=share <= 1)


def keep(folder, case, got):
    """Writes a case's outputs; gives what the list of goldens says of them."""
    listed = []
    for output, words in zip(case.outputs, got):
        data = bytes(words.view(torch.uint8).tolist())
        name = f"{case.name}.{output.name}.bin"
        record.write_atomically(folder / name, data)
        listed.append({"file": name, "rule": output.rule, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    return listed


def host_of(recorder, device, options):
    """The emulated device beside a real one, where the bundle has it and this system can load it."""
    library = places.emulated_library(options.bundle)
    if device.is_emulated or not library:
        return None
    try:
        return open_device(library)
    except OSError as error:
        recorder.add(case="emulated device", against="none", first=f"cannot be loaded: {error}")
        return None


def run(recorder, options):
    device = open_device(options.emulated)
    sm = device.identity()["sm"]
    host = host_of(recorder, device, options)
    folder = Path(options.goldens or options.out / "goldens") / sm
    folder.mkdir(parents=True, exist_ok=True)
    listed = {}
    for case in cases.every():
        got = perform(device, case)
        judge(recorder, case, got)
        if host:
            for output, mine, theirs in zip(case.outputs, got, perform(host, case)):
                if output.rule != cases.SUMS:
                    compare(recorder, case, output, mine, "emulated", theirs)
        listed[case.name] = {"kernel": case.kernel, "outputs": keep(folder, case, got)}
    record.write_atomically(folder / "goldens.json", json.dumps({**record.header("micro"), "cases": listed}, indent=1) + "\n")
    beside = "torch and the emulated device" if host else "torch"
    return f"{len(listed)} cases against {beside}; goldens in {folder.name}"
