#!/usr/bin/env python3
"""Makes models/golden/: what other programs compute from the files in models/.

    python3 tools/train_goldens.py models

Logits and greedy tokens come from Hugging Face transformers in float32 with the weights of the
GGUF file as PyPI's gguf reads them, token ids from Hugging Face tokenizers; our own network and
tokenizer must agree. Needs numpy, torch, transformers, tokenizers, gguf and regex.
"""

import json
import pathlib
import sys

import gguf
import numpy
import tokenizers
import torch
import transformers
from tokenizers import decoders, pre_tokenizers

import train_model
import train_network
import train_tokenizer

GREEDY = 64
PROMPTS = {
    "strata-tiny": "The robot was called Pixel. It carried books in the library in a quiet town near "
    "the mountains. One morning,",
    "strata-tiny-moe": "Ben and Ruth sailed out of the harbor in a little boat with a blue sail. "
    "The waves were small,",
}
TEXTS = [
    "", " ", "  ", "   a", "a   ", "\n", "\n\n", " \n", "\n ", "\t", "\t\tif x:\n\t\t\treturn y\n",
    "a\r\nb\r\n\r\nc", "Hello, world!", "Once upon a time", " Once upon a time", "The robot",
    "hello", "HELLO", "I'm, you're, he's, they've, we'll, she'd, don't", "I'M YOU'RE HE'S DON'T",
    "rock 'n' roll 'tis 'twas", "'s 't 're", "1", "12", "1234567890", "3.14159", "1,000,000",
    "a1b2c3", "2 + 3 = 5", "x_1 = y_2 ** 3;", "for (int i = 0; i < n; ++i) { sum += a[i]; }",
    "def f(x):\n    return x + 1\n", "<html><body>text</body></html>", '{"key": [1, 2.5, null]}',
    "https://example.org/path?query=1&other=two#part", "name@example.org", "...", "!!!???", "--- ***",
    "(a) [b] {c} <d>", "Zoë and José went to the café.", "naïve façade, über Straße, señor",
    "e\u0301 is not é",
    "Ελληνικά γράμματα", "Привет, мир!", "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया",
    "你好，世界。", "今日は世界", "안녕하세요", "😀", "👩\u200d🚀🚀 to the moon 🌕!", "½ ² ③ Ⅷ ٣", "a\u00a0b\u2003c\u3000d",
    "“quoted” – and — dashes…", "tab\tand  two spaces   three", "end with spaces   ", "\u0000\u0001\u007f",
    "<|endoftext|>", "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n",
    "a<|endoftext|>b <|im_end|> c", "<|not_a_token|> <|im_start", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
]


def read_gguf(path):
    """Metadata values and tensors of a file; tensors as float32, outermost dimension first."""
    reader = gguf.GGUFReader(path)
    values = {key: field.contents() for key, field in reader.fields.items()}
    tensors = {
        item.name: torch.from_numpy(numpy.array(item.data, dtype="float32"))
        for item in reader.tensors
    }
    return values, tensors


def reference_tokenizer(values):
    """A Hugging Face tokenizer built from the file's keys."""
    tokens = values["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in values["tokenizer.ggml.merges"]]
    control = [t for t, kind in zip(tokens, values["tokenizer.ggml.token_type"]) if kind == 3]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=merges))
    split = pre_tokenizers.Split(
        tokenizers.Regex(train_tokenizer.SPLIT.pattern), behavior="isolated", invert=False
    )
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([tokenizers.AddedToken(t, special=True) for t in control])
    return made


def hugging_face_names(config):
    """GGUF tensor name to the name in transformers, for what is stored one to one."""
    names = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
    parts = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
             "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
             "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
             "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
             "ffn_gate_inp": "mlp.gate"}
    for layer in range(config.num_hidden_layers):
        for ours, theirs in parts.items():
            names[f"blk.{layer}.{ours}"] = f"model.layers.{layer}.{theirs}"
    return names


def reference_config(values):
    """The transformers configuration of a file."""
    arch = values["general.architecture"]
    get = lambda key: values[f"{arch}.{key}"]
    common = {
        "vocab_size": get("vocab_size"), "hidden_size": get("embedding_length"),
        "intermediate_size": get("feed_forward_length"), "num_hidden_layers": get("block_count"),
        "num_attention_heads": get("attention.head_count"),
        "num_key_value_heads": get("attention.head_count_kv"),
        "head_dim": get("attention.key_length"), "max_position_embeddings": get("context_length"),
        "rms_norm_eps": get("attention.layer_norm_rms_epsilon"), "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": get("rope.freq_base")},
        "attention_bias": False, "attn_implementation": "eager", "dtype": "float32",
    }
    if arch == "qwen3":
        return transformers.Qwen3Config(**common)
    return transformers.Qwen3MoeConfig(
        **common, num_experts=get("expert_count"), num_experts_per_tok=get("expert_used_count"),
        moe_intermediate_size=get("expert_feed_forward_length"), norm_topk_prob=True,
    )


