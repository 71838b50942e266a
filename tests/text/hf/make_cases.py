"""Writes the tokenizer.json files beside it and what Hugging Face's tokenizers make of texts.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3 && python make_cases.py

The vocabularies are trained on the lines of this file: small, and full of what the pre-tokenizers
treat in special ways. Tests never run this; they read NAME.json, NAME.model and cases.json.
"""

import io
import json
import os
import pathlib
import tempfile

import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).resolve().parent

# Patterns as published models write them.
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
          r"|\s*[\r\n]|\s+(?!\S)|\s+")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
V3 = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
      r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
      r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]

TEXTS = [
    "", " ", "  ", "\n", "\t\n ", "Hello", " Hello", "  Hello  world  ", "Hello\n\n\nworld\r\n x",
    "I'LL we've can't it's I'm you'd HE'S a'ſ", "x=12345678 1 22 333 4444 ٣٤٥ ²³½ Ⅷ",
    "naïve café — cafe\u0301 ﬁne Å A\u030a ｆｕｌｌ", "हिन्दी தமிழ் ไทย 日本語の文章、です。 中文字符 한국어",
    "🙂👩‍👩‍👧‍👦🇩🇪 emoji🏳️‍🌈", "\u00a0nbsp\u2003em\u2028ls\u3000ideo\u180emvs\u200bzw\u0085nel",
    "camelCase HTTPServer's XMLHttp /\n/ a/b\\c", "!!!??? ... ,,, ;;; (((\n\n a_b-c*d ~`^|$+<=>",
    "<s>x</s> y <s> z", "a<s>b", "<tool>call</tool> <tool>", " <pad>  x", "x <pad> y", "in<word>side <word> out",
    "▁already ▁▁ marked▁", "<0x41> <0x0A>", "e\u0301\u0301\u0301 \u1100\u1161\u11a8 각", "\x00\x01\x7f control",
    "lower UPPER Title ǅ ʰ ª", "don't stop 12.5% of $1,234.56!", "tab\tsep\tvals\n  indented\n\tcode {\n}\n",
    "\u0438\u0306 й привет, мир! ПРИВЕТ", "a" * 40, "ab " * 20, "\n" * 12, " " * 33 + "x", "ŉ ß ſt ﬆ K",
    "mixed日本english中文12345한국", "مرحبا بالعالم ١٢٣", "\ufeffbom \ufffd repl", "\U00010348 \U0001F600 \U0010FFFF",
    "The planner reads a model file, measures the links and prints what goes where before it loads.",
]
TRAIN = TEXTS * 3 + [
    "the quick brown fox jumps over the lazy dog", "where the stream of layers meets the device",
    "tokens and merges and the words that they make", "reads a file, writes a file, loads the model",
]


def token(content, special=True, **flags):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": not special, "special": special} | flags


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def byte_level(use_regex=False, add_prefix_space=False):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True,
            "use_regex": use_regex}


def template(before, after=(), ids=None):
    names = [*before, *after]
    part = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    return {"type": "TemplateProcessing",
            "single": [part(n) for n in before] + [{"Sequence": {"id": "A", "type_id": 0}}]
            + [part(n) for n in after],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {n: {"id": n, "ids": [ids[n]], "tokens": [n]} for n in names}}


def sequence(key, *steps):
    return {"type": "Sequence", key: list(steps)}


REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
PREPEND = {"type": "Prepend", "prepend": "▁"}
UNMARK = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
          {"type": "Fuse"}]
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
BYTES = byte_level(use_regex=True, add_prefix_space=True)  # as a decoder its flags do nothing


def metaspace(scheme, do_split):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": do_split}


def seq_pre(*steps):
    return sequence("pretokenizers", *steps)


COMMON = [token("<s>"), token("</s>"), token("<pad>", rstrip=True, lstrip=True),
          token("<tool>", special=False, normalized=False), token("<word>", single_word=True)]
NORMALIZED = [token("<unk>"), token("<s>", normalized=True), token("</s>", normalized=True),
              token("<pad>", rstrip=True), token("<tool>", special=False)]

