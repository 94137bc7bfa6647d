"""llama.cpp: it takes the adapters and models that srek exports, and srek reads the models that it quantizes.

Random weights have flat logits, so perplexities are those of two trained models: sre-tiny, whose 384 columns llama.cpp
cannot hold in K-quants and stores otherwise, and one of 256 columns that is trained here for some seconds.
"""

import json
import shutil

from common import GOLDENS, ROOT, apart, compare

import gguf_files
import llama_cpp_library as llama_cpp
import make_llama
import numpy
import torch
from bitsandbytes import functional
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

TINY = ROOT / "models/sre-tiny"
TEXTS = ("datasets/general.md", "README.md")
LENGTH, LISTS = 256, 8
VARIANTS = ("plain", "scaled", "plain_tied", "scaled_tied", "narrow")
PRETRAIN = """
seed = 1
[model]
tokenizer = "TOKENIZER"
numerics = "bf16"
[model.new]
hidden = 256
ffn = 768
layers = 3
heads = 4
kv_heads = 2
context = 256
tied = true
[data]
directory = "corpus"
[batch]
tokens = 1024
[schedule]
epochs = 12
learning_rate = 3e-3
warmup_steps = 10
"""

torch.set_num_threads(2)


def dense_tiny(out):
    """sre-tiny with all weights decoded: projections by bitsandbytes, the embedding as docs/formats.md says."""
    out.mkdir()
    config = json.loads((TINY / "config.json").read_text())
    del config["srek_quantization"]
    (out / "config.json").write_text(json.dumps(config))
    shutil.copy(TINY / "tokenizer.json", out)
    stored, weights = load_file(TINY / "model.safetensors"), {}
    for key, value in stored.items():
        if f"{key}.scales" in stored:
            weights[key] = (value.float().reshape(-1, 64) * stored[f"{key}.scales"][:, None]).reshape(value.shape)
        elif f"{key}.absmax" in stored:
            state = {k.removeprefix(f"{key}."): v for k, v in stored.items() if k.startswith(f"{key}.")}
            state = functional.QuantState.from_dict(state, device="cpu")
            state.dtype = torch.float32
            weights[key] = functional.dequantize_4bit(value, state).reshape(state.shape)
        elif ".weight." not in key:
            weights[key] = value
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    return out


def trained(srek):
    """A model that all K-quants fit, trained on what it is measured on, so that it is sure of something."""
    tokenizer = TINY / "tokenizer.json"
    srek.must("data", "build", "--input", "texts", "--tokenizer", tokenizer, "--context", LENGTH, "--long", "split",
              "--out", "corpus")
    (srek.room / "pretrain.toml").write_text(PRETRAIN.replace("TOKENIZER", str(tokenizer)))
    srek.must("pretrain", "pretrain.toml", "--out", "pretrained")
    return srek.room / "pretrained/model"


def write_texts(srek):
    """Prose, of which sre-tiny knows little, and records of incidents, which it has learned to read."""
    for name in TEXTS:
        shutil.copy(ROOT / name, srek.room / "texts")
    srek.must("lab", "corpus", "--documents", 12, "--seed", 987, "--out", "corpus.jsonl")
    records = map(json.loads, (srek.room / "corpus.jsonl").read_text().splitlines())
    text = "\n\n".join(record["text"] for record in records if "text" in record)
    (srek.room / "texts/incidents.md").write_text(text)


def lists(room):
    """Of both as many lists of LENGTH ids, each behind the begin mark."""
    tokenizer = Tokenizer.from_file(str(TINY / "tokenizer.json"))
    begin, width, found = tokenizer.token_to_id("<|begin_of_text|>"), LENGTH - 1, []
    for names in ([ROOT / name for name in TEXTS], [room / "texts/incidents.md"]):
        text = "\n\n".join(path.read_text() for path in names)
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert len(ids) >= LISTS * width, len(ids)
        found += [[begin, *ids[i * width:(i + 1) * width]] for i in range(LISTS)]
    return found


def perplexity(logits, ids):
    """Over all ids but each list's first."""
    logits = torch.from_numpy(numpy.ascontiguousarray(logits[:, :-1])).double()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(ids)[:, 1:].flatten()).exp().item()


