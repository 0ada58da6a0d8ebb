"""One step: a batch's vectors, its loss over nested dims, gradients; in chunks (GradCache), and over several processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from panvec.training.losses import Vectors, contrastive, matching, spread_out
from panvec.training.recipe import Loss

_NEAR = 10.0
"""What the distance to a teacher weighs beside telling it from other teachers."""


@dataclass
class Batch:
    """What one process runs in a step: prepared contents, and ids that are equal exactly where contents are.

    `owners` names the row, in this process, that each hard negative belongs to. `others` are the same in every process;
    `answers` `[rows, others]` is true where another's content answers the row's query. `teachers` are the vectors
    before training of queries and positives that have such `[contents, dim]`, with their places in queries + positives;
    `originals` `[2 * rows]` are the ids of what teaches each of them, where that is all there is to learn.
    """

    queries: list[Any]
    positives: list[Any]
    query_ids: Tensor
    positive_ids: Tensor
    negatives: list[Any]
    owners: Tensor
    others: list[Any]
    answers: Tensor
    teachers: Tensor
    taught: Tensor
    originals: Tensor | None = None

    def contents(self) -> list[Any]:
        """All of them in one list: queries, positives, negatives, others."""
        return [*self.queries, *self.positives, *self.negatives, *self.others]


class Objective(nn.Module):
    """The losses of a recipe's tasks, with their temperatures, learned or fixed.

    Args:
        losses: of each task.
        dims: nested dimensions over which contrastive and spread-out losses are summed.
    """

    def __init__(self, losses: dict[str, Loss], dims: Sequence[int]) -> None:
        super().__init__()
        self.losses, self.dims = losses, dims
        self.matches = True
        """Whether the vectors before training are of any use now; a turned space is not theirs."""
        learned = {name: loss for name, loss in losses.items() if loss.learn_temperature}
        self.log_temperatures = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(loss.temperature).log()) for name, loss in learned.items()}
        )

    def temperature(self, task: str) -> Tensor | float:
        """The temperature of a task, kept at least .005."""
        if task in self.log_temperatures:
            learned: Tensor = self.log_temperatures[task]
            return learned.exp().clamp_min(0.005)
        return self.losses[task].temperature

    def forward(self, task: str, vectors: Tensor, batch: Batch) -> Tensor:
        """This process's share of the loss, times the number of processes: the mean over processes is the loss of the batch."""
        if batch.originals is not None:
            return self._distilled(vectors, batch, batch.originals.to(vectors.device), self.temperature(task))
        loss, rows = self.losses[task], len(batch.queries)
        local = _split(vectors, batch)
        joined, mine, ranks = gathered(local)
        total = len(joined.queries)
        value = vectors.new_zeros(())
        for dim in self.dims:
            nested = joined.prefix(dim)
            contrast = contrastive(nested, self.temperature(task), rows=mine, hardness=loss.hardness, symmetric=loss.symmetric)
            value = value + contrast / total
            if loss.spread_out:
                spread = spread_out(nested.queries, joined.query_ids, mine) + spread_out(
                    nested.positives, joined.positive_ids, mine
                )
                value = value + loss.spread_out * spread / total
        if self.matches and loss.matching and len(batch.taught):
            value = value + loss.matching * matching(vectors[: 2 * rows][batch.taught], batch.teachers) / (2 * total)
        return value * ranks

    def _distilled(self, vectors: Tensor, batch: Batch, originals: Tensor, temperature: Tensor | float) -> Tensor:
        """Every content at its teacher, and nearer to it than to other teachers (Reimers & Gurevych, 2020, arXiv 2004.09813).

        A content that is its own teacher has what it should keep: it counts six times.
        """
        taught = vectors[: len(originals)]
        ids = torch.cat([batch.query_ids, batch.positive_ids]).to(vectors.device)
        joined, mine, ranks = gathered(Vectors(taught, batch.teachers, originals, originals))
        away = 1 - (taught * batch.teachers).sum(-1)
        near = ((1 + 5 * (ids == originals)) * away).sum()
        return (contrastive(joined, temperature, rows=mine) + _NEAR * near) / len(joined.queries) * ranks


