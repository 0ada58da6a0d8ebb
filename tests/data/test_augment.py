import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from samples import corners
from small_media import plain, tone

from panvec.content import Limits, Video
from panvec.data.augment import (
    Chain,
    Crop,
    Film,
    Flip,
    Gain,
    Jitter,
    Noise,
    Shift,
    Shrink,
    Speed,
    drawn,
    drawn_key,
    picture_augmentation,
    sound_augmentation,
    thumbnail,
    write_film,
)
from panvec.errors import InputError
from panvec.media.video import read_video

pictures = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(lambda size: arrays(np.uint8, (*size, 3)))
seeds = st.integers(0, 2**32)
PICTURES = [Crop(), Flip(), Jitter(), picture_augmentation(), picture_augmentation(letters=True), Shrink(), thumbnail()]
SOUNDS = [Noise(), Shift(), Speed(), Gain(), sound_augmentation()]


@pytest.mark.parametrize("transform", PICTURES, ids=lambda transform: transform.key)
@given(picture=pictures, seed=seeds)
@settings(max_examples=25, deadline=None)
def test_pictures_stay_pictures_and_draws_repeat(transform: Chain, picture: np.ndarray, seed: int) -> None:
    before = picture.copy()
    once, again = drawn(transform, picture, seed), drawn(transform, picture, seed)
    assert once.dtype == np.uint8
    assert once.ndim == 3
    assert once.shape[2] == 3
    assert all(0 < new <= old for new, old in zip(once.shape, picture.shape, strict=True))
    assert np.array_equal(once, again)
    assert np.array_equal(picture, before)


def test_a_thumbnail_is_as_small_as_asked_and_shows_the_same() -> None:
    picture = np.zeros((300, 450, 3), np.uint8)
    picture[:, 225:] = 200
    sides = {drawn(Shrink((24, 128)), picture, seed).shape for seed in range(60)}
    assert all(24 <= height <= 128 and abs(width - 1.5 * height) <= 1 for height, width, _ in sides)
    assert min(sides)[0] < 35
    assert max(sides)[0] > 90
    small = drawn(Shrink((24, 24)), picture, 0)
    assert small.shape == (24, 36, 3)
    assert np.array_equal(small[:, 0], np.zeros((24, 3)))
    assert np.array_equal(small[:, -1], np.full((24, 3), 200))
    with pytest.raises(InputError, match="side is"):
        Shrink((0, 24))


@pytest.mark.parametrize("transform", SOUNDS, ids=lambda transform: transform.key)
def test_sounds_stay_sounds_and_draws_repeat(transform: Chain) -> None:
    sound = tone()
    before = sound.copy()
    draws = [drawn(transform, sound, seed) for seed in range(4)]
    assert all(draw.dtype == np.float32 and np.isfinite(draw).all() for draw in draws)
    assert all(np.array_equal(draw, drawn(transform, sound, seed)) for seed, draw in enumerate(draws))
    assert len({draw.tobytes() for draw in draws}) == 4
    assert np.array_equal(sound, before)


@pytest.mark.parametrize("transform", SOUNDS, ids=lambda transform: transform.key)
def test_no_sound_stays_none_and_silence_silent(transform: Chain) -> None:
    assert len(drawn(transform, np.zeros(0, np.float32), 0)) == 0
    assert not drawn(transform, np.zeros(8_000, np.float32), 0).any()


def test_a_crop_has_the_share_that_it_says() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    shapes = [drawn(Crop((0.25, 0.5)), picture, seed).shape for seed in range(100)]
    shares = [height * width / 60_000 for height, width, _ in shapes]
    assert 0.24 < min(shares) < 0.3
    assert 0.45 < max(shares) < 0.51
    assert all(1.5 * 3 / 4 - 0.02 < width / height < 1.5 * 4 / 3 + 0.02 for height, width, _ in shapes)
    assert len({(height, width) for height, width, _ in shapes}) > 50


def test_a_whole_crop_is_the_picture() -> None:
    shapes = {drawn(Crop((1.0, 1.0)), corners(60, 60), seed).shape for seed in range(20)}
    assert max(shape[0] * shape[1] for shape in shapes) > 0.85 * 3600
    assert all(max(shape[:2]) == 60 for shape in shapes)


def test_flips_are_half_and_never_of_letters() -> None:
    picture = corners()
    flips = [np.array_equal(drawn(Flip(), picture, seed), picture[:, ::-1]) for seed in range(200)]
    assert 60 < sum(flips) < 140
    assert all(np.array_equal(drawn(Flip(), picture, s), picture) for s, flipped in enumerate(flips) if not flipped)
    upright = picture_augmentation(scale=(0.95, 1.0), jitter=0, letters=True)
    plain_chain = replace(upright, transforms=(Crop((0.95, 1.0)), Flip(), Jitter(0, 0, 0)))
    assert all(_left_is_red(drawn(upright, picture, seed)) for seed in range(50))
    assert not all(_left_is_red(drawn(plain_chain, picture, seed)) for seed in range(50))
    assert "flip" in picture_augmentation().key
    assert "flip" not in upright.key


