#!/usr/bin/env python3
"""Trains the models of models/: makes the text, the tokenizer, the network and the GGUF file.

    python3 tools/train_model.py dense --work build/model
    python3 tools/train_model.py moe --work build/model --start build/model/strata-tiny.pt

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
LEVEL = 0.7  # part of the steps before the learning rate goes down
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
    dense = train_network.Config(**shape, layers=4, ffn=448)
    moe = train_network.Config(
        **shape, layers=4, ffn=448, experts=8, experts_used=2, expert_ffn=96
    )
    return {
        "dense": Recipe("strata-tiny", "Strata Tiny", dense, 2600, 3e-3),
        "moe": Recipe("strata-tiny-moe", "Strata Tiny MoE", moe, 800, 2e-3),
    }


def load_tokenizer(folder):
    """The tokenizer of the work folder, trained when it is not there yet."""
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
        return 2, 1024
    return (3, 512) if step % 4 == 3 else (8, 192)


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
    """Learning rate: short warm-up, level, then a line down to 2 % over the last 30 % of steps."""
    warm = min(1.0, (step + 1) / 50)
    level = LEVEL * recipe.steps
    phase = max(0.0, step - level) / (recipe.steps - level)
    return recipe.rate * warm * (1 - 0.98 * phase)


class Optimizer:
    """Muon for the matrices of the layers, AdamW for embeddings, experts and norms."""

    def __init__(self, network):
        hidden, others, vectors = [], [], []
        for name, weight in network.named_parameters():
            matrix = weight.dim() == 2 and "embedding" not in name
            (hidden if matrix else others if weight.dim() > 1 else vectors).append(weight)
        groups = [{"params": others, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0}]
        self.parts = [
            torch.optim.Muon(hidden, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True),
        ]

    def step(self, rate):
        """One update with that learning rate; clears the gradients."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
            part.zero_grad()


def train(recipe, network, tokenizer, arguments, until, log):
    """Trains the network; a line in the log every 100 steps, weights saved every 500.

    After the time `until` (if any) the number of steps is cut so that the decline begins at once.
    """
    rng = numpy.random.default_rng(TRAIN_SEED + arguments.part)
    data, starts = encode_corpus(tokenizer, TEXT_SEED + 10 * arguments.part, arguments.documents)
    check, _ = encode_corpus(tokenizer, CHECK_SEED, CHECK_DOCUMENTS)
    count = sum(weight.numel() for weight in network.parameters())
    log(f"{recipe.name}: {count} parameters, {len(data)} tokens of text, {recipe.steps} steps")
    log(f"seeds {TEXT_SEED}, {TRAIN_SEED}, part {arguments.part}, torch {torch.__version__}")
    optimizer = Optimizer(network)
    start, seen, recent, step = time.process_time(), 0, [], 0
    while step < recipe.steps:
        ids = draw_batch(rng, data, starts, *batch_shape(step))
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(ids[:, :-1])
        loss = functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
        (loss + 0.02 * network.balance()).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step(rate_at(step, recipe))
        seen += ids[:, 1:].numel()
        recent.append(loss.item())
        if step % 100 == 99 or step + 1 == recipe.steps:
            line = f"step {step + 1:5d}  loss {numpy.mean(recent):.4f}  tokens {seen:9d}"
            if step % 500 == 499 or step + 1 == recipe.steps:
                line += f"  check loss {check_loss(network, check):.4f}"
                torch.save(network.state_dict(), arguments.work / f"{recipe.name}.pt")
            log(line + f"  {time.process_time() - start:5.0f} s")
            recent = []
        step += 1
        if until and time.time() > until:
            until, recipe.steps = None, min(recipe.steps, int(step / LEVEL) + 1)
            log(f"time is nearly up: {recipe.steps} steps in all")


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
    parser.add_argument("--minutes", type=float, help="cut the steps to take about so long")
    parser.add_argument("--start", type=pathlib.Path, help="begin with these weights (a .pt file)")
    parser.add_argument("--part", type=int, default=0, help="other text and batches, to go on with")
    parser.add_argument("--documents", type=int, default=30000)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    until = time.time() + 60 * LEVEL * arguments.minutes if arguments.minutes else None
    recipe = recipes()[arguments.model]
    recipe.steps = arguments.steps or recipe.steps
    arguments.work.mkdir(parents=True, exist_ok=True)
    with open(arguments.out / f"{recipe.name}.train.log", "w", encoding="utf-8") as file:

        def log(line):
            print(line, flush=True)
            print(line, file=file, flush=True)

        tokenizer = load_tokenizer(arguments.work)
        torch.manual_seed(TRAIN_SEED)
        network = train_network.Network(recipe.config)
        if arguments.start:
            train_network.start_from(network, torch.load(arguments.start))
        train(recipe, network, tokenizer, arguments, until, log)
        train_network.round_to_stored(network)
        export(recipe, network, tokenizer, arguments.out / f"{recipe.name}.gguf")
    for prompt in ["Once upon a time", "The robot", "In a small village by the sea"]:
        print(generate(network, tokenizer, prompt, 200), "\n")
        print(generate(network, tokenizer, prompt, 200, 0.8, 1), "\n")


if __name__ == "__main__":
    main()
