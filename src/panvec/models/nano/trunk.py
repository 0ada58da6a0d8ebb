"""The trunk in torch: multilingual-e5-small, a 12-layer BERT encoder through which every content goes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from panvec.models.nano.config import TrunkConfig


class TrunkLayer(nn.Module):
    """A post-norm transformer layer."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.dim, config.dim)
        self.key = nn.Linear(config.dim, config.dim)
        self.value = nn.Linear(config.dim, config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.attention_norm = nn.LayerNorm(config.dim, config.epsilon)
        self.up = nn.Linear(config.dim, config.hidden)
        self.down = nn.Linear(config.hidden, config.dim)
        self.hidden_norm = nn.LayerNorm(config.dim, config.epsilon)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # noqa: D102
        query, key, value = (p(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)
        x = self.attention_norm(x + self.out(attended))
        normed: Tensor = self.hidden_norm(x + self.down(F.gelu(self.up(x))))
        return normed


class Trunk(nn.Module):
    """Embeddings `[batch, tokens, 384]` (word rows or soft tokens) to outputs of the same shape.

    `mask` `[batch, tokens]` is true where there is a token; padding is never attended to.
    """

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(config.positions, config.dim))
        self.norm = nn.LayerNorm(config.dim, config.epsilon)
        self.layers = nn.ModuleList(TrunkLayer(config) for _ in range(config.layers))

    def forward(self, embeddings: Tensor, mask: Tensor) -> Tensor:  # noqa: D102
        x: Tensor = self.norm(embeddings + self.positions[: embeddings.shape[1]])
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :])
        return x
