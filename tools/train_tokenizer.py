"""A byte-level BPE tokenizer: training, encoding and decoding.

The byte alphabet is GPT-2's, the text is first cut by Qwen2's expression (GGUF:
tokenizer.ggml.model "gpt2", tokenizer.ggml.pre "qwen2"). Ids: 256 bytes, the merges in order, the
control tokens.
"""

import collections

import regex

SPLIT = regex.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CONTROL_SPLIT = regex.compile("(" + "|".join(regex.escape(token) for token in CONTROL) + ")")


def byte_alphabet():
    """Byte value to the printable character that stands for it in a vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in alphabet]
    alphabet.update({byte: chr(256 + rank) for rank, byte in enumerate(others)})
    return alphabet


BYTES = byte_alphabet()
BYTE_OF = {char: byte for byte, char in BYTES.items()}


def spell(text):
    """Text in the byte alphabet."""
    return "".join(BYTES[byte] for byte in text.encode("utf-8"))


def merge_word(parts, pair):
    """The word's parts with every occurrence of the pair joined, left to right."""
    joined, index = [], 0
    while index < len(parts):
        if index + 1 < len(parts) and (parts[index], parts[index + 1]) == pair:
            joined.append(parts[index] + parts[index + 1])
            index += 2
        else:
            joined.append(parts[index])
            index += 1
    return tuple(joined)


def train(texts, vocabulary_size):
    """The merges of a vocabulary of that size: most frequent pair first, ties by spelling."""
    counts = collections.Counter()
    for text in texts:
        for piece in CONTROL_SPLIT.split(text):
            if piece not in CONTROL:
                counts.update(SPLIT.findall(piece))
    words = collections.Counter()
    for word, count in counts.items():
        words[tuple(spell(word))] += count
    merges = []
    while 256 + len(merges) + len(CONTROL) < vocabulary_size:
        pairs = collections.Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        if not pairs:
            raise ValueError(f"the text yields only {len(merges)} merges")
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged = collections.Counter()
        for word, count in words.items():
            merged[merge_word(word, best)] += count
        words = merged
    return merges


class Tokenizer:
    """Encodes and decodes with a list of merges; not thread-safe (it keeps a cache of words)."""

    def __init__(self, merges):
        self.merges = [tuple(pair) for pair in merges]
        self.tokens = [BYTES[byte] for byte in range(256)]
        self.tokens += ["".join(pair) for pair in self.merges] + CONTROL
        self.ids = {token: index for index, token in enumerate(self.tokens)}
        if len(self.ids) != len(self.tokens):
            raise ValueError("two merges make the same token")
        self.ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self.end = self.ids[CONTROL[0]]
        self.turn_end = self.ids[CONTROL[2]]
        self.cache = {}

    def encode_word(self, word):
        """Ids of one piece of the split."""
        if word not in self.cache:
            parts = tuple(spell(word))
            while len(parts) > 1:
                pair = min(zip(parts, parts[1:]), key=lambda p: self.ranks.get(p, len(self.ranks)))
                if pair not in self.ranks:
                    break
                parts = merge_word(parts, pair)
            self.cache[word] = [self.ids[part] for part in parts]
        return self.cache[word]

    def encode(self, text):
        """Ids of a text; control tokens are recognised."""
        ids = []
        for piece in CONTROL_SPLIT.split(text):
            if piece in CONTROL:
                ids.append(self.ids[piece])
            else:
                for word in SPLIT.findall(piece):
                    ids += self.encode_word(word)
        return ids

    def decode(self, ids):
        """The text of ids, control tokens spelled out."""
        data = b""
        for index in ids:
            token = self.tokens[index]
            control = index >= len(self.tokens) - len(CONTROL)
            data += token.encode() if control else bytes(BYTE_OF[char] for char in token)
        return data.decode("utf-8", "replace")