def test_jitter_of_nothing_is_the_picture() -> None:
    assert np.array_equal(drawn(Jitter(0, 0, 0), corners(), 0), corners())


def test_jitter_changes_what_it_says() -> None:
    picture = np.full((8, 8, 3), 80, np.uint8)
    picture[4:] = 120
    brightness = [drawn(Jitter(0.2, 0, 0), picture, seed).mean() for seed in range(50)]
    assert 80 <= min(brightness) < 90
    assert 110 < max(brightness) <= 120
    contrasts = [drawn(Jitter(0, 0.5, 0), picture, seed).astype(int) for seed in range(50)]
    assert all(abs(changed.mean() - 100) < 1 for changed in contrasts)
    assert 20 <= min(np.ptp(changed) for changed in contrasts) < 30
    assert 50 < max(np.ptp(changed) for changed in contrasts) <= 60
    reddish = np.full((8, 8, 3), (150, 100, 100), np.uint8)
    spreads = [np.ptp(drawn(Jitter(0, 0, 0.5), reddish, seed)) for seed in range(50)]
    assert 24 <= min(spreads) < 35
    assert 65 < max(spreads) <= 76


@pytest.mark.parametrize("db", [0.0, 10.0, 20.0])
def test_noise_is_as_loud_as_it_says(db: float) -> None:
    sound = tone(2)
    noise = drawn(Noise((db, db)), sound, 1) - sound
    assert 10 * np.log10(np.mean(sound**2) / np.mean(noise**2)) == pytest.approx(db, abs=0.2)


def test_a_shift_moves_and_fills_with_silence() -> None:
    sound = np.arange(1, 101, dtype=np.float32)
    moves = set()
    for seed in range(100):
        moved = drawn(Shift(0.01, 1_000), sound, seed)
        by = int(np.argmax(moved > 0)) or -int(moved[0] - 1)
        kept = slice(by, None) if by >= 0 else slice(None, by)
        assert len(moved) == 100
        assert np.array_equal(moved[kept], sound[: 100 - by] if by >= 0 else sound[-by:])
        assert np.count_nonzero(moved) == 100 - abs(by)
        moves.add(by)
    assert {-10, 0, 10} <= moves
    assert max(map(abs, moves)) == 10


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_speed_changes_length_and_pitch(factor: float) -> None:
    fast = drawn(Speed((factor, factor)), tone(2, pitch=1_000), 0)
    assert len(fast) == pytest.approx(32_000 / factor, rel=0.01)
    spectrum = np.abs(np.fft.rfft(fast * np.hanning(len(fast))))
    assert np.argmax(spectrum) * 16_000 / len(fast) == pytest.approx(1_000 * factor, rel=0.01)


def test_gain_is_in_decibels_and_stays_below_one() -> None:
    assert drawn(Gain((-20.0, -20.0)), tone(), 0) == pytest.approx(tone() / 10, abs=1e-6)
    assert np.abs(drawn(Gain((20.0, 20.0)), tone(), 0)).max() == 1


def test_keys_tell_transforms_and_draws_apart() -> None:
    different = [*PICTURES, *SOUNDS, Crop((0.5, 1.0)), Jitter(0.2, 0.2, 0.1), Noise((0.0, 1.0)), Shift(0.2), Speed((1.0, 1.1))]
    different += [Gain((0.0, 1.0)), Film(), Film(fps=2), Film(width=64), Film(seconds=1), Film(motions=("still",)), Chain(())]
    keys = [transform.key for transform in different]
    assert len(set(keys)) == len(keys)
    assert [transform.key for transform in (Crop(), Flip(), Jitter(), Noise())] == [
        "crop0.6to1",
        "flip",
        "jitter0.2-0.2-0.2",
        "noise10to30db",
    ]
    assert drawn_key(Crop(), 7) == "crop0.6to1@7"


def test_a_film_cuts_from_photo_to_photo() -> None:
    film = Film(fps=4, seconds=1.5, width=48, height=32)
    photos = [plain("red", (100, 60)), plain("blue", (40, 90)), plain("lime", (20, 20))]
    frames = film.frames(photos, np.random.default_rng(0))
    assert frames.shape == (18, 32, 48, 3)
    assert frames.dtype == np.uint8
    for index, colour in enumerate([(255, 0, 0), (0, 0, 255), (0, 255, 0)]):
        assert (frames[6 * index : 6 * index + 6] == colour).all()
    assert np.array_equal(frames, film.frames(photos, np.random.default_rng(0)))


