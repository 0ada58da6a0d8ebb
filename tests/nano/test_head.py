"""The head without torch against the head in torch."""

import numpy as np
import pytest
import torch

from panvec.models.nano.head import Head
from panvec.models.nano.module import Head as TorchHead


@pytest.mark.parametrize("width", [0, 24])
def test_both_heads_give_the_same_vectors(width: int) -> None:
    torch.manual_seed(0)
    head = TorchHead(384)
    if width:
        head.add_bridge(width)
    for tensor in head.state_dict().values():
        tensor.normal_()
    ours = Head({f"head.{name}": tensor.numpy() for name, tensor in head.state_dict().items()})
    sums = torch.randn(5, 384)
    with torch.inference_mode():
        expected = head(sums, torch.arange(5) > 2).numpy()
    np.testing.assert_allclose([ours(each, row > 2) for row, each in enumerate(sums.numpy())], expected, atol=1e-5)


def test_a_new_bridge_is_nothing() -> None:
    head = TorchHead(384)
    sums = torch.randn(3, 384)
    with torch.inference_mode():
        before = head(sums, torch.ones(3, dtype=torch.bool))
        head.add_bridge(8)
        torch.testing.assert_close(head(sums, torch.ones(3, dtype=torch.bool)), before, atol=0, rtol=0)
