"""The contenders: each is a function that runs once and gives what was seen. Those of a rate give tokens, megabytes or
parameters a second, the others seconds or a share, as their work in works.py says."""

import json
import os
import re
import tempfile

import measure
from measure import Failed, Seen
from place import HERE, MEGABYTES, PROJECT

# Transparent huge pages, and large blocks that stay with the process: the harder bar.
MALLOC = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=4294967296"
# Tokens of a document in the data sets that are built.
CONTEXT = 4096
# Bytes of embeddings that are not the head, too: of them a token reads a row. 32 weights of Q4_0 take 18 bytes.
UNREAD = {("8B", "Q4_0"): 128256 * 4096 * 18 // 32}
PROMPT = "The pod was evicted because"


class Contenders:
    def __init__(self, place):
        self.place = place

    # Of `srek bench`: decoding, reading a prompt, a training step.

    def srek(self, shape, what, *options, threads=None, repeats=2):
        def once():
            ran = measure.run(self.place.srek, "bench", "--model", self.place.stored(shape), "--head", "q8", "--threads",
                              threads or self.place.threads, "--repeats", repeats, "--json", *options)
            row = next(row for row in ran.json()["rows"] if row["command"].startswith(what))
            planned = sum(row.get(f"plan_{space}_bytes", 0) for space in ["device", "pinned", "mapped", "host"])
            return Seen(row["tokens_per_second"], ran.peak_bytes, row["bytes"] / row["median_seconds"], planned)
        return once

    def srek_answer(self, shape, prompt_tokens, answer_tokens):
        """Seconds from the start of the program to its end, with an answer to a prompt of about so many tokens."""
        def once():
            with tempfile.NamedTemporaryFile("w", suffix=".txt") as prompt:
                # A token a word, and one for the begin mark.
                prompt.write(PROMPT if prompt_tokens is None else "pod" + " pod" * (prompt_tokens - 2))
                prompt.flush()
                ran = measure.run(self.place.srek, "generate", "--model", self.place.stored(shape), "--tokenizer",
                                  self.place.tokenizer(), "--prompt-file", prompt.name, "--max-tokens", answer_tokens,
                                  "--temperature", 0, "--threads", self.place.threads, "--json")
            said = ran.json()
            note = f"{said['prompt_tokens']} + {said['completion_tokens']} tokens"
            return Seen(ran.seconds, ran.peak_bytes, planned_bytes=said["planned_bytes"] + said["mapped_bytes"], note=note)
        return once

    def llama(self, shape, quant, *options, amx=True):
        def once():
            ran = measure.run(self.place.llama("llama-bench", amx), "-m", self.place.gguf(shape, quant), "-t",
                              self.place.threads, "-r", 2, "-o", "json", *options)
            row = json.loads(ran.out)[0]
            decoded = row["avg_ts"] if row["n_gen"] else 0
            return Seen(row["avg_ts"], ran.peak_bytes, decoded * (row["model_size"] - UNREAD.get((shape, quant), 0)))
        return once

    def llama_answer(self, shape, quant, *options, amx=True):
        def once():
            ran = measure.run(self.place.llama("llama-completion", amx), "-m", self.place.gguf(shape, quant), "-t",
                              self.place.threads, "-c", 512, "-n", 1, "-p", PROMPT, "--temp", 0, "--no-warmup",
                              "-no-cnv", *options)
            return Seen(ran.seconds, ran.peak_bytes)
        return once

    def candle(self, work, shape, quant):
        def once():
            ran = measure.run(self.place.candle(), work, self.place.gguf(shape, quant), 2,
                              environment={"RAYON_NUM_THREADS": str(self.place.threads)})
            return Seen(ran.json()["tokens_per_second"], ran.peak_bytes)
        return once

    def torch(self, work, shape, *options, amx=True, tuned=True):
        def once():
            environment = {"HF_HUB_OFFLINE": "1"}
            if tuned:
                environment["GLIBC_TUNABLES"] = MALLOC
            if not amx:
                environment["ONEDNN_MAX_CPU_ISA"] = "AVX512_CORE_BF16"
            ran = measure.run(self.place.python, HERE / "with_torch.py", work, self.place.checkpoint(shape), "--threads",
                              self.place.threads, *options, environment=environment)
            return Seen(ran.json()["tokens_per_second"], ran.peak_bytes)
        return once

    # Text to packed tokens.

    def srek_text(self, threads):
        def once():
            tokenizer, text = self.place.tokenizer(), self.place.text()
            with tempfile.TemporaryDirectory(dir=self.place.here) as out:
                ran = measure.run(self.place.srek, "data", "build", "--input", text, "--tokenizer", tokenizer, "--context",
                                  CONTEXT, "--long", "split", "--duplicates", "keep", "--threads", threads, "--json",
                                  "--out", f"{out}/data")
            return Seen(MEGABYTES / ran.seconds, ran.peak_bytes, note=f"{ran.json()['tokens']} tokens")
        return once

    def tokenizers(self, threads):
        def once():
            tokenizer, text = self.place.tokenizer(), self.place.text()
            with tempfile.NamedTemporaryFile(dir=self.place.here) as out:
                ran = measure.run(self.place.python, HERE / "with_tokenizers.py", tokenizer, text, out.name, CONTEXT,
                                  environment={"RAYON_NUM_THREADS": str(threads)})
            said = ran.json()
            return Seen(said["megabytes_per_second"], ran.peak_bytes, note=f"{said['tokens']} tokens")
        return once

    # The optimizer, and the products by themselves: programs of `cargo bench`.

    def bench(self, package, name):
        target = os.environ.get("CARGO_TARGET_DIR", self.place.srek.parents[1])
        return measure.run("cargo", "bench", "--locked", "-p", package, "--bench", name, cwd=PROJECT, environment={
            "CARGO_TARGET_DIR": str(target), "RAYON_NUM_THREADS": str(self.place.threads)})

    def srek_adamw(self):
        out = self.bench("ops", "adamw").out
        found = re.search(r"(\d+) parameters: ([\d.]+) ms .*?([\d.]+) GB/s", out)
        if not found:
            raise Failed("the benchmark printed something else")
        parameters, milliseconds, rate = (float(number) for number in found.groups())
        return Seen(parameters / milliseconds / 1e3, 0, rate * 1e9)

    def torch_adamw(self):
        ran = measure.run(self.place.python, HERE / "with_torch.py", "adamw", "none", "--threads", self.place.threads,
                          environment={"GLIBC_TUNABLES": MALLOC})
        said = ran.json()
        return Seen(said["parameters_per_second"] / 1e6, ran.peak_bytes, said["bytes_per_second"])

    def products(self, names):
        """The shares of the bf16 peak in these products and in their gradients. One run of the benchmark gives all of
        them, and each is given out once."""
        seen = {}

        def run():
            out = self.bench("quant", "products").out
            for name in names:
                line = next((line for line in out.splitlines() if line.startswith("bf16") and f" {name} " in line), "")
                shares = re.findall(r"\(\s*(\d+) %\)", line)
                if len(shares) != 2:
                    raise Failed(f"the benchmark prints no shares of {name}")
                seen[name, "y = x W"], seen[name, "dx = dy W"] = (int(share) / 100 for share in shares)

        def once(key):
            if key not in seen:
                run()
            return Seen(seen.pop(key))

        return [(f"srek {name}: {side}", lambda key=(name, side): once(key))
                for name in names for side in ["y = x W", "dx = dy W"]]