def reference_network(values, tensors):
    """The transformers model with the file's weights."""
    config = reference_config(values)
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    state = model.state_dict()
    names = hugging_face_names(config)
    left = set(state) - {"lm_head.weight"}
    for name, tensor in tensors.items():
        stem = name.removesuffix(".weight")
        if stem in names:
            target = names[stem] + ".weight"
            state[target].copy_(tensor)
            left.remove(target)
    for layer in range(config.num_hidden_layers if "moe" in config.model_type else 0):
        expert = lambda part: tensors[f"blk.{layer}.ffn_{part}_exps.weight"]
        prefix = f"model.layers.{layer}.mlp.experts."
        state[prefix + "gate_up_proj"].copy_(torch.cat([expert("gate"), expert("up")], 1))
        state[prefix + "down_proj"].copy_(expert("down"))
        left -= {prefix + "gate_up_proj", prefix + "down_proj"}
    if left:
        raise ValueError(f"no tensor in the file for {sorted(left)}")
    model.tie_weights()
    return model


def own_network(values, tensors):
    """Our own network with the file's weights."""
    arch = values["general.architecture"]
    recipe = {"qwen3": "dense", "qwen3moe": "moe"}[arch]
    network = train_network.Network(train_model.recipes()[recipe].config)
    state = network.state_dict()
    for ours, theirs in train_network.gguf_names(network.config).items():
        state[ours].copy_(tensors[theirs])
    return network.eval()


@torch.no_grad()
def golden(path, prompt, out):
    """Writes NAME.json and NAME.logits.f32 of one model; returns its two tokenizers."""
    values, tensors = read_gguf(path)
    own = train_tokenizer.Tokenizer(
        [merge.split(" ") for merge in values["tokenizer.ggml.merges"]]
    )
    hugging_face = reference_tokenizer(values)
    model, network = reference_network(values, tensors), own_network(values, tensors)
    prompt_ids = own.encode(prompt)
    if prompt_ids != hugging_face.encode(prompt, add_special_tokens=False).ids:
        raise ValueError("the two tokenizers differ")
    logits = model(torch.tensor([prompt_ids])).logits[0]
    ours = network(torch.tensor([prompt_ids]))[0]
    difference = float((logits - ours).abs().max() / logits.abs().max())
    if difference > 1e-5:
        raise ValueError(f"{path}: transformers and our network differ by {difference:.2e}")
    ids, margins = list(prompt_ids), []
    for _ in range(GREEDY):
        row = model(torch.tensor([ids])).logits[0, -1]
        best = row.topk(2)
        margins.append(float(best.values[0] - best.values[1]))
        ids.append(int(best.indices[0]))
    greedy_ids = ids[len(prompt_ids) :]
    name = path.stem
    record = {
        "model": path.name, "prompt": prompt, "prompt_ids": prompt_ids, "greedy_ids": greedy_ids,
        "greedy_text": own.decode(greedy_ids), "smallest_margin": min(margins),
        "largest_logit": float(logits.abs().max()), "logits_shape": list(logits.shape),
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__}, float32",
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    logits.numpy().astype("<f4").tofile(out / f"{name}.logits.f32")
    print(f"{name}: {len(prompt_ids)} prompt ids, difference {difference:.1e}, "
          f"margin {min(margins):.4f}\n{record['greedy_text']!r}")
    return own, hugging_face


def tokenizer_golden(own, hugging_face, out):
    """Writes tokenizer.json: texts and their ids."""
    cases = []
    for text in TEXTS:
        ids = hugging_face.encode(text, add_special_tokens=False).ids
        if ids != own.encode(text):
            raise ValueError(f"the two tokenizers differ on {text!r}")
        if own.decode(ids) != text:
            raise ValueError(f"{text!r} does not survive encoding and decoding")
        cases.append({"text": text, "ids": ids})
    record = {"made_with": f"tokenizers {tokenizers.__version__}", "cases": cases}
    lines = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in cases)
    head = json.dumps(record["made_with"])
    (out / "tokenizer.json").write_text(
        '{\n "made_with": ' + head + ',\n "cases": [\n' + lines + "\n ]\n}\n", encoding="utf-8"
    )
    print(f"tokenizer: {len(cases)} texts")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "models")
    torch.set_num_threads(1)
    out = folder / "golden"
    out.mkdir(exist_ok=True)
    for name, prompt in PROMPTS.items():
        path = folder / f"{name}.gguf"
        if path.exists():
            pair = golden(path, prompt, out)
    tokenizer_golden(*pair, out)


if __name__ == "__main__":
    main()