def transformers_logits(directory, ids, adapter=None):
    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    model = model if adapter is None else PeftModel.from_pretrained(model, adapter)
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor(ids), use_cache=False).logits.numpy()


def llama_logits(path, ids, adapter=None):
    with llama_cpp.Model(path, adapter) as model:
        return model.logits(ids)


def same_text(table, what, found, expected, ids):
    """Perplexities within half a percent, and nearly always the same most probable token."""
    a, b = perplexity(found, ids), perplexity(expected, ids)
    share = (found[:, :-1].argmax(-1) == expected[:, :-1].argmax(-1)).mean()
    table.row(what, f"perplexity {a:.3f} and {b:.3f}, same first token {100 * share:.2f} %", "0.5 % apart, 98 %",
              bool(abs(a / b - 1) <= 0.005 and share >= 0.98))


def adapters(table, srek):
    """`srek export --format gguf-lora` over a base in f32."""
    worst = {}
    for variant in VARIANTS:
        golden = GOLDENS / "llama" / variant
        base = gguf_files.write(srek.room / f"{variant}.gguf", golden / "model")
        ids = json.loads((golden / "ids.json").read_text())
        most, _ = apart(llama_logits(base, ids), transformers_logits(golden / "model", ids))
        worst["base alone"] = max(worst.get("base alone", 0), most)
        for name in ("adapter", "adapter_mixed"):
            out = srek.room / f"{variant}-{name}.gguf"
            srek.must("export", "--model", golden / "model", "--adapter", golden / name, "--format", "gguf-lora",
                      "--out", out)
            found = llama_logits(base, ids, out)
            most, _ = apart(found, transformers_logits(golden / "model", ids, golden / name))
            worst[name] = max(worst.get(name, 0), most)
            ours = srek.logits(golden / "model", ids, "--adapter", golden / name, "--numerics", "f32")
            worst[f"{name}, srek's"] = max(worst.get(f"{name}, srek's", 0), apart(found, ours)[0])
    rows = (("base alone", "the base alone, logits from transformers'"),
            ("adapter", "gguf-lora over it, logits from PEFT's"),
            ("adapter, srek's", "gguf-lora over it, logits from srek's"),
            ("adapter_mixed", "gguf-lora with rsLoRA, ranks and alphas of its own, logits from PEFT's"),
            ("adapter_mixed, srek's", "likewise, logits from srek's"))
    for key, what in rows:
        table.below(f"5 models with random weights in f32, {what}", worst[key], 1e-4)


def slight_adapter(directory, model):
    """An adapter that changes a trained model a little."""
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=list(make_llama.PROJECTIONS))
    make_llama.write_adapter(directory, model, config, torch.Generator().manual_seed(5))
    weights = load_file(directory / "adapter_model.safetensors")
    weights = {key: 0.05 * value if "lora_B" in key else value for key, value in weights.items()}
    save_file(weights, directory / "adapter_model.safetensors", metadata={"format": "pt"})
    return directory


def exports(table, srek, name, model, dense, ids):
    """`srek export --format gguf-*` of base and adapter against both served here."""
    adapter = slight_adapter(srek.room / f"{name}-adapter", dense)
    served = srek.logits(model, ids, "--adapter", adapter, "--numerics", "f32")
    for form in ("gguf-f16", "gguf-q8_0", "gguf-q4_k"):
        what = f"{name}: `export --format {form}` in llama.cpp"
        if not srek.has("export", form):
            table.row(what, "not yet", "", "not yet")
            continue
        srek.must("export", "--model", model, "--adapter", adapter, "--format", form, "--out", f"{name}-{form}")
        out = srek.room / f"{name}-{form}/model.gguf"
        with llama_cpp.Model(out) as loaded:
            found = loaded.logits(ids)
            same = loaded.tokens((ROOT / TEXTS[0]).read_text())
        tokenizer = Tokenizer.from_file(str(TINY / "tokenizer.json"))
        expected = tokenizer.encode((ROOT / TEXTS[0]).read_text(), add_special_tokens=False).ids
        table.row(f"{what}: tokens of a text", f"{len(same)} and {len(expected)}", "the same", same == expected)
        if form != "gguf-q4_k":
            same_text(table, f"{what} ({gguf_files.types(out)}) and srek before", found, served, ids)
            continue
        # Four bits more of loss are not an error of the file: what it says must be computed, and as well as
        # llama.cpp would have said it.
        decoded = gguf_files.decode(srek.room / f"{name}-{form}-decoded", out, dense)
        same_text(table, f"{what} ({gguf_files.types(out)}) and its weights in transformers", found,
                  transformers_logits(decoded, ids), ids)
        merged = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(dense), adapter).merge_and_unload()
        directory = srek.room / f"{name}-merged"
        merged.save_pretrained(directory)
        base = gguf_files.write(srek.room / f"{name}-merged.gguf", directory, TINY / "tokenizer.json")
        theirs = llama_cpp.quantize(base, srek.room / f"{name}-theirs.gguf", "Q4_K_M")
        theirs = llama_logits(theirs, ids)
        ours, others = perplexity(found, ids), perplexity(theirs, ids)
        table.below(f"{what}: perplexity over that of llama.cpp's own Q4_K_M", ours / others, 1.03,
                    f" ({ours:.3f} and {others:.3f}; {perplexity(served, ids):.3f} before)")


