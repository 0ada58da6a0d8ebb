"""The trunk in torch: multilingual-e5-small, a 12-layer BERT encoder through which every content goes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from panvec.models.nano.config import TrunkConfig

LINEARS = ("query", "key", "value", "out", "up", "down")


class Adapter(nn.Module):
    """A low-rank addition to a linear layer (LoRA, Hu et al., 2021, arXiv 2106.09685); it begins as nothing."""

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(inputs, rank, bias=False)
        self.expand = nn.Linear(rank, outputs, bias=False)
        nn.init.zeros_(self.expand.weight)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        added: Tensor = self.expand(self.reduce(x))
        return added


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

    def adapters(self, rank: int) -> nn.ModuleDict:
        """An adapter for each linear layer."""
        linears = {name: getattr(self, name) for name in LINEARS}
        return nn.ModuleDict({name: Adapter(each.in_features, each.out_features, rank) for name, each in linears.items()})

    def forward(self, x: Tensor, mask: Tensor, adapters: nn.ModuleDict | None, soft: Tensor) -> Tensor:  # noqa: D102
        def linear(name: str, x: Tensor) -> Tensor:
            y: Tensor = getattr(self, name)(x)
            return y if adapters is None else y + adapters[name](x * soft)

        query, key, value = (linear(name, x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name in LINEARS[:3])
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)
        x = self.attention_norm(x + linear("out", attended))
        normed: Tensor = self.hidden_norm(x + linear("down", F.gelu(linear("up", x))))
        return normed


class Trunk(nn.Module):
    """Embeddings `[batch, tokens, 384]` (word rows or soft tokens) to outputs of the same shape.

    `mask` `[batch, tokens]` is true where there is a token; padding is never attended to. Adapters, one set a layer, act
    at the positions where `soft` `[batch, tokens]` is 1: a text goes through the trunk as it is.
    """

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(config.positions, config.dim))
        self.norm = nn.LayerNorm(config.dim, config.epsilon)
        self.layers = nn.ModuleList(TrunkLayer(config) for _ in range(config.layers))

    def adapters(self, rank: int) -> nn.ModuleList:
        """Adapters of every layer."""
        return nn.ModuleList(layer.adapters(rank) for layer in self.layers if isinstance(layer, TrunkLayer))

    def forward(self, embeddings: Tensor, mask: Tensor, adapters: nn.ModuleList | None, soft: Tensor) -> Tensor:  # noqa: D102
        x: Tensor = self.norm(embeddings + self.positions[: embeddings.shape[1]])
        for number, layer in enumerate(self.layers):
            x = layer(x, mask[:, None, None, :], adapters[number] if adapters else None, soft[..., None])
        return x
