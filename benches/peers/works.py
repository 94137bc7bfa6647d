"""What is compared: for each work its unit, and its contenders, of which the first is ours."""

import dataclasses

import measure
from contenders import Contenders

QUANTS = ["Q4_0", "IQ4_NL", "Q4_K_M", "Q8_0"]
# Tokens of the steps whose times are compared with each other.
LENGTHS = [128, 256, 512, 1024, 2048, 4096, 8192]
# Tokens that are decoded; `srek bench`, with_torch.py and candle/main.rs decode as many.
DECODED = 64
# Beyond this, a step of the 1B shape takes minutes on two cores.
MOST_1B = 2048
# Of benches/products.rs.
LARGE_PRODUCTS = ["1B gate", "1B down", "1B q", "8B q"]


@dataclasses.dataclass
class Work:
    name: str
    unit: str
    # Name and function of each.
    contenders: list
    # Whether more of the unit is better.
    more: bool = True


def builds(name, once):
    """With and without AMX, on machines that have it."""
    yield name, once(True)
    if measure.has_amx():
        yield f"{name} without AMX", once(False)


def works(place):
    give = Contenders(place)
    found = [*serving(give), *training(give), *large(give), *others(give), *scaling(give)]
    return {work.name: work for work in found}


def serving(give):
    def llama(quants, *options):
        for quant in quants:
            yield from builds(f"llama.cpp {quant}", lambda amx, quant=quant: give.llama("1B", quant, *options, amx=amx))

    def torch(name, *options):
        yield from builds(name, lambda amx: give.torch(*options, amx=amx))

    yield Work("decode 1B", "tokens/s", [
        ("srek NF4", give.srek("1B", "decode", "--depth", 1)),
        *llama(QUANTS, "-p", 0, "-n", DECODED),
        ("candle Q4_K_M", give.candle("decode", "1B", "Q4_K_M")),
        *torch("PyTorch bf16", "decode", "1B"),
        *torch("bitsandbytes NF4", "decode", "1B", "--nf4"),
    ])
    yield Work("decode 1B at 4096", "tokens/s", [
        ("srek NF4", give.srek("1B", "decode", "--depth", 4096, repeats=1)),
        *llama(QUANTS[:3], "-p", 0, "-n", DECODED, "-d", 4096, "-r", 1),
    ])
    yield Work("prefill 1B", "tokens/s", [
        ("srek NF4", give.srek("1B", "prefill", "--depth", 512)),
        *llama([*QUANTS, "BF16"], "-p", 512, "-n", 0),
        ("candle Q4_K_M", give.candle("prefill", "1B", "Q4_K_M")),
        *torch("PyTorch bf16", "prefill", "1B"),
        *torch("bitsandbytes NF4", "prefill", "1B", "--nf4"),
    ])
    # Activations in 8 bits, as llama.cpp has them.
    yield Work("decode 1B int8", "tokens/s", [
        ("srek NF4 int8", give.srek("1B", "decode", "--depth", 1, "--numerics", "int8")),
        *llama(QUANTS[:3], "-p", 0, "-n", DECODED),
    ])
    yield Work("prefill 1B int8", "tokens/s", [
        ("srek NF4 int8", give.srek("1B", "prefill", "--depth", 512, "--numerics", "int8")),
        *llama(QUANTS[:1], "-p", 512, "-n", 0),
    ])


def training(give):
    def peft(shape, *options):
        for name, form in [("PEFT bf16", []), ("PEFT + bitsandbytes NF4", ["--nf4"])]:
            yield from builds(f"{name}, tuned malloc",
                              lambda amx, form=form: give.torch("train", shape, *form, *options, amx=amx))
            yield f"{name}, default malloc", give.torch("train", shape, *form, *options, tuned=False)

    yield Work("train 1B", "tokens/s", [("srek NF4", give.srek("1B", "train", "--train", 512, repeats=1)),
                                        *peft("1B", "--repeats", 1)])
    yield Work("train small", "tokens/s", [("srek NF4", give.srek("small", "train", "--train", "8x256")),
                                           *peft("small", "--documents", 8, "--tokens", 256)])


def large(give):
    """The 8B shape: its speed, and the memory of serving and tuning it, in columns of their own."""
    for name, numerics in [("", "bf16"), (" int8", "int8")]:
        yield Work(f"decode 8B{name}", "tokens/s", [
            (f"srek NF4{name}", give.srek("8B", "decode", "--depth", 1, "--numerics", numerics, repeats=1)),
            *builds("llama.cpp Q4_0", lambda amx: give.llama("8B", "Q4_0", "-p", 0, "-n", DECODED, "-r", 1, amx=amx)),
        ])
    yield Work("first token 8B", "s", [
        ("srek NF4", give.srek_answer("8B", None, 1)),
        *builds("llama.cpp Q4_0", lambda amx: give.llama_answer("8B", "Q4_0", amx=amx)),
        *builds("llama.cpp Q4_0, no map", lambda amx: give.llama_answer("8B", "Q4_0", "-lm", "none", amx=amx)),
    ], more=False)
    yield Work("answer 8B at 4096", "s", [("srek NF4", give.srek_answer("8B", 4096 - 64, 64))], more=False)
    # Five steps after a first one.
    yield Work("train 8B", "tokens/s", [("srek NF4", give.srek("8B", "train", "--train", 512, repeats=5))])


def others(give):
    for threads, name in [(2, "text"), (1, "text on one thread")]:
        yield Work(name, "MB/s", [("srek data build", give.srek_text(threads)),
                                  ("tokenizers", give.tokenizers(threads))])
    yield Work("AdamW", "M parameters/s", [("srek", give.srek_adamw), ("PyTorch fused", give.torch_adamw)])
    yield Work("large products", "share of bf16 peak", give.products(LARGE_PRODUCTS))


def scaling(give):
    """Ours beside itself: how a step's time grows with its tokens, and shrinks with threads."""
    for shape, most in [("small", max(LENGTHS)), ("1B", MOST_1B)]:
        yield Work(f"scaling {shape}", "tokens/s", [
            (f"srek T {length}", give.srek(shape, "train", "--train", length, repeats=1))
            for length in LENGTHS if length <= most])
    yield Work("scaling threads", "tokens/s", [
        (f"srek, {threads} thread{'s' * (threads > 1)}",
         give.srek("small", "train", "--train", "8x256", threads=threads)) for threads in [2, 1]])
