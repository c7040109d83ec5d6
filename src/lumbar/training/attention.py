"""Attention among the tokens of one study, biased by how two tokens are related."""

import torch
from torch import nn


class RelativeAttention(nn.Module):
    """A transformer layer over a list of tokens, with a learned bias per relation and no attention across studies."""

    def __init__(self, width: int, heads: int, dropout: float, relations: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias = nn.Embedding(relations, heads)
        nn.init.zeros_(self.bias.weight)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor, relation: torch.Tensor, apart: torch.Tensor) -> torch.Tensor:
        """Tokens (n, width); `relation` (n, n) numbers of the bias; `apart` (n, n) true where attention is not allowed."""
        query, key, value = (part.unflatten(1, (self.heads, -1)).transpose(0, 1) for part in self.project(self.before(tokens)).chunk(3, dim=1))
        weights = (query @ key.transpose(1, 2)) * query.shape[-1] ** -0.5 + self.bias(relation).permute(2, 0, 1)
        weights = weights.float().masked_fill(apart, -1e9).softmax(dim=-1).to(value.dtype)
        mixed = (weights @ value).transpose(0, 1).flatten(1)
        tokens = tokens + self.drop(self.out(mixed))
        return tokens + self.drop(self.mlp(self.between(tokens)))