# name: normalizer, pre_tokenizer, decoder, added tokens, prefix, suffix, model's fields
BYTE = {
    "llama3": (None, seq_pre(split(LLAMA3), byte_level()), BYTES, COMMON, ["<s>"], [], {"ignore_merges": True}),
    "qwen2": ({"type": "NFC"}, seq_pre(split(QWEN2), byte_level()), BYTES, COMMON, [], [], {}),
    "cl100k": (None, seq_pre(split(CL100K), byte_level()), BYTES, COMMON, [], ["</s>"], {}),
    "o200k": (None, seq_pre(split(O200K), byte_level()), BYTES, COMMON, [], [], {}),
    "deepseek-v3": ({"type": "Sequence", "normalizers": []}, seq_pre(*[split(p) for p in V3], byte_level()),
                    BYTES, COMMON, ["<s>"], [], {}),
    "deepseek-coder": (None, seq_pre(split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"),
                                     split("[一-龥ࠀ-一가-\ud7ff]+"),
                                     {"type": "Digits", "individual_digits": True}, byte_level()),
                       BYTES, COMMON, ["<s>"], [], {}),
    "falcon": (None, seq_pre({"type": "Punctuation", "behavior": "Contiguous"}, byte_level(use_regex=True),
                             {"type": "Digits", "individual_digits": False}, split("[0-9][0-9][0-9]")),
               BYTES, COMMON, [], [], {}),
    "starcoder": (None, seq_pre({"type": "Digits", "individual_digits": True}, byte_level(use_regex=True)),
                  BYTES, COMMON, [], [], {}),
    "gpt2-prefix": ({"type": "NFKC"}, byte_level(use_regex=True, add_prefix_space=True), BYTES, COMMON,
                    ["<s>", "<tool>"], ["</s>"], {}),
    "odd-splits": ({"type": "NFD"}, seq_pre(split(r"\s+$"), split(r"(?=(\d{3})+(?!\d))"), split("e", "MergedWithNext", kind="String"),
                                            split(r"\p{L}{,3}", "MergedWithPrevious", True),
                                            split(r"[a-f\w]|^.", "Contiguous"), byte_level()),
                   BYTES, COMMON, [], [], {}),
}
PLAIN = {
    "llama2": (sequence("normalizers", PREPEND, REPLACE), None, sequence("decoders", *UNMARK, STRIP), NORMALIZED,
               ["<s>"], [], {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}),
    "mistral": (None, metaspace("first", False), sequence("decoders", *UNMARK, STRIP), COMMON, ["<s>"], [],
                {"byte_fallback": True, "fuse_unk": True}),
    "gemma": (REPLACE, split(" ", "MergedWithPrevious", kind="String"), sequence("decoders", *UNMARK), COMMON,
              ["<s>"], [], {"byte_fallback": True, "fuse_unk": True}),
    "words": (None, metaspace("always", True), metaspace("always", True), [token("<unk>")] + COMMON, [], [],
              {"unk_token": "<unk>"}),
    "fused": ({"type": "NFKD"}, metaspace("never", True), metaspace("never", True), [token("<unk>")] + COMMON, [], [],
              {"unk_token": "<unk>", "fuse_unk": True}),
}


