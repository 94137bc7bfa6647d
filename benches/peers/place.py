"""Where the peers and their models are; makes what is missing, and leaves alone what is there."""

import pathlib
import subprocess
import sys

import measure

PROJECT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ("numpy==2.4.6 torch==2.9.1 transformers==4.57.3 peft==0.18.0 bitsandbytes==0.50.2 safetensors==0.8.0 "
            "accelerate==1.15.0 gguf==0.19.0 cmake==4.4.5 ninja==1.13.2").split()
LLAMA = "llama-cpp-python==0.3.36"
LLAMA_TOOLS = ["llama-bench", "llama-quantize", "llama-completion"]
# What `srek quantize --random` calls these shapes.
PUBLISHED = {"8B": "llama3.1-8b"}
MEGABYTES = 200


def sh(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, **options)


class Place:
    def __init__(self, here, srek, threads, markdown):
        self.here, self.srek, self.threads, self.markdown = here, srek, threads, markdown
        self.tools = here / "venv/bin"
        self.python = self.tools / "python"

    def install_python(self):
        """The environment, whole or not at all: the mark is made last."""
        done = self.here / "venv/installed"
        if done.exists() and done.read_text() == " ".join(PACKAGES):
            return
        self.here.mkdir(parents=True, exist_ok=True)
        if not self.python.exists():
            sh(sys.executable, "-m", "venv", self.here / "venv")
        sh(self.python, "-m", "pip", "install", "-q", *PACKAGES)
        done.write_text(" ".join(PACKAGES))

    def llama_sources(self):
        source = self.here / "llama.cpp"
        if source.exists():
            return source
        sh(self.python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary",
           "llama-cpp-python", LLAMA, cwd=self.here)
        archive = next(self.here.glob("llama_cpp_python-*.tar.gz"))
        sh("tar", "xzf", archive, cwd=self.here)
        (self.here / archive.name.removesuffix(".tar.gz") / "vendor/llama.cpp").rename(source)
        return source

    def llama(self, tool, amx=True):
        """A program of llama.cpp, built for this machine; without AMX if asked, which dies there in some formats."""
        source = self.llama_sources()
        build = source / ("build" if amx else "build-noamx")
        if not (build / "bin" / tool).exists():
            without = "" if amx else "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
            sh(self.tools / "cmake", "-S", source, "-B", build, "-G", "Ninja",
               f"-DCMAKE_MAKE_PROGRAM={self.tools / 'ninja'}", "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON",
               f"-DCMAKE_C_FLAGS={without}", f"-DCMAKE_CXX_FLAGS={without}", "-DLLAMA_CURL=OFF",
               "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_SERVER=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF")
            sh(self.tools / "cmake", "--build", build, "--target", *LLAMA_TOOLS)
        return build / "bin" / tool

    def candle(self):
        """Our few lines around candle, built for this machine."""
        program = self.here / "candle/release/with-candle"
        if not program.exists():
            measure.run("cargo", "build", "--release", "--locked", "--manifest-path", HERE / "candle/Cargo.toml",
                        "--target-dir", self.here / "candle", environment={"RUSTFLAGS": "-C target-cpu=native"})
        return program

    def made(self, name, *command, inside=""):
        """A file or directory of models/ that this command writes, its place in the stead of `None`."""
        path = self.here / "models" / name
        if not (path / inside).exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(path.name + ".making")
            sh(*(part if word is None else word for word in command), stdout=sys.stderr)
            part.rename(path)
        return path

    def checkpoint(self, shape):
        return self.made(shape, self.python, HERE / "make_model.py", shape, None)

    def stored(self, shape):
        """Our base. That of a large shape is random from the start, with its head in 8 bits."""
        if shape in PUBLISHED:
            return self.made(f"{shape}-nf4", self.srek, "quantize", "--random", PUBLISHED[shape], "--embedding", "q8",
                             "--out", None)
        return self.made(f"{shape}-nf4", self.srek, "quantize", "--model", self.checkpoint(shape), "--out", None)

    def gguf(self, shape, quant):
        name = f"{shape}-{quant}.gguf"
        if shape in PUBLISHED:
            return self.made(name, self.python, HERE / "make_gguf.py", "--random", shape, self.vocabulary(), None)
        if quant == "BF16":
            return self.made(name, self.python, HERE / "make_gguf.py", self.checkpoint(shape), None)
        return self.made(name, self.llama("llama-quantize"), self.gguf(shape, "BF16"), None, quant, self.threads)

    def vocabulary(self):
        """That of Llama 3, which llama.cpp's sources bring."""
        return self.llama_sources() / "models/ggml-vocab-llama-bpe.gguf"

    def tokenizer(self):
        return self.made("llama3.tokenizer.json", self.python, HERE / "make_tokenizer.py", self.vocabulary(), None)

    def text(self):
        if not self.markdown.is_dir():
            raise measure.Failed(f"there is no {self.markdown}: name Markdown with --markdown")
        return self.made(f"markdown-{MEGABYTES}", self.python, HERE / "make_text.py", self.markdown, None, MEGABYTES)

    def probe(self):
        """The machine's peaks at this moment."""
        return measure.run(self.srek, "doctor", "--threads", self.threads, "--json").json()
