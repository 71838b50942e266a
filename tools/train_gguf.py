"""Writes GGUF v3 files: metadata, tokenizer and f32 / f16 tensors."""

import struct

import numpy

ALIGNMENT = 32
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
TENSOR_F32, TENSOR_F16 = 0, 1
FILE_TYPE_F16 = 1  # general.file_type: mostly f16


def string(text):
    """A GGUF string: length and UTF-8 bytes."""
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    """The bytes of one value."""
    if kind == STRING:
        return string(value)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)


def entry(key, kind, value):
    """One key-value pair; a list makes an array of that kind."""
    head = string(key)
    if isinstance(value, list):
        items = b"".join(scalar(kind, item) for item in value)
        return head + struct.pack("<IIQ", ARRAY, kind, len(value)) + items
    return head + struct.pack("<I", kind) + scalar(kind, value)


def pad(size):
    """Zeros that bring a size up to the alignment."""
    return b"\0" * (-size % ALIGNMENT)


def write(path, entries, tensors):
    """Writes a file. entries: (key, kind, value); tensors: name to float32 or float16 array,
    outermost dimension first."""
    infos, data = b"", b""
    for name, array in tensors.items():
        kind = {"float32": TENSOR_F32, "float16": TENSOR_F16}[array.dtype.name]
        shape = array.shape[::-1]
        infos += string(name) + struct.pack("<I", len(shape))
        infos += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, len(data))
        data += numpy.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
        data += pad(len(data))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries))
    head += b"".join(entry(*item) for item in entries) + infos
    with open(path, "wb") as file:
        file.write(head + pad(len(head)) + data)


CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
    " + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def tokenizer_entries(tokenizer, control):
    """The tokenizer's keys: byte-level BPE, Qwen2's split, no BOS in front of a prompt."""
    normal = len(tokenizer.tokens) - len(control)
    types = [1] * normal + [3] * len(control)
    prefix = "tokenizer.ggml."
    return [
        (prefix + "model", STRING, "gpt2"),
        (prefix + "pre", STRING, "qwen2"),
        (prefix + "tokens", STRING, tokenizer.tokens),
        (prefix + "token_type", I32, types),
        (prefix + "merges", STRING, [" ".join(pair) for pair in tokenizer.merges]),
        (prefix + "bos_token_id", U32, tokenizer.end),
        (prefix + "eos_token_id", U32, tokenizer.end),
        (prefix + "eot_token_id", U32, tokenizer.turn_end),
        (prefix + "padding_token_id", U32, tokenizer.end),
        (prefix + "add_bos_token", BOOL, False),
        ("tokenizer.chat_template", STRING, CHAT_TEMPLATE),
    ]


def model_entries(config, name, description):
    """The model's keys from its configuration (train_network.Config)."""
    arch = "qwen3moe" if config.experts else "qwen3"
    entries = [
        ("general.architecture", STRING, arch),
        ("general.type", STRING, "model"),
        ("general.name", STRING, name),
        ("general.author", STRING, "Strata contributors"),
        ("general.license", STRING, "MIT"),
        ("general.description", STRING, description),
        ("general.languages", STRING, ["en"]),
        ("general.file_type", U32, FILE_TYPE_F16),
        ("general.quantization_version", U32, 2),
        (arch + ".block_count", U32, config.layers),
        (arch + ".context_length", U32, config.context),
        (arch + ".embedding_length", U32, config.dim),
        (arch + ".feed_forward_length", U32, config.ffn),
        (arch + ".attention.head_count", U32, config.heads),
        (arch + ".attention.head_count_kv", U32, config.kv_heads),
        (arch + ".attention.key_length", U32, config.head_dim),
        (arch + ".attention.value_length", U32, config.head_dim),
        (arch + ".attention.layer_norm_rms_epsilon", F32, config.epsilon),
        (arch + ".rope.freq_base", F32, config.rope_base),
        (arch + ".vocab_size", U32, config.vocabulary),
    ]
    if config.experts:
        entries += [
            (arch + ".expert_count", U32, config.experts),
            (arch + ".expert_used_count", U32, config.experts_used),
            (arch + ".expert_feed_forward_length", U32, config.expert_ffn),
        ]
    return entries
