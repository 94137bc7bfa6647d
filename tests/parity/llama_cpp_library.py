"""llama.cpp through its C interface: logits of given ids, adapters, quantization, tokens."""

import ctypes

import numpy
from llama_cpp import llama_cpp as library

# Two would wait for each other in a busy loop, which is slow where others use the processor, too.
THREADS = 1
FTYPES = {"Q4_0": library.LLAMA_FTYPE_MOSTLY_Q4_0, "Q4_K_M": library.LLAMA_FTYPE_MOSTLY_Q4_K_M,
          "Q5_K_M": library.LLAMA_FTYPE_MOSTLY_Q5_K_M, "Q6_K": library.LLAMA_FTYPE_MOSTLY_Q6_K,
          "Q8_0": library.LLAMA_FTYPE_MOSTLY_Q8_0}


# Kept, because the library keeps no reference to it.
@library.llama_log_callback
def quiet(_level, _text, _data):
    pass


library.llama_log_set(quiet, ctypes.c_void_p(0))
library.llama_backend_init()


class Model:
    """A loaded GGUF, with an adapter if one is given."""

    def __init__(self, path, adapter=None):
        settings = library.llama_model_default_params()
        settings.n_gpu_layers = 0
        self.model = library.llama_model_load_from_file(str(path).encode(), settings)
        assert self.model, f"llama.cpp does not load {path}"
        self.vocabulary = library.llama_model_get_vocab(self.model)
        self.adapter = None
        if adapter is not None:
            self.adapter = library.llama_adapter_lora_init(self.model, str(adapter).encode())
            assert self.adapter, f"llama.cpp does not load {adapter}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        library.llama_model_free(self.model)

    def logits(self, lists):
        """(lists, ids, V): each list by itself, keys and values in f32."""
        longest = max(map(len, lists))
        settings = library.llama_context_default_params()
        settings.n_ctx = settings.n_batch = settings.n_ubatch = longest
        settings.n_threads = settings.n_threads_batch = THREADS
        settings.type_k = settings.type_v = library.GGML_TYPE_F32
        settings.flash_attn_type = library.LLAMA_FLASH_ATTN_TYPE_DISABLED
        context = library.llama_init_from_model(self.model, settings)
        assert context, "llama.cpp makes no context"
        if self.adapter is not None:
            adapters, scales = (library.llama_adapter_lora_p_ctypes * 1)(self.adapter), (ctypes.c_float * 1)(1.0)
            assert library.llama_set_adapters_lora(context, adapters, 1, scales) == 0
        try:
            return numpy.stack([self.of_one(context, ids, longest) for ids in lists])
        finally:
            library.llama_free(context)

    def of_one(self, context, ids, room):
        library.llama_memory_clear(library.llama_get_memory(context), True)
        batch = library.llama_batch_init(room, 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, i, 1, 0
            batch.logits[i] = True
        code = library.llama_decode(context, batch)
        library.llama_batch_free(batch)
        assert code == 0, f"llama_decode: {code}"
        size = library.llama_vocab_n_tokens(self.vocabulary)
        return numpy.ctypeslib.as_array(library.llama_get_logits(context), (len(ids), size)).copy()

    def tokens(self, text):
        """The ids of a text, special tokens neither added nor found."""
        data = text.encode()
        room = (library.llama_token * (len(data) + 1))()
        count = library.llama_tokenize(self.vocabulary, data, len(data), room, len(room), False, False)
        assert count >= 0, count
        return list(room[:count])


def quantize(path, out, kind):
    """What `llama-quantize` does."""
    settings = library.llama_model_quantize_default_params()
    settings.nthread, settings.ftype = THREADS, FTYPES[kind]
    code = library.llama_model_quantize(str(path).encode(), str(out).encode(), ctypes.byref(settings))
    assert code == 0, f"llama_model_quantize: {code}"
    return out
