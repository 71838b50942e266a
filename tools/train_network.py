"""The network: Qwen3 (dense) and Qwen3-MoE in plain PyTorch, with its tensor names in GGUF.

Shapes in comments are (batch, time, ...); weights are (out, in).
"""

import dataclasses

import torch
from torch import nn
from torch.nn import functional


@dataclasses.dataclass
class Config:
    """Hyper-parameters; experts = 0 means a dense feed-forward layer."""

    vocabulary: int
    dim: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    experts: int = 0
    experts_used: int = 0
    expert_ffn: int = 0
    context: int = 1024
    rope_base: float = 10000.0
    epsilon: float = 1e-6


class Norm(nn.Module):
    """RMS norm over the last dimension."""

    def __init__(self, size, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x):
        return functional.rms_norm(x.float(), self.weight.shape, self.weight, self.epsilon)


def rope_tables(config, length):
    """Cosines and signed sines, (time, head_dim), for rotation of the two halves of a head."""
    half = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    angles = torch.outer(torch.arange(length, dtype=torch.float32), config.rope_base**-half)
    return torch.cat([angles.cos()] * 2, -1), torch.cat([-angles.sin(), angles.sin()], -1)


def rotate(x, cosines, sines):
    """Rotary embedding of (batch, heads, time, head_dim), NEOX order."""
    return x * cosines + x.roll(x.shape[-1] // 2, -1) * sines


class Attention(nn.Module):
    """Grouped-query attention with a norm per head of Q and K."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.q = nn.Linear(config.dim, config.heads * config.head_dim, bias=False)
        self.k = nn.Linear(config.dim, config.kv_heads * config.head_dim, bias=False)
        self.v = nn.Linear(config.dim, config.kv_heads * config.head_dim, bias=False)
        self.output = nn.Linear(config.heads * config.head_dim, config.dim, bias=False)
        self.q_norm = Norm(config.head_dim, config.epsilon)
        self.k_norm = Norm(config.head_dim, config.epsilon)

    def forward(self, x, tables):
        batch, time, _ = x.shape
        shape = (batch, time, -1, self.config.head_dim)
        q = rotate(self.q_norm(self.q(x).view(shape)).transpose(1, 2), *tables)
        k = rotate(self.k_norm(self.k(x).view(shape)).transpose(1, 2), *tables)
        v = self.v(x).view(shape).transpose(1, 2)
        group = self.config.heads // self.config.kv_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        with torch.autocast("cpu", enabled=False):  # f32: faster here than bf16, and exact
            y = functional.scaled_dot_product_attention(
                q.float(), k.float(), v.float(), is_causal=True
            )
        return self.output(y.transpose(1, 2).reshape(batch, time, -1))


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config):
        super().__init__()
        self.gate = nn.Linear(config.dim, config.ffn, bias=False)
        self.up = nn.Linear(config.dim, config.ffn, bias=False)
        self.down = nn.Linear(config.ffn, config.dim, bias=False)

    def forward(self, x):
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class Experts(nn.Module):
    """SwiGLU experts: softmax over all, the best few, their weights renormalised to one."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.router = nn.Linear(config.dim, config.experts, bias=False)
        wide = (config.experts, config.expert_ffn, config.dim)
        self.gate = nn.Parameter(torch.empty(wide))
        self.up = nn.Parameter(torch.empty(wide))
        self.down = nn.Parameter(torch.empty(config.experts, config.dim, config.expert_ffn))
        self.balance = torch.zeros(())  # auxiliary loss of the last forward pass

    def forward(self, x):
        shape, x = x.shape, x.reshape(-1, x.shape[-1])
        chances = self.router(x).float().softmax(-1)
        weights, chosen = chances.topk(self.config.experts_used, -1)
        weights = weights / weights.sum(-1, keepdim=True)
        # Switch-style balance: tokens per expert times mean chance, 1 when both are even.
        share = torch.zeros_like(chances).scatter_(1, chosen, 1.0).mean(0)
        self.balance = (share * chances.mean(0)).sum() * self.config.experts
        self.balance = self.balance / self.config.experts_used
        y = torch.zeros_like(x)
        for expert in range(self.config.experts):
            rows, slot = torch.where(chosen == expert)
            h = x[rows]
            h = functional.silu(h @ self.gate[expert].T) * (h @ self.up[expert].T)
            h = (h @ self.down[expert].T).float() * weights[rows, slot, None]
            y = y.index_add(0, rows, h)
        return y.view(shape)


class Block(nn.Module):
    """One layer: attention and feed-forward, each behind a norm and a residual."""

    def __init__(self, config):
        super().__init__()
        self.attn_norm = Norm(config.dim, config.epsilon)
        self.attn = Attention(config)
        self.ffn_norm = Norm(config.dim, config.epsilon)
        self.ffn = Experts(config) if config.experts else FeedForward(config)

    def forward(self, x, tables):
        x = x + self.attn(self.attn_norm(x), tables)
        return x + self.ffn(self.ffn_norm(x))


class Network(nn.Module):
    """Token ids (batch, time) to logits (batch, time, vocabulary); tied embeddings."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = Norm(config.dim, config.epsilon)
        residual = 0.02 / (2 * config.layers) ** 0.5 * 2
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                small = name.endswith(("output.weight", "down.weight", "down"))
                nn.init.normal_(weight, std=residual if small else 0.04)

    def forward(self, ids):
        tables = rope_tables(self.config, ids.shape[1])
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, tables)
        return self.norm(x) @ self.embedding.weight.T

    def balance(self):
        """Mean balance loss of the experts; 0 for a dense network."""
        if not self.config.experts:
            return torch.zeros(())
        return torch.stack([block.ffn.balance for block in self.blocks]).mean()


def start_from(network, weights):
    """Copies saved weights; a dense layer's slices become the experts of a mixture."""
    state = network.state_dict()
    for name, weight in weights.items():
        if name in state:
            state[name].copy_(weight)
            continue
        part = name.removesuffix(".weight")  # blocks.N.ffn.gate, .up or .down
        experts = state[part]
        size = network.config.expert_ffn
        for expert in range(network.config.experts):
            at = expert * size % (network.config.ffn - size + 1)
            rows = weight[:, at : at + size] if part.endswith("down") else weight[at : at + size]
            experts[expert].copy_(rows)


def gguf_names(config):
    """Parameter name of Network to tensor name in GGUF, in the file's order."""
    names = {"embedding.weight": "token_embd.weight"}
    parts = {"attn_norm.weight": "attn_norm", "attn.q.weight": "attn_q", "attn.k.weight": "attn_k",
             "attn.v.weight": "attn_v", "attn.q_norm.weight": "attn_q_norm",
             "attn.k_norm.weight": "attn_k_norm", "attn.output.weight": "attn_output",
             "ffn_norm.weight": "ffn_norm"}
    if config.experts:
        parts.update({"ffn.router.weight": "ffn_gate_inp", "ffn.gate": "ffn_gate_exps",
                      "ffn.up": "ffn_up_exps", "ffn.down": "ffn_down_exps"})
    else:
        parts.update({f"ffn.{part}.weight": f"ffn_{part}" for part in ("gate", "up", "down")})
    for layer in range(config.layers):
        for ours, theirs in parts.items():
            names[f"blocks.{layer}.{ours}"] = f"blk.{layer}.{theirs}.weight"
    names["norm.weight"] = "output_norm.weight"
    return names


def stored_tensors(network):
    """GGUF tensor name to the array as stored: matrices in f16, norms and routers in f32."""
    state = network.state_dict()
    tensors = {}
    for ours, theirs in gguf_names(network.config).items():
        array = state[ours].detach().cpu().float().numpy()
        small = array.ndim == 1 or "ffn_gate_inp" in theirs
        tensors[theirs] = array if small else array.astype("float16")
    return tensors


def round_to_stored(network):
    """Replaces the weights by the values that the file holds."""
    state = network.state_dict()
    stored = stored_tensors(network)
    for ours, theirs in gguf_names(network.config).items():
        state[ours].copy_(torch.from_numpy(stored[theirs].astype("float32")))
