"""What a job costs where the model is hosted, about, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass, fields

MILLION = 1_000_000


@dataclass(frozen=True)
class Amount:
    """What is charged for: tokens of text (about four bytes each), pictures and pages, seconds of sound, frames of video.

    `film`: how many seconds the video is long.
    """

    tokens: int = 0
    images: int = 0
    seconds: float = 0.0
    frames: int = 0
    film: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def weight(self) -> float:
        """What all of it is in tokens, as Gemini counts them (ai.google.dev/gemini-api/docs/tokens)."""
        return self.tokens + 258 * (self.images + self.frames) + 32 * self.seconds


@dataclass(frozen=True)
class Most:
    """What a service takes as one content: tokens of text, about; pictures and pages; seconds of sound; seconds of video."""

    tokens: int = 10**9
    images: int = 10**9
    seconds: float = 10**9
    film: float = 10**9

    def holds(self, amount: Amount) -> bool:
        """Whether it is not too much."""
        return all(getattr(amount, each.name) <= getattr(self, each.name) for each in fields(self))


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens of text, a picture, a second of sound, a frame of video."""

    tokens: float
    image: float = 0.0
    second: float = 0.0
    frame: float = 0.0

    def of(self, amount: Amount) -> float:
        """US dollars."""
        media = amount.images * self.image + amount.seconds * self.second + amount.frames * self.frame
        return amount.tokens * self.tokens / MILLION + media


PRICES = {
    # ai.google.dev/gemini-api/docs/pricing and platform.openai.com/docs/pricing, standard tier, 2026.
    "gemini-embedding-2": Price(0.20, image=0.00012, second=0.00016, frame=0.00079),
    "gemini-embedding-001": Price(0.15),
    "text-embedding-3-large": Price(0.13),
    "text-embedding-3-small": Price(0.02),
    "text-embedding-ada-002": Price(0.10),
}


@dataclass(frozen=True)
class Estimate:
    """What a job would be: `usd` is None where the price is not known, 0 where nothing is sent anywhere."""

    contents: int
    amount: Amount
    usd: float | None

    def __add__(self, other: Estimate) -> Estimate:
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Estimate(self.contents + other.contents, self.amount + other.amount, usd)

    def __str__(self) -> str:
        price = "at an unknown price" if self.usd is None else f"about {self.usd:.4f} US dollars"
        return f"{self.contents} contents, about {self.amount.tokens} tokens of text, {price}"
