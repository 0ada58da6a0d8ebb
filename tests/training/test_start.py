from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from panvec.data.pairs import Pair, text
from panvec.errors import InputError
from panvec.training.nano import NanoLearner
from panvec.training.prepared import Augmentation, Preparer
from panvec.training.recipe import Model
from panvec.training.start import canonical, inverse_root, nested_rotation, solve_ridge, start, told_apart

MEDIA = Path(__file__).parents[2] / "examples" / "media"
PAIRS = [Pair(path.stem, (("image", str(path)),), (text(path.stem),)) for path in sorted(MEDIA.glob("*.jpg"))]


@given(st.integers(1, 30), st.integers(1, 30), st.floats(0.1, 100), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_ridge_by_either_gram_matrix(rows: int, features: int, strength: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(rows, features)), random.normal(size=(rows, 3))
    found = solve_ridge(torch.from_numpy(x), torch.from_numpy(y), strength).numpy()
    expected = Ridge(alpha=strength, fit_intercept=False).fit(x, y).coef_.T
    np.testing.assert_allclose(found, expected.reshape(found.shape), atol=1e-8)


def test_a_nested_rotation_keeps_cosines_and_puts_what_varies_first() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(3000, 384, generator=generator) * torch.linspace(1, 0.05, 384) + 2
    vectors = torch.nn.functional.normalize(vectors, dim=-1)
    head = nested_rotation(vectors)
    torch.testing.assert_close(head @ head.T, torch.eye(384), atol=1e-4, rtol=0)
    spread = (vectors @ head.T).var(0)
    assert spread[:64].sum() > spread[64:128].sum() > spread[128:256].mean() * 64
    assert (vectors @ head.T).mean(0)[:-1].abs().max() < 0.05
    assert (vectors @ head.T)[:, -1].mean() > 0.9
    torch.testing.assert_close(head, nested_rotation(vectors))


def test_few_vectors_give_the_same_rotation_every_time() -> None:
    few = torch.nn.functional.normalize(torch.randn(9, 384, generator=torch.Generator().manual_seed(1)), dim=-1)
    shaken = few + 1e-7 * torch.randn(9, 384, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(nested_rotation(few), nested_rotation(shaken), atol=1e-3, rtol=0)


@pytest.mark.parametrize("items", [12, 80])
def test_inverse_roots_of_few_and_of_many_items(items: int) -> None:
    x = torch.randn(items, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    covariance = x.T @ x + 0.3 * (x.T @ x).diagonal().mean() * torch.eye(40)
    root = inverse_root(x, 0.3)
    torch.testing.assert_close(root @ covariance @ root, torch.eye(40, dtype=torch.float64))


def test_canonical_targets_weigh_directions_by_how_far_they_can_be_known() -> None:
    """Two things that texts say: one that pictures show, and a louder one that they do not."""
    generator = torch.Generator().manual_seed(0)
    shown, unseen = torch.randn(2, 2000, generator=generator)
    features = torch.stack([shown, torch.randn(2000, generator=generator)], 1)
    texts = torch.stack([shown, 5 * unseen, torch.full_like(shown, 7)], 1)
    said = canonical(features, texts, torch.ones(2000)) - texts.mean(0)
    assert torch.corrcoef(torch.stack([said[:, 0], shown]))[0, 1] > 0.98
    assert said[:, 1].std() < 0.5 * said[:, 0].std()
    torch.testing.assert_close(said.norm(dim=-1).mean(), (texts - texts.mean(0)).norm(dim=-1).mean())


def test_many_pictures_of_one_thing_count_as_one() -> None:
    generator = torch.Generator().manual_seed(0)
    features, texts = torch.randn(60, 3, generator=generator), torch.randn(60, 2, generator=generator)
    crowded = [torch.cat([each, each[:1].expand(500, -1)]) for each in (features, texts)]
    weights = torch.tensor([1 / 501] + [1.0] * 59 + [1 / 501] * 500)
    alone, among = canonical(features, texts, torch.ones(60)), canonical(*crowded, weights)[:60]
    spread = [(each - each.mean(0)) / (each - each.mean(0)).norm() for each in (alone, among)]
    torch.testing.assert_close(*spread, atol=0.06, rtol=0)


def test_names_in_a_crowd_are_told_apart_when_a_guess_is_spread_over_them() -> None:
    """A thousand names vary most in what forty share; a guess gives the right one a twentieth, and all a share of the rest."""
    generator = torch.Generator().manual_seed(0)
    crowd = torch.randn(25, 96, generator=generator).repeat_interleave(40, 0)
    names = crowd + 0.3 * torch.randn(1000, 96, generator=generator)
    names = names - names.mean(0)
    guesses = torch.rand(1000, 1000, generator=generator)
    guesses = 0.95 * guesses / guesses.sum(1, keepdim=True) + 0.05 * torch.eye(1000)

    def right(vectors: torch.Tensor) -> float:
        found = (guesses - guesses.mean(0)) @ vectors @ names.T
        return (found.argmax(1) == torch.arange(1000)).float().mean().item()

    vectors = told_apart(names)
    own = (vectors @ names.T).diagonal()
    assert ((vectors @ names.T).fill_diagonal_(-torch.inf).max(1).values < own).float().mean() > 0.99
    assert right(vectors) > 0.9
    assert right(names) < 0.8


def test_small_pictures_are_made_like_others(cache: Path) -> None:
    """Their cells get the same mean and deviation, and the tower takes a thumbnail for what its picture is more often."""
    learner = NanoLearner(Preparer(cache, threads=1))
    both = [
        (learner.preparer.part(pair.query[0]), learner.preparer.part(pair.query[0], Augmentation(1, small=True)))
        for pair in PAIRS
    ]
    both = [(picture, thumbnail) for picture, thumbnail in both if thumbnail.small.all()]
    assert len(both) > 5
    assert not any(picture.small.any() for picture, _ in both)

    classifier = learner.model.vision.classifier

    def agreement() -> float:
        with torch.no_grad():
            sides = [
                [classifier(learner.cells(part)[:, : classifier.in_features]).softmax(-1) for part in pair] for pair in both
            ]
        return sum(float((one * other).sqrt().sum()) for one, other in sides)

    before = agreement()
    start(learner, PAIRS, Model(small_temperature=1))
    assert agreement() > before
    small = torch.cat([learner.cells(thumbnail) for _, thumbnail in both])
    large = torch.cat([learner.cells(learner.preparer.part(pair.query[0])) for pair in PAIRS])
    torch.testing.assert_close(small.mean(0), large.mean(0), atol=1e-3, rtol=1e-3)
    raw = np.concatenate([thumbnail.cells for _, thumbnail in both]).astype(np.float32)
    alive = torch.from_numpy(raw.std(0) > 1e-3)  # a dozen thumbnails leave some features at nothing
    assert alive.float().mean() > 0.98
    torch.testing.assert_close(small.std(0, correction=0)[alive], large.std(0, correction=0)[alive], atol=1e-3, rtol=1e-2)


def test_temperatures_make_the_tower_less_sure(cache: Path) -> None:
    learner = NanoLearner(Preparer(cache, threads=1))
    cells = learner.cells(learner.preparer.part(PAIRS[0].query[0]))
    start(learner, PAIRS, Model(class_temperature=3, small_temperature=1.5))
    with torch.no_grad():
        plain = learner.model.vision.classifier(cells[:, : learner.config.vision.dim])
        for small, temperature in ((False, 3), (True, 1.5)):
            shares = learner.model.vision.shares(cells, torch.full((len(cells),), small))
            torch.testing.assert_close(shares, (plain / temperature).softmax(-1))


def test_small_pictures_alone_have_no_others_to_be_like(cache: Path, tmp_path: Path) -> None:
    pairs = []
    for path in sorted(MEDIA.glob("*.jpg")):
        with PIL.Image.open(path) as picture:
            picture.resize((40, 40)).save(tmp_path / f"{path.stem}.png")
        pairs.append(Pair(path.stem, (("image", str(tmp_path / f"{path.stem}.png")),), (text(path.stem),)))
    with pytest.raises(InputError, match="small_temperature: all training pictures are small"):
        start(NanoLearner(Preparer(cache, threads=1)), pairs, Model(small_temperature=1))
