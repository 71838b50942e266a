#!/usr/bin/env python3
"""Trains the models of models/: makes the text, the tokenizer, the network and the GGUF file.

    python3 tools/train_model.py dense --work build/model
    python3 tools/train_model.py moe --work build/model

Needs numpy, regex and torch. See models/README.md for the versions used and the goldens.
"""

import argparse
import dataclasses
import json
import math
import pathlib
import time

import numpy
import torch
from torch.nn import functional

import model_text
import train_gguf
import train_network
import train_tokenizer

VOCABULARY = 1536
TEXT_SEED, CHECK_SEED, TRAIN_SEED = 20260, 20261, 7
CHECK_DOCUMENTS = 400
DESCRIPTION = (
    "A very small model that tells short stories, trained on text made by tools/model_text.py."
)


@dataclasses.dataclass
class Recipe:
    """One model: its name, shape and training length."""

    name: str
    title: str
    config: train_network.Config
    steps: int
    rate: float


def recipes():
    """The two models by their command-line names."""
    shape = {"vocabulary": VOCABULARY, "dim": 128, "heads": 6, "kv_heads": 2, "head_dim": 32}
    dense = train_network.Config(**shape, layers=6, ffn=384)
    moe = train_network.Config(
        **shape, layers=4, ffn=192, experts=8, experts_used=2, expert_ffn=96
    )
    return {
        "dense": Recipe("strata-tiny", "Strata Tiny", dense, 4500, 2.5e-3),
        "moe": Recipe("strata-tiny-moe", "Strata Tiny MoE", moe, 2500, 2.5e-3),
    }


def load_tokenizer(folder):
    """The tokenizer of the work folder, trained when it is not there yet. Same text, same merges."""
    path = folder / "merges.json"
    if not path.exists():
        texts = model_text.corpus(TEXT_SEED, 8000)
        path.write_text(json.dumps(train_tokenizer.train(texts, VOCABULARY)))
    return train_tokenizer.Tokenizer(json.loads(path.read_text()))


def encode_corpus(tokenizer, seed, count):
    """All documents in one row, each followed by the end token, and where each begins."""
    ids, starts = [], []
    for text in model_text.corpus(seed, count):
        starts.append(len(ids))
        ids += tokenizer.encode(text)
        ids.append(tokenizer.end)
    return torch.tensor(ids, dtype=torch.int32), numpy.array(starts)


def batch_shape(step):
    """Rows and tokens of a step: mostly short rows, some as long as the context."""
    if step % 16 == 15:
        return 3, 1024
    return (6, 512) if step % 4 == 3 else (16, 192)


def draw_batch(rng, data, starts, rows, length):
    """Rows of length + 1 ids: most begin with a document, some with an end token, some anywhere."""
    last = len(data) - length - 1
    at = starts[rng.integers(1, len(starts), rows)]
    way = rng.random(rows)
    at = numpy.where(way < 0.2, at - 1, at)
    at = numpy.where(way > 0.8, rng.integers(0, last, rows), at)
    at = torch.from_numpy(numpy.minimum(at, last))
    return data[at[:, None] + torch.arange(length + 1)].long()


def loss_of(network, ids):
    """Mean next-token loss, in nats."""
    logits = network(ids[:, :-1]).float()
    return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


@torch.no_grad()
def check_loss(network, data):
    """Loss on text that was not trained on."""
    rows = data[: len(data) // 257 * 257].view(-1, 257).long()
    losses = [loss_of(network, part) for part in rows.split(16)]
    return float(torch.stack(losses).mean())


def rate_at(step, recipe):
    """Learning rate: short warm-up, then a cosine down to 2 % of the peak."""
    if step < 100:
        return recipe.rate * (step + 1) / 100
    phase = (step - 100) / max(1, recipe.steps - 100)
    return recipe.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * phase)))


def train(recipe, tokenizer, documents, work, log):
    """Trains the network; a line in the log every 100 steps, weights saved every 500."""
    torch.manual_seed(TRAIN_SEED)
    rng = numpy.random.default_rng(TRAIN_SEED)
    data, starts = encode_corpus(tokenizer, TEXT_SEED, documents)
    check, _ = encode_corpus(tokenizer, CHECK_SEED, CHECK_DOCUMENTS)
    network = train_network.Network(recipe.config)
    count = sum(weight.numel() for weight in network.parameters())
    log(f"{recipe.name}: {count} parameters, {len(data)} tokens of text, {recipe.steps} steps")
    log(f"text seed {TEXT_SEED}, training seed {TRAIN_SEED}, torch {torch.__version__}")
    matrices = [weight for weight in network.parameters() if weight.dim() > 1]
    vectors = [weight for weight in network.parameters() if weight.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)
    start, seen, recent = time.time(), 0, []
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, recipe)
        ids = draw_batch(rng, data, starts, *batch_shape(step))
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(ids[:, :-1])
        loss = functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
        (loss + 0.02 * network.balance()).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seen += ids[:, 1:].numel()
        recent.append(loss.item())
        if step % 100 == 99 or step + 1 == recipe.steps:
            line = f"step {step + 1:5d}  loss {numpy.mean(recent):.4f}  tokens {seen:9d}"
            if step % 500 == 499 or step + 1 == recipe.steps:
                line += f"  check loss {check_loss(network, check):.4f}"
                torch.save(network.state_dict(), work / f"{recipe.name}.pt")
            log(line + f"  {time.time() - start:5.0f} s")
            recent = []
    return network


def export(recipe, network, tokenizer, path):
    """Writes the GGUF file."""
    entries = train_gguf.model_entries(recipe.config, recipe.title, DESCRIPTION)
    entries += train_gguf.tokenizer_entries(tokenizer, train_tokenizer.CONTROL)
    train_gguf.write(path, entries, train_network.stored_tensors(network))


@torch.no_grad()
def generate(network, tokenizer, prompt, count, temperature=0.0, seed=0):
    """Continues a prompt until an end token or `count` tokens."""
    generator = torch.Generator().manual_seed(seed)
    ids = tokenizer.encode(prompt)
    for _ in range(count):
        logits = network(torch.tensor([ids]))[0, -1]
        if temperature:
            chances = (logits / temperature).softmax(-1)
            ids.append(int(torch.multinomial(chances, 1, generator=generator)))
        else:
            ids.append(int(logits.argmax()))
        if ids[-1] in (tokenizer.end, tokenizer.turn_end):
            break
    return tokenizer.decode(ids)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", choices=sorted(recipes()))
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/model"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("models"))
    parser.add_argument("--steps", type=int, help="instead of the recipe's number")
    parser.add_argument("--documents", type=int, default=80000)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = recipes()[arguments.model]
    recipe.steps = arguments.steps or recipe.steps
    arguments.work.mkdir(parents=True, exist_ok=True)
    with open(arguments.out / f"{recipe.name}.train.log", "w", encoding="utf-8") as file:

        def log(line):
            print(line, flush=True)
            print(line, file=file, flush=True)

        tokenizer = load_tokenizer(arguments.work)
        network = train(recipe, tokenizer, arguments.documents, arguments.work, log)
        train_network.round_to_stored(network)
        export(recipe, network, tokenizer, arguments.out / f"{recipe.name}.gguf")
    for prompt in ["Once upon a time", "The robot", "In a small village by the sea"]:
        print(generate(network, tokenizer, prompt, 200), "\n")
        print(generate(network, tokenizer, prompt, 200, 0.8, 1), "\n")


if __name__ == "__main__":
    main()
