"""A step in chunks and a step over processes are the same step."""

import torch
import torch.nn.functional as F
from torch import nn

from panvec.training.recipe import Loss
from panvec.training.step import Batch, Objective, backward


def toy_batch(rows: int = 6, negatives: int = 0, others: int = 0, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def contents(count: int) -> list[torch.Tensor]:
        return list(torch.randn(count, 5, generator=generator))

    return Batch(
        queries=contents(rows),
        positives=contents(rows),
        query_ids=torch.arange(rows),
        positive_ids=torch.arange(rows),
        negatives=contents(negatives),
        owners=torch.arange(negatives) % rows,
        others=contents(others),
        answers=torch.zeros(rows, others, dtype=torch.bool),
        teachers=F.normalize(torch.randn(2, 6, generator=generator), dim=-1),
        taught=torch.tensor([0, rows]),
    )


class Toy(nn.Module):
    """A learner of plain tensors, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 6))

    def forward(self, contents: list[torch.Tensor]) -> torch.Tensor:
        return F.normalize(self.layers(torch.stack(contents)), dim=-1)


LOSS = Loss(temperature=0.1, learn_temperature=True, hardness=5.0, spread_out=0.5, matching=0.3)


def test_a_step_in_chunks_equals_the_formula_on_the_same_random_choices() -> None:
    """The reference runs the chunks with gradients, all at once in memory, with the same seeds for dropout."""
    batch = toy_batch(negatives=4, others=3)
    learner, objective = Toy(), Objective({"t": LOSS}, (6, 4))
    contents = batch.contents()
    vectors = []
    for number in range(0, len(contents), 4):
        torch.manual_seed(11 + number // 4)
        vectors.append(learner(contents[number : number + 4]))
    reference = objective("t", torch.cat(vectors), batch)
    reference.backward()
    expected = [p.grad.clone() for p in (*learner.parameters(), *objective.parameters())]

    again, once_more = Toy(), Objective({"t": LOSS}, (6, 4))
    loss = backward(again, once_more, "t", batch, chunk=4, seed=11)
    assert abs(loss - reference.item()) < 1e-6
    for parameter, gradient in zip((*again.parameters(), *once_more.parameters()), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_chunks_hold_no_more_than_a_chunk() -> None:
    seen: list[int] = []

    class Counting(Toy):
        def forward(self, contents: list[torch.Tensor]) -> torch.Tensor:
            seen.append(len(contents))
            return super().forward(contents)

    backward(Counting(), Objective({"t": LOSS}, (6,)), "t", toy_batch(rows=10), chunk=3, seed=0)
    assert max(seen) == 3
    assert sum(seen) == 40
