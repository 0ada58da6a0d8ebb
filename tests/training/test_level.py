import torch

from panvec.models.nano.module import NanoModule
from panvec.training.level import level


def test_one_dimension_is_the_same_for_all_and_media_move_towards_the_mean() -> None:
    model = NanoModule()
    generator = torch.Generator().manual_seed(0)
    mean = torch.nn.functional.normalize(torch.randn(384, generator=generator), dim=0)
    with torch.no_grad():
        model.head.weight.copy_(torch.linalg.qr(torch.randn(384, 384, generator=generator)).Q)
        model.head.bias.copy_(-0.9 * model.head.weight @ mean)
    before = model.vision.skip.bias.clone()
    level(model, 0.5, 1.0)
    sums = torch.nn.functional.normalize(torch.randn(20, 384, generator=generator), dim=-1)
    raw = sums @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(raw[:, 0], torch.full((20,), 0.5))
    moved = model.vision.skip.bias - before
    torch.testing.assert_close(torch.nn.functional.normalize(moved, dim=0), mean, atol=1e-3, rtol=0)
