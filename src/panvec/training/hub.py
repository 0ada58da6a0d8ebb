"""A sentence-transformers model under training: low-rank adapters (LoRA) in its trunk, and its connectors whole.

Media are decoded anew at each step and towers run with it: nothing of these models is cached. A content longer than the model's
limit is seen as far as its first piece of text goes.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from panvec.content import Limits
from panvec.data.pairs import PartKey, Side, content
from panvec.errors import InputError, ModelError
from panvec.models.hub.load import HubOptions, load_hub
from panvec.models.hub.model import HubModel
from panvec.models.hub.runner import Window
from panvec.training.prepared import Augmentation
from panvec.training.recipe import Hub


@dataclass(frozen=True, eq=False)
class HubItem:
    """A content, decoded, and its prompt."""

    window: Window
    prompt: str


class HubLearner(nn.Module):
    """Prepares contents and embeds them. See `panvec.training.nano.NanoLearner`.

    Args:
        settings: which model, and what of it is trained.
        threads: of torch.

    Raises:
        InputError: a name of what is trained fits nothing in the model.
        ModelError: the model cannot be loaded, or peft is not installed.
    """

    def __init__(self, settings: Hub, *, threads: int | None = None) -> None:
        super().__init__()
        options = HubOptions(revision=settings.revision, dtype="float32", device="cpu")
        self.hub: HubModel = load_hub(settings.model, options, allow_network=False, threads=threads)
        self.model: nn.Module = self.hub.runner.model
        self.preparer = HubPreparer(self.hub)
        self.model.requires_grad_(False)
        _add_adapters(self.model, settings)
        for name in settings.train:
            _unfreeze(self.model, name)
        self.trained = {name for name, parameter in self.model.named_parameters() if parameter.requires_grad}

    def start_released(self) -> None:
        """The model begins as it was loaded; its adapters change nothing yet."""

    def hold_trunk(self, held: bool) -> None:
        """Nothing: recipes of these models have no stage that holds the trunk."""

    def prepare(
        self, sides: list[Side], prompts: list[str], augmentations: list[Augmentation | None] | None = None
    ) -> list[HubItem]:
        """What `forward` takes, of each content. Recipes of these models have no augmented copies.

        Raises:
            PanvecError: a part cannot be read.
        """
        del augmentations
        return [HubItem(self.preparer.window(side), prompt) for side, prompt in zip(sides, prompts, strict=True)]

    def before_training(self, items: list[HubItem]) -> tuple[NDArray[np.int64], Tensor]:
        """No texts: recipes of these models have no matching loss."""
        del items
        return np.empty(0, np.int64), torch.empty(0, self.hub.dims[0], device=self.device)

    def forward(self, items: list[HubItem]) -> Tensor:
        """Unit vectors `[items, dim]`: a batch for each mixture of modalities and each prompt."""
        order = sorted(range(len(items)), key=lambda i: _sort(items[i]))
        rows: list[Tensor] = []
        for (_, prompt), places in itertools.groupby(order, key=lambda i: _sort(items[i])):
            features = self.hub.runner.features([items[i].window for i in places], prompt)
            moved = {key: value.to(self.device) if torch.is_tensor(value) else value for key, value in features.items()}
            rows.append(self.model(moved)["sentence_embedding"].float())
        back = torch.argsort(torch.tensor(order, device=self.device))
        return nn.functional.normalize(torch.cat(rows)[back], dim=-1)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.model.parameters()).device

    def save(self, folder: Path) -> None:
        """Write the model with its adapters merged, as a folder that sentence-transformers and `Embedder` load."""
        merged = copy.deepcopy(self.model).cpu()
        _merge_adapters(merged)
        merged.save_pretrained(str(folder))  # type: ignore[operator]


class HubPreparer:
    """Decodes contents as the model takes them."""

    def __init__(self, hub: HubModel) -> None:
        self._reader, self._limits = hub.reader, Limits()

    def prepare(self, key: PartKey, augmentation: Augmentation | None = None) -> None:
        """Nothing, when the medium can be read; else its PanvecError."""
        del augmentation
        self.window((key,))

    def window(self, side: Side) -> Window:
        """A content as one sequence of the model.

        Raises:
            PanvecError: a part cannot be read.
        """
        whole = content(side)
        blocks = self._reader.whole(whole, self._limits)
        return Window(whole.name, tuple(block for block in blocks if not block.continues))

    def pool(self, texts: Any, progress: Any = None) -> None:
        """Nothing: texts are not cached."""

    def reload(self) -> None:
        """Nothing: there is no cache."""


def _sort(item: HubItem) -> tuple[tuple[str, ...], str]:
    return item.window.kind, item.prompt


def _add_adapters(model: nn.Module, settings: Hub) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ModelError('adapters (LoRA) need peft: pip install "panvec[train]"') from error
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules=settings.adapters
    )
    torch.manual_seed(0)
    try:
        inject_adapter_in_model(config, model)
    except ValueError as error:
        raise InputError(f"hub.adapters: {settings.adapters!r} fits no module of {settings.model}: {error}") from error


def _unfreeze(model: nn.Module, name: str) -> None:
    """Train every parameter in a module called `name`, wherever it is."""
    found = [parameter for path, parameter in model.named_parameters() if name in path.split(".")]
    if not found:
        raise InputError(f"hub.train: the model has no module {name!r}")
    for parameter in found:
        parameter.requires_grad_(True)


def _merge_adapters(model: nn.Module) -> None:
    from peft.tuners.tuners_utils import BaseTunerLayer

    for path, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            above, _, name = path.rpartition(".")
            setattr(model.get_submodule(above), name, module.get_base_layer())