def _split(vectors: Tensor, batch: Batch) -> Vectors:
    queries, positives, negatives, others = vectors.split(
        [len(batch.queries), len(batch.positives), len(batch.negatives), len(batch.others)]
    )
    query_ids, positive_ids, owners, answers = (
        tensor.to(vectors.device) for tensor in (batch.query_ids, batch.positive_ids, batch.owners, batch.answers)
    )
    return Vectors(queries, positives, query_ids, positive_ids, negatives, owners, others, answers)


def gathered(local: Vectors) -> tuple[Vectors, slice, int]:
    """The vectors of all processes, with gradients to each; the rows of this one; the number of processes.

    Hard negatives stay here (only their own rows see them); `others` are the same everywhere.
    """
    if not dist.is_initialized():
        return local, slice(0, len(local.queries)), 1
    rank, ranks, rows = dist.get_rank(), dist.get_world_size(), len(local.queries)
    sizes = [int(size) for size in _all(torch.tensor([rows], device=local.queries.device))]
    mine = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
    answers = None
    if local.answers is not None:
        answers = local.answers.new_zeros(sum(sizes), local.answers.shape[1])
        answers[mine] = local.answers
    joined = replace(
        local,
        queries=_all_with_gradient(local.queries, sizes),
        positives=_all_with_gradient(local.positives, sizes),
        query_ids=_all_with_gradient(local.query_ids, sizes),
        positive_ids=_all_with_gradient(local.positive_ids, sizes),
        owners=None if local.owners is None else local.owners + mine.start,
        answers=answers,
    )
    return joined, mine, ranks


def _all(tensor: Tensor) -> Tensor:
    found = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(found, tensor.contiguous())
    return torch.cat(found)


def _all_with_gradient(tensor: Tensor, sizes: list[int]) -> Tensor:
    """Rows of all processes, which may have different numbers of them."""
    padded = torch.cat([tensor, tensor.new_zeros(max(sizes) - len(tensor), *tensor.shape[1:])])
    found: Tensor = _Gather.apply(padded)  # type: ignore[no-untyped-call]
    return torch.cat([part[:size] for part, size in zip(found.split(max(sizes)), sizes, strict=True)])


class _Gather(torch.autograd.Function):
    """The same tensor of all processes in a row; back go the sums of all processes' gradients."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        return _all(tensor)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


def backward(
    learner: Callable[[list[Any]], Tensor],
    objective: Objective,
    task: str,
    batch: Batch,
    *,
    chunk: int,
    seed: int,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> float:
    """Add the gradients of a batch's loss; the loss.

    Contents are run `chunk` at a time: first without gradients, then, with the gradients of the loss to the vectors, once
    more each (GradCache, Gao et al., 2021, arXiv 2101.06983), the same random choices both times. Memory is that of a
    chunk, the result that of the whole batch.
    """
    contents = batch.contents()
    chunks = [contents[i : i + chunk] for i in range(0, len(contents), chunk)]

    def run(number: int) -> Tensor:
        torch.manual_seed(seed + number)
        with autocast():
            vectors: Tensor = learner(chunks[number])
        return vectors.float()

    if len(chunks) == 1:
        loss = objective(task, run(0), batch)
        loss.backward()
        return float(loss.detach())
    with torch.no_grad():
        vectors = torch.cat([run(number) for number in range(len(chunks))])
    vectors.requires_grad_()
    loss = objective(task, vectors, batch)
    loss.backward()
    assert vectors.grad is not None  # noqa: S101
    for number, gradient in enumerate(vectors.grad.split([len(part) for part in chunks])):
        run(number).backward(gradient)
    return float(loss.detach())


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """The mean of every gradient over all processes. One message; a parameter that this process did not use counts as zero.

    A wrapper that sends gradients during the backward pass (DistributedDataParallel) takes one backward pass a step, of
    which GradCache has many.
    """
    if not dist.is_initialized():
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for parameter, piece in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        parameter.grad = piece.view_as(parameter).clone()