def test_motions() -> None:
    def shown(motion: str, seed: int) -> np.ndarray:
        return Film(motions=(motion,), width=64, height=48).frames([corners(128, 96)], np.random.default_rng(seed)).astype(int)

    still = shown("still", 0)
    assert (still == still[0]).all()
    assert _quarters(still[0]) == "rgbw"
    for motion in ("pan", "zoom"):
        for seed in range(10):
            frames = shown(motion, seed)
            steps = [np.abs(after - before).mean() for before, after in itertools.pairwise(frames)]
            assert 0 < max(steps) < 40
    pans = {_ends(shown("pan", seed)) for seed in range(20)}
    assert pans == {"left to right", "right to left", "up to down", "down to up"}


def test_a_film_as_a_file(tmp_path: Path) -> None:
    film = Film(fps=2, seconds=2, width=64, height=48, motions=("still",))
    frames = film.frames([corners(128, 96), plain("red", (128, 96))], np.random.default_rng(0))
    write_film(tmp_path / "with.mp4", frames, film.fps, tone(1))
    write_film(tmp_path / "without.mp4", frames, film.fps)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["with.mp4", "without.mp4"]
    for name in ("with", "without"):
        (clip,) = read_video(Video(tmp_path / f"{name}.mp4"), Limits(), fps=2)
        assert clip.end == pytest.approx(4, abs=0.1)
        assert [_quarters(frame.pixels) for frame in clip.frames] == ["rgbw"] * 4 + ["rrrr"] * 4
        assert clip.frames[0].pixels.shape == (48, 64, 3)
        assert (clip.sound is None) == (name == "without")
        if clip.sound is not None:
            assert np.abs(clip.sound[4_000:12_000]).max() == pytest.approx(0.5, abs=0.05)
            assert np.abs(clip.sound[20_000:]).max() < 0.02


def test_a_long_sound_is_cut_to_the_film(tmp_path: Path) -> None:
    frames = np.stack([plain("red")] * 4)
    write_film(tmp_path / "a.mp4", frames, 2, tone(5))
    (clip,) = read_video(Video(tmp_path / "a.mp4"), Limits())
    assert clip.end == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Crop((0.0, 1.0)),
        lambda: Crop((0.5, 1.5)),
        lambda: Crop((0.9, 0.5)),
        lambda: Jitter(brightness=-0.1),
        lambda: Jitter(saturation=1.5),
        lambda: Noise((float("nan"), 1.0)),
        lambda: Shift(-1),
        lambda: Shift(hz=0),
        lambda: Speed((0.0, 1.0)),
        lambda: Gain((1.0, float("inf"))),
        lambda: Film(fps=0),
        lambda: Film(width=33),
        lambda: Film(motions=()),
        lambda: Film(motions=("spin",)),
        lambda: Film().frames([], np.random.default_rng(0)),
        lambda: write_film(Path("never.mp4"), np.zeros((2, 8, 8, 3), np.float32), 1),
        lambda: write_film(Path("never.mp4"), np.zeros((0, 8, 8, 3), np.uint8), 1),
        lambda: write_film(Path("never.mp4"), np.zeros((2, 7, 8, 3), np.uint8), 1),
        lambda: write_film(Path("never.mp4"), np.zeros((2, 8, 8, 3), np.uint8), 0),
    ],
)
def test_what_means_nothing_is_an_error(make: object) -> None:
    with pytest.raises(InputError):
        make()
    assert not Path("never.mp4").exists()


def _quarters(picture: np.ndarray) -> str:
    height, width = picture.shape[:2]
    centres = [picture[height * y // 4, width * x // 4].astype(int) for y in (1, 3) for x in (1, 3)]
    names = {"r": (255, 0, 0), "g": (0, 255, 0), "b": (0, 0, 255), "w": (255, 255, 255)}
    return "".join(min(names, key=lambda name: np.abs(centre - names[name]).sum()) for centre in centres)


def _left_is_red(picture: np.ndarray) -> bool:
    return bool(picture[2, 2, 0] > 200 and picture[2, 2, 1] < 50)


def _ends(frames: np.ndarray) -> str:
    """Which way the view goes over `corners`: to the right comes what is green or white, down what is blue or white."""
    _, green, blue = (frames[-1] - frames[0]).mean(axis=(0, 1))
    if abs(green) > abs(blue):
        return "left to right" if green > 0 else "right to left"
    return "up to down" if blue > 0 else "down to up"
