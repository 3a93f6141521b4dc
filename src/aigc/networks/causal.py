"""A causal transformer over tokens (Vaswani et al. 2017; Radford et al. 2019), and a draw from its logits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc.networks.blocks import Linear

EXPANSION = 4  # of the width, inside the perceptron of a block
INITIAL = 0.02  # standard deviation of initial embeddings, as GPT-2
RESOLUTION = 2**30  # a probability is a whole number of this many parts


class Norm(nn.Module):
    """Each position scaled to root mean square 1, times a learned gain (Zhang & Sennrich 2019, RMSNorm)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) -> (B, T, width)"""
        return x * (x.square().mean(2, keepdim=True) + 1e-6).rsqrt() * self.gain


class Past:
    """The keys and values of the positions so far, of one layer. most: how many positions it has room for."""

    def __init__(self, most: int) -> None:
        self.most, self.length = most, 0
        self.stored: Tensor | None = None  # (2, B, heads, most, c)

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append those of new positions, each (B, heads, T, c); returns those of all positions."""
        if self.stored is None:
            batch, heads, _, dimensions = keys.shape
            self.stored = keys.new_empty(2, batch, heads, self.most, dimensions)
        start, self.length = self.length, self.length + keys.shape[2]
        for stored, new in zip(self.stored, (keys, values), strict=True):
            stored[:, :, start:self.length] = new
        seen = self.stored[:, :, :, :self.length]
        return seen[0], seen[1]


class Block(nn.Module):
    """Attention of each position to itself and those before, then a perceptron, each added to its input.

    Both start at zero. The products are written out: torch's fused attention has no deterministic backward
    pass everywhere.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.query_key_value, self.out = Linear(width, 3 * width), Linear(width, width)
        self.widen, self.narrow = Linear(width, EXPANSION * width), Linear(EXPANSION * width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor, rng: torch.Generator | None = None, past: Past | None = None) -> Tensor:
        """(B, T, width) -> (B, T, width). rng: of the dropout, None = no dropout.

        past: of the positions before these T, which are appended to it.
        """
        joint = at_each(self.query_key_value, self.norm1(x))
        x = x + self.dropped(at_each(self.out, self.attend(joint, past)), rng)
        wide = at_each(self.widen, self.norm2(x))
        return x + self.dropped(at_each(self.narrow, F.silu(wide)), rng)

    def attend(self, joint: Tensor, past: Past | None) -> Tensor:
        """Query, key and value (B, T, 3 * width) -> the mixed values (B, T, width)."""
        query, key, value = joint.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, T, c)
        if past is not None:
            key, value = past.extend(key, value)
        new, seen = query.shape[2], key.shape[2]
        weights = (query * query.shape[3] ** -0.5) @ key.transpose(2, 3)
        if new > 1:
            visible = torch.ones(new, seen, dtype=torch.bool, device=joint.device).tril(seen - new)
            weights = weights.masked_fill(~visible, -torch.inf)
        mixed: Tensor = weights.softmax(3) @ value
        return mixed.transpose(1, 2).flatten(2)

    def dropped(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        """x with a share `dropout` of its numbers at 0 and the others scaled up."""
        if rng is None or not self.dropout:
            return x
        kept = torch.rand(x.shape, generator=rng, device=rng.device) >= self.dropout
        return x * kept / (1 - self.dropout)


def at_each(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer of (N, in) -> (N, out) at each position: (B, T, in) -> (B, T, out)."""
    out: Tensor = layer(x.flatten(0, 1))
    return out.view(-1, x.shape[1], out.shape[1])


class CausalTransformer(nn.Module):
    """p(token | prefix, earlier tokens) of sequences of `length` tokens, each one of `codes`.

    prefix: how many vectors come before the first token.
    """

    def __init__(self, codes: int, length: int, prefix: int, width: int, layers: int, heads: int,
                 dropout: float) -> None:
        super().__init__()
        self.length = length
        self.embed = nn.Embedding(codes, width)
        self.place = nn.Parameter(INITIAL * torch.randn(prefix + length - 1, width))
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm, self.head = Norm(width), Linear(width, codes)
        nn.init.normal_(self.embed.weight, std=INITIAL)
        nn.init.zeros_(self.head.weight)

    def forward(self, prefix: Tensor, tokens: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """prefix (B, P, width), tokens int64 (B, length) -> logits of each token: (B, length, codes).

        The logits of a token depend on the prefix and on the tokens before it alone. rng: of the dropout;
        None = no dropout.
        """
        x = torch.cat([prefix, self.embed(tokens[:, :-1])], 1) + self.place
        for block in self.blocks:
            x = block(x, rng)
        return at_each(self.head, self.norm(x[:, -self.length:]))

    def start(self) -> list[Past]:
        """The empty past of each layer."""
        return [Past(len(self.place)) for _ in self.blocks]

    def step(self, inputs: Tensor, past: list[Past]) -> Tensor:
        """The logits of the next token (B, codes), from new inputs (B, T, width) after those in `past`.

        inputs: the prefix first, then the embedding of one token at a time. `past` gains them.
        """
        done = past[0].length
        x = inputs + self.place[done:done + inputs.shape[1]]
        for block, of_layer in zip(self.blocks, past, strict=True):
            x = block(x, past=of_layer)
        logits: Tensor = self.head(self.norm(x[:, -1:]).squeeze(1))
        return logits


def pick(logits: Tensor, uniform: Tensor, temperature: float, top_k: int) -> Tensor:
    """The inverse of the cumulative distribution of tokens at `uniform`, the likeliest token first.

    logits: (B, codes). uniform: (B,) in [0, 1]. Only the top_k likeliest tokens can be picked (Fan et al.
    2018), with the probabilities softmax(logits / temperature). Returns int64 (B,).

    Probabilities are rounded to whole parts: a sum of whole numbers does not depend on its order, and no part
    is lost at the end of the distribution.
    """
    ordered, tokens = logits.float().sort(dim=1, descending=True, stable=True)
    parts = ((ordered[:, :top_k] / temperature).softmax(1) * RESOLUTION).long().cumsum(1)
    total = parts[:, -1]
    place = (uniform * total).long().minimum(total - 1)
    rank = (parts <= place[:, None]).sum(1)
    return tokens.gather(1, rank[:, None]).squeeze(1)
