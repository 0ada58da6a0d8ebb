"""Model soup: the weighted average of checkpoints (Wortsman et al., ICML 2022), kept only if it is no worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from panvec.errors import InputError
from panvec.training import checkpoint


@dataclass(frozen=True)
class Ingredient:
    """A checkpoint of a run, and its weight."""

    run: Path
    step: int
    weight: float = 1.0


def average(ingredients: Sequence[Ingredient]) -> dict[str, Tensor]:
    """The weighted mean of the tensors of checkpoints.

    Raises:
        InputError: there are none, the weights do not sum to more than 0, or the checkpoints hold different tensors.
    """
    total = sum(ingredient.weight for ingredient in ingredients)
    if not ingredients or total <= 0:
        raise InputError("a soup needs at least one checkpoint, and weights that sum to more than 0")
    mixed: dict[str, Tensor] = {}
    for number, ingredient in enumerate(ingredients):
        tensors = checkpoint.model(ingredient.run, ingredient.step)
        if number and {n: t.shape for n, t in tensors.items()} != {n: t.shape for n, t in mixed.items()}:
            raise InputError(
                f"{ingredient.run} step {ingredient.step} holds other tensors than {ingredients[0].run}: not one model"
            )
        for name, tensor in tensors.items():
            share = tensor.to(torch.float64) * (ingredient.weight / total)
            mixed[name] = share if not number else mixed[name] + share
    return {name: tensor.float() for name, tensor in mixed.items()}