def refusal(srek, path):
    """What srek says when it does not take a model; nothing if it does."""
    (srek.room / "ids.json").write_text("[[0, 1]]")
    code, _, error = srek.run("logits", "--model", path, "--ids", "ids.json", "--out", "first.safetensors")
    return " ".join(error.replace(f"{srek.room}/", "").split()) if code != 0 else ""


def reads(table, srek, name, dense, ids):
    """Models that llama.cpp quantizes, in srek. The weights in transformers say how far llama.cpp is from them."""
    base = gguf_files.write(srek.room / f"{name}.gguf", dense, TINY / "tokenizer.json")
    whole = transformers_logits(dense, ids)
    most, _ = apart(llama_logits(base, ids), whole)
    table.below(f"{name}: f32 GGUF in llama.cpp, logits from transformers'", most, 1e-4)
    if not refusal(srek, base):
        most, _ = apart(srek.logits(base, ids, "--numerics", "f32"), whole)
        table.below(f"{name}: f32 GGUF in srek, logits from transformers'", most, 1e-4)
    else:
        table.row(f"{name}: f32 GGUF in srek", "not yet", "", "not yet")
    for kind in llama_cpp.FTYPES:
        path = llama_cpp.quantize(base, srek.room / f"{name}-{kind}.gguf", kind)
        types = gguf_files.types(path)
        theirs = llama_logits(path, ids)
        expected = transformers_logits(gguf_files.decode(srek.room / f"{name}-{kind}", path, dense), ids)
        what = f"{name}: {kind} of llama.cpp ({types})"
        same_text(table, f"{what} there, and its weights in transformers", theirs, expected, ids)
        problem = refusal(srek, path)
        if problem:
            # Whatever no srek reads that reads no GGUF.
            table.row(f"{what} in srek", problem, "", "not yet" if refusal(srek, base) else False)
            continue
        found = srek.logits(path, ids, "--numerics", "f32")
        same_text(table, f"{what} in srek, and in llama.cpp", found, theirs, ids)
        most, _ = apart(found, expected)
        table.below(f"{what} in srek, logits from those of its weights in transformers", most, 1e-4)


def comparison(table, srek):
    adapters(table, srek)
    (srek.room / "texts").mkdir()
    write_texts(srek)
    ids = lists(srek.room)
    tiny, small = dense_tiny(srek.room / "tiny"), trained(srek)
    most, _ = apart(srek.logits(TINY, ids, "--numerics", "f32"), transformers_logits(tiny, ids))
    table.below("sre-tiny: srek's logits of the stored model from transformers' of the decoded", most, 1e-4)
    most, _ = apart(srek.logits(small, ids, "--numerics", "f32"), transformers_logits(small, ids))
    table.below("256 columns: srek's logits of what `srek pretrain` wrote from transformers'", most, 1e-4)
    for name, model, dense in (("sre-tiny", TINY, tiny), ("256 columns", small, small)):
        exports(table, srek, name, model, dense, ids)
        reads(table, srek, name, dense, ids)


compare("llamacpp", comparison)
