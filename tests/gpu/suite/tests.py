"""Tests of what needs no device: python -m suite.tests."""

import json
import math
import re
import tempfile
import unittest
from pathlib import Path

import torch

from suite import binaries, checkpoint, counter, device, places, record, shape8b, weights


class Numbers(unittest.TestCase):
    def test_the_counter_is_that_of_the_kernels_tests(self):
        # By bench.cpp's arithmetic, in whole numbers.
        def bits(seed, index):
            value, most = seed * counter.FIRST + index, (1 << 64) - 1
            value &= most
            value = (value ^ value >> 30) * counter.SECOND & most
            value = (value ^ value >> 27) * counter.THIRD & most
            return (value ^ value >> 31) >> 32

        self.assertEqual(counter.bits(7, 100).tolist(), [bits(7, i) for i in range(100)])
        self.assertTrue(math.isclose(counter.uniform(3, 1000).mean().item(), 0, abs_tol=0.1))

    def test_weights_decode_by_their_definition(self):
        for weight in (weights.Source("cpu", 1).nf4(4, 128), weights.Source("cpu", 1).nf4(4, 128, doubled=False)):
            got, scales = weight.decoded(), weight.scales()
            for row, column in ((0, 0), (1, 77), (3, 127)):
                at = row * 128 + column
                byte = weight.codes[at // 2].item()
                level = weights.LEVELS[byte & 15 if at % 2 else byte >> 4]
                want = (torch.tensor(level) * scales[at // 64]).bfloat16()
                self.assertEqual(got[row, column], want)

    def test_the_map_of_scales_is_that_of_bitsandbytes(self):
        values = checkpoint.dynamic_map()
        self.assertEqual((len(values), values[127].item(), values[-1].item()), (256, 0.0, 1.0))
        self.assertAlmostEqual(values[0].item(), -0.99296874, places=7)


class Probes(unittest.TestCase):
    def test_every_instruction_has_a_probe(self):
        # A function whose two compilers see different things.
        text = (places.ROOT / "kernels/common.cuh").read_text()
        probes = (places.ROOT / "kernels/tests/probe.cu").read_text()
        parts = [part for part in re.split(r"^(?=DEVICE )", text, flags=re.M) if part.startswith("DEVICE ")]
        both = [part for part in parts if "#ifdef SREK_EMULATED" in part]
        found = {re.match(r"DEVICE [\w ]*?(\w+)\(", part)[1] for part in both}
        self.assertGreaterEqual(found, {"pack_bf16", "start_copy16", "multiply_add", "shuffle_xor"})
        missing = [name for name in found if not re.search(rf"\b{name}\b", probes)]
        # Called by what a probe calls.
        missing = sorted(set(missing) - {"float_of_bits", "sync_block"})
        self.assertEqual(missing, [], "kernels/tests/probe.cu and suite/cases.py have no case for these")


class Launching(unittest.TestCase):
    def test_arguments_have_the_sizes_and_kinds_of_the_kernel(self):
        kernel = device.table()["rms_norm_forward_bf16"]
        self.assertEqual(kernel.floats, (False,) * 5 + (True,))
        with self.assertRaises(TypeError):
            device.pack_one("k", 0, 1, 4, True)
        with self.assertRaises(TypeError):
            device.pack_one("k", 0, 1.0, 4, False)
        with self.assertRaises(ValueError):
            device.pack_one("k", 0, torch.zeros(4, 4).T[:, :2], 8, False)


class Results(unittest.TestCase):
    def test_a_result_is_written_only_when_nothing_is_wrong(self):
        with tempfile.TemporaryDirectory() as folder:
            good, bad = record.Recorder(folder, "good"), record.Recorder(folder, "bad")
            good.rows.append({"what": "x", "ok": True})
            bad.rows += [{"what": "x", "ok": True}, {"what": "y", "ok": False}]
            good.finish("fine")
            with self.assertRaises(record.StepFailed):
                bad.finish("fine")
            self.assertEqual(json.loads((Path(folder) / "good.json").read_text())["summary"], "fine")
            self.assertFalse((Path(folder) / "bad.json").exists())

    def test_answers_of_programs_are_read(self):
        self.assertEqual(shape8b.answer('noise\n{"rows": [{"a": 1}]}\n'), [{"a": 1}])
        with self.assertRaises(record.StepFailed):
            shape8b.answer("{}")
        lines = "test a::b ... ok\ntest c ... FAILED\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured\n"
        self.assertEqual(binaries.LINE.findall(lines), [("a::b", "ok"), ("c", "FAILED")])
        self.assertEqual(binaries.TOTAL.search(lines).groups(), ("FAILED", "1", "1", "0"))

    def test_a_name_of_a_device_is_one_of_a_folder(self):
        self.assertEqual(places.plain_name("NVIDIA GeForce RTX 3060"), "nvidia-geforce-rtx-3060")


class Checkpoints(unittest.TestCase):
    def test_a_header_says_where_every_tensor_lies(self):
        with tempfile.TemporaryDirectory() as folder:
            checkpoint.write(folder, checkpoint.TINY)
            data = (Path(folder) / "model.safetensors").read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        header.pop("__metadata__")
        ends = sorted(entry["data_offsets"] for entry in header.values())
        self.assertEqual(ends[-1][1], len(data) - 8 - size)
        self.assertTrue(all(one[1] == two[0] for one, two in zip(ends, ends[1:])))


if __name__ == "__main__":
    unittest.main()