def train(name, spec, byte):
    normalizer, pre, decoder, added, before, after, fields = spec
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = (pre_tokenizers.ByteLevel(add_prefix_space=False) if byte
                             else pre_tokenizers.Metaspace(prepend_scheme="always"))
    alphabet = pre_tokenizers.ByteLevel.alphabet() if byte else list("▁abcdefghilmnoprstuvwxy.,")
    fallback = fields.get("byte_fallback")
    limit = 300 if byte else len(alphabet)
    trained.train_from_iterator(TRAIN, trainers.BpeTrainer(
        vocab_size=256 + 80 if byte else 120, initial_alphabet=alphabet, limit_alphabet=limit, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    vocab = list(sorted(model["vocab"], key=model["vocab"].get))
    first = [] if byte else ["<unk>", "<s>", "</s>"]
    if fallback:
        first += [f"<0x{b:02X}>" for b in range(256)]
    ids = {text: i for i, text in enumerate(first + vocab)}
    if name == "qwen2":  # holes
        ids = {text: i if i < 300 else i + 7 for text, i in ids.items()}
        for one in added:  # these have to be in the vocabulary: Hugging Face counts ids without holes
            ids[one["content"]] = max(ids.values()) + 2
    tokens = []
    end = max(ids.values()) + 1
    for one in added:
        known = ids.get(one["content"])
        tokens.append({"id": end if known is None else known} | one)
        end += known is None
    where = {t["content"]: t["id"] for t in tokens}
    merges = model["merges"]
    if name in ("gemma", "starcoder", "llama2"):  # the older form
        merges = [" ".join(m) for m in merges]
    if name == "falcon":  # of equal pairs the last counts
        merges = merges + [merges[3], merges[0]]
    result = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": normalizer,
        "pre_tokenizer": pre,
        "post_processor": template(before, after, where) if before or after else byte_level(use_regex=True),
        "decoder": decoder,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
        | fields | {"vocab": ids, "merges": merges}}
    return json.dumps(result, ensure_ascii=False, separators=(",", ":"))


# What stands left of a tab becomes what stands right of it, as code points.
RULES = ["FB01\t66 69", "A0\t20", "3000\t20", "2003\t20", "41 30A\tC5", "FF46\t66", "9\t20", "200B\t", "DF\t73 73",
         "65 301\tE9", "65 301 301\tE9 21"]
SENTENCEPIECE = {
    "spm-plain": {"normalization_rule_name": "identity", "remove_extra_whitespaces": False},
    "spm-no-prefix": {"normalization_rule_name": "identity", "remove_extra_whitespaces": False,
                      "add_dummy_prefix": False, "user_defined_symbols": ["<tool>"]},
    "spm-rules": {"normalization_rule_tsv": RULES},
    "spm-unknown": {"normalization_rule_name": "identity", "byte_fallback": False},
}


def sentencepiece_cases(name, options):
    model = io.BytesIO()
    options = {"byte_fallback": True} | options
    if "normalization_rule_tsv" in options:  # a bare name, because it goes into the model
        os.chdir(tempfile.mkdtemp())
        pathlib.Path("rules.tsv").write_text("\n".join(RULES) + "\n", encoding="utf-8")
        options["normalization_rule_tsv"] = "rules.tsv"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([t for t in TRAIN if t.strip() and t.isascii() and t.isprintable()]), model_writer=model,
        model_type="bpe", vocab_size=430 if options["byte_fallback"] else 170, character_coverage=1.0,
        num_threads=1, minloglevel=2, hard_vocab_limit=False, **options)
    (HERE / f"{name}.model").write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    # Written-out control tokens are Hugging Face's business, not SentencePiece's.
    ids = [None if "<s>" in t or "</s>" in t or "<tool>" in t else [1] + processor.encode(t) for t in TEXTS]
    if options.get("remove_extra_whitespaces", True):
        return {"ids": ids, "decoded": None}  # what is dropped does not come back
    decoded = {str(i): processor.decode(x[1:]) for i, x in enumerate(ids)
               if x is not None and processor.decode(x[1:]) != TEXTS[i]}
    return {"ids": ids, "decoded": decoded}


def main():
    cases = {"texts": TEXTS, "models": {}}
    for specs, byte in ((BYTE, True), (PLAIN, False)):
        for name, spec in specs.items():
            text = train(name, spec, byte)
            (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")
            tokenizer = Tokenizer.from_str(text)
            ids, decoded = [], {}
            for i, sample in enumerate(TEXTS):
                ids.append(tokenizer.encode(sample).ids)
                plain = tokenizer.encode(sample, add_special_tokens=False).ids
                back = tokenizer.decode(plain, skip_special_tokens=False)
                if back != sample:
                    decoded[str(i)] = back
            cases["models"][name] = {"ids": ids, "decoded": decoded}
    for name, options in SENTENCEPIECE.items():
        cases["models"][name] = sentencepiece_cases(name, options)
    (HERE / "cases.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n", encoding="utf-8")


main()
