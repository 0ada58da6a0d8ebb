"""The tasks that follow from rows: which items each needs, and its scores at a dimension."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from panvec.errors import InputError
from panvec.evaluation.data import DataSet
from panvec.evaluation.failures import Failure, worst
from panvec.evaluation.gap import Gap, gap
from panvec.evaluation.metrics import macro_mean, mean, share
from panvec.evaluation.pairs import Similarity, Translations, places_of
from panvec.evaluation.ranking import Links, Ranking, rank
from panvec.evaluation.rows import Captioned, Labelled, Pair, Pictured, Spoken
from panvec.evaluation.score import Score
from panvec.evaluation.scoring import ranked, score_of
from panvec.evaluation.vectors import File, Frames, Item, Rows, Vectors, Words, unit_rows

TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "image": ("a photo of a {}",),
    "audio": ("the sound of {}",),
    "video": ("a video of {}",),
    "document": ("a document about {}",),
    "text": ("a text about {}",),
}
"""What a class is called for each kind of media, and of texts, by default."""


class Task(Protocol):
    """Something to score."""

    @property
    def items(self) -> Iterable[Item]:
        """What has to be embedded."""
        ...

    def scores(self, vectors: Vectors, dim: int, seed: int) -> Iterator[Score]:
        """With the vectors of `items`."""
        ...


@runtime_checkable
class Shows(Protocol):
    """A task that can show its worst misses."""

    def failures(self, vectors: Vectors, dim: int) -> list[Failure]:
        """With the vectors of `items`."""
        ...


def tasks_of(data: DataSet, templates: Mapping[str, Sequence[str]]) -> list[Task]:
    """Every task that the rows of a data set allow; mixes, which embed every medium again, of whole data sets only."""
    tasks: list[Task] = []
    for kind in TEMPLATES:
        captioned = [row for row in data.rows if isinstance(row, Captioned) and row.medium.kind == kind]
        labelled = [row for row in data.rows if isinstance(row, Labelled) and row.medium.kind == kind]
        if captioned:
            captions = Captions(captioned)
            tasks.append(CaptionRetrieval(data.name, captions))
        if captioned and kind != "text":
            tasks.append(MixedPool(data.name, captions))
        if captioned and kind != "text" and not data.part and any(captions.others):
            tasks.append(Interleaved(data.name, captions))
        if labelled:
            tasks.append(ByClassName(data.name, labelled, data.class_names, templates[kind]))
    spoken = [row for row in data.rows if isinstance(row, Spoken)]
    pictured = [row for row in data.rows if isinstance(row, Pictured)]
    translated = [row for row in data.rows if isinstance(row, Pair) and row.score is None]
    scored = [row for row in data.rows if isinstance(row, Pair) and row.score is not None]
    tasks += [Translations(data.name, translated)] if translated else []
    tasks += [Similarity(data.name, scored)] if len(scored) > 1 else []
    return tasks + ([Speech(data.name, spoken)] if spoken else []) + ([Pictures(data.name, pictured)] if pictured else [])


class Captions:
    """Captioned media, each file once, and their texts, each wording once.

    Attributes:
        media, texts, items: the media, the texts, both.
        own: of each medium, its texts, in order.
        holders: of each text, the media that have it.
        queries: of each caption of each medium, its text.
        right: of each query, the media that have it.
        others: of each medium, the texts of its captions after the first that say something else.
    """

    def __init__(self, rows: list[Captioned]) -> None:
        captions: dict[File | Words, list[str]] = defaultdict(list)
        for row in rows:
            captions[row.medium] += row.captions
        places = places_of(text for texts in captions.values() for text in texts)
        self.kind = rows[0].medium.kind
        self.media: list[Item] = [(medium,) for medium in captions]
        self.texts: list[Item] = [(Words(text),) for text in places]
        self.items = self.media + self.texts
        self.own = [list(dict.fromkeys(places[text] for text in texts)) for texts in captions.values()]
        self.holders: list[list[int]] = [[] for _ in places]
        for medium, texts in enumerate(self.own):
            for text in texts:
                self.holders[text].append(medium)
        self.queries = [places[text] for texts in captions.values() for text in texts]
        self.right = Links([self.holders[text] for text in self.queries], len(self.media))
        self.first = [texts[0] for texts in self.own]
        self.others = [texts[1:] for texts in self.own]


class CaptionRetrieval:
    """Captions to their media or texts, and back."""

    def __init__(self, data: str, captions: Captions) -> None:
        self.data, self.captions, self.items = data, captions, captions.items
        self.own = Links(captions.own, len(captions.texts))
        text = "caption" if captions.kind == "text" else "text"
        self.names = f"{text} to {captions.kind}", f"{captions.kind} to {text}"

    def scores(self, vectors: Vectors, dim: int, seed: int) -> Iterator[Score]:
        """Both ways."""
        there, back = self._rankings(vectors, dim)
        yield from ranked(self.data, self.names[0], there, dim, seed, "R@1", "R@5", "R@10", "nDCG@10")
        yield from ranked(self.data, self.names[1], back, dim, seed, "R@1", "nDCG@10")

    def failures(self, vectors: Vectors, dim: int) -> list[Failure]:
        """The worst of both ways."""
        known = self.captions
        there, back = self._rankings(vectors, dim)
        queries = [known.texts[text] for text in known.queries]
        return [
            *worst(self.data, self.names[0], there, queries, known.media, known.right),
            *worst(self.data, self.names[1], back, known.media, known.texts, self.own),
        ]

    def _rankings(self, vectors: Vectors, dim: int) -> tuple[Ranking, Ranking]:
        known = self.captions
        media, texts = vectors.of(known.media, dim), vectors.of(known.texts, dim)
        return rank(texts.take(known.queries), media, known.right), rank(media, texts, self.own)

    def gap(self, vectors: Vectors, dim: int) -> Gap | None:
        """Between the media and their texts; None of texts, which are of one modality."""
        known = self.captions
        if known.kind == "text":
            return None
        return gap(self.data, known.kind, "text", vectors.of(known.media, dim), vectors.of(known.texts, dim), known.own)


class MixedPool:
    """Captions to their media among as many captions of other media."""

    def __init__(self, data: str, captions: Captions) -> None:
        self.data, self.captions, self.items = data, captions, captions.items
        holders = (captions.holders[text] for text in captions.queries)
        self.own = [{text for medium in media for text in captions.own[medium]} for media in holders]

    def scores(self, vectors: Vectors, dim: int, seed: int) -> Iterator[Score]:
        """R@10, and the share that it keeps of R@10 among media alone."""
        known = self.captions
        media, texts = vectors.of(known.media, dim), vectors.of(known.texts, dim)
        queries, relevant = texts.take(known.queries), known.right
        added = self._added(seed)
        pure = rank(queries, media, relevant).values("R@10")
        pool = _joined(media, texts.take(added))
        mixed = rank(queries, pool, lambda part: _padded(relevant(part), len(added)), self._left_out(added))
        task = f"text to {known.kind}, mixed pool"
        yield from ranked(self.data, task, mixed, dim, seed, "R@10")
        if pure.any():
            kept = share(mixed.values("R@10"), pure, seed)
            yield score_of(self.data, task, "R@10 kept", kept, mixed, dim)

    def _added(self, seed: int) -> list[int]:
        """Texts in random order: enough that every query finds one of another medium for each medium, if there are."""
        enough = len(self.captions.media) + max(map(len, self.own))
        return [int(text) for text in np.random.default_rng(seed).permutation(len(self.captions.texts))[:enough]]

    def _left_out(self, added: list[int]) -> _Added:
        place = {text: i for i, text in enumerate(added)}
        own = [[place[text] for text in texts if text in place] for texts in self.own]
        return _Added(Links(own, len(added)), len(self.captions.media))


class _Added:
    """Of a pool of media and added texts, those of a query that are its own, or over as many as there are media."""

    def __init__(self, own: Links, media: int) -> None:
        self.own, self.media = own, media

    def __call__(self, part: slice) -> NDArray[np.bool_]:
        """`[queries of the slice, media + added]`."""
        foreign = ~self.own(part)
        used = foreign & (foreign.cumsum(1) <= self.media)
        return np.concatenate([np.zeros((len(used), self.media), np.bool_), ~used], axis=1)


class Interleaved:
    """The first half of a medium's first caption with the medium as one content, to its other captions; and each alone."""

    def __init__(self, data: str, captions: Captions) -> None:
        used = [medium for medium, others in enumerate(captions.others) if others]
        places = places_of(text for medium in used for text in captions.others[medium])
        first = [captions.first[medium] for medium in used]
        self.data, self.kind = data, captions.kind
        self.texts = [captions.texts[text] for text in places]
        self.relevant = Links([[places[text] for text in captions.others[medium]] for medium in used], len(places))
        self.whole = Links([[places[text]] if text in places else [] for text in first], len(places))
        self.media = [captions.media[medium] for medium in used]
        self.halves: list[Item] = [(_half(captions.texts[text]),) for text in first]
        self.mixes: list[Item] = [(*half, *medium) for half, medium in zip(self.halves, self.media, strict=True)]

    @property
    def items(self) -> Iterable[Item]:
        """Half captions, media, both as one, and the texts."""
        return [*self.mixes, *self.halves, *self.media, *self.texts]

    def scores(self, vectors: Vectors, dim: int, seed: int) -> Iterator[Score]:
        """R@1 and R@10 of the three kinds of query against the same texts."""
        texts = vectors.of(self.texts, dim)
        queries = {f"half caption + {self.kind}": self.mixes, "half caption": self.halves, self.kind: self.media}
        for name, items in queries.items():
            ranking = rank(vectors.of(items, dim), texts, self.relevant, self.whole)
            yield from ranked(self.data, f"{name} to other captions", ranking, dim, seed, "R@1", "R@10")


class ByClassName:
    """Media or texts to the name of their class, each name in a template; with several templates, their mean vector."""

    def __init__(self, data: str, rows: list[Labelled], class_names: list[str], templates: Sequence[str]) -> None:
        wrong = [template for template in templates if "{}" not in template]
        if wrong or not templates:
            raise InputError(f"{wrong[0] if wrong else templates!r} is no template: it needs {{}} for the name of the class")
        self.data, self.templates, self.class_names = data, templates, class_names
        self.kind = rows[0].medium.kind
        self.media: list[Item] = [(row.medium,) for row in rows]
        place = places_of(class_names)
        self.gold = [place[row.class_name] for row in rows]
        self.right = Links([[name] for name in self.gold], len(class_names))
        self.prompts: list[Item] = [(Words(t.replace("{}", name)),) for name in class_names for t in templates]

    @property
    def items(self) -> Iterable[Item]:
        """Media and prompts."""
        return [*self.media, *self.prompts]

    def scores(self, vectors: Vectors, dim: int, seed: int) -> Iterator[Score]:
        """Accuracy over media, and its mean over classes."""
        ranking = self._ranking(vectors, dim)
        right, task = ranking.values("R@1"), f"{self.kind} by class name"
        yield score_of(self.data, task, "macro accuracy", macro_mean(right, np.array(self.gold), seed), ranking, dim)
        yield score_of(self.data, task, "accuracy", mean(right, seed), ranking, dim, list(right))

    def failures(self, vectors: Vectors, dim: int) -> list[Failure]:
        """The media whose class stands lowest among the names."""
        names: list[Item] = [(Words(name),) for name in self.class_names]
        return worst(self.data, f"{self.kind} by class name", self._ranking(vectors, dim), self.media, names, self.right)

    def _ranking(self, vectors: Vectors, dim: int) -> Ranking:
        prompts = vectors.of(self.prompts, dim).vectors
        names = unit_rows(prompts.reshape(len(self.class_names), len(self.templates), dim).mean(1))
        return rank(vectors.of(self.media, dim), names, self.right)


class Speech:
    """Spoken captions to their text and to their photo. Recordings of one wording share texts and photos."""

    def __init__(self, data: str, rows: list[Spoken]) -> None:
        self.data = data
        texts = places_of(row.text for row in rows)
        photos = places_of(row.photo for row in rows if row.photo)
        seen: list[set[int]] = [set() for _ in texts]
        for row in rows:
            if row.photo:
                seen[texts[row.text]].add(photos[row.photo])
        illustrated = [row for row in rows if seen[texts[row.text]]]
        self.texts: list[Item] = [(Words(text),) for text in texts]
        self.photos: list[Item] = [(photo,) for photo in photos]
        self.recordings: list[Item] = [(row.audio,) for row in rows]
        self.illustrated: list[Item] = [(row.audio,) for row in illustrated]
        self.said = Links([[texts[row.text]] for row in rows], len(texts))
        self.seen = Links([seen[texts[row.text]] for row in illustrated], len(photos))

    @property
    def items(self) -> Iterable[Item]:
        """Recordings, texts and photos."""
        return [*self.recordings, *self.texts, *self.photos]

    def scores(self, vectors: Vectors, dim: int, seed: int) -> Iterator[Score]:
        """R@1 to the text, R@5 to the photo."""
        yield from ranked(self.data, "speech to text", self._heard(vectors, dim), dim, seed, "R@1")
        if self.illustrated:
            seen = rank(vectors.of(self.illustrated, dim), vectors.of(self.photos, dim), self.seen)
            yield from ranked(self.data, "speech to image", seen, dim, seed, "R@5")

    def failures(self, vectors: Vectors, dim: int) -> list[Failure]:
        """The recordings whose text stands lowest."""
        return worst(self.data, "speech to text", self._heard(vectors, dim), self.recordings, self.texts, self.said)

    def _heard(self, vectors: Vectors, dim: int) -> Ranking:
        return rank(vectors.of(self.recordings, dim), vectors.of(self.texts, dim), self.said)


class Pictures:
    """Pictures in one content, and as the frames of a video, to the text about them."""

    def __init__(self, data: str, rows: list[Pictured]) -> None:
        places = places_of(row.text for row in rows)
        self.data = data
        self.texts: list[Item] = [(Words(text),) for text in places]
        self.contents: list[Item] = [row.pictures for row in rows]
        self.videos: list[Item] = [(Frames(tuple(picture.path for picture in row.pictures)),) for row in rows]
        self.relevant = Links([[places[row.text]] for row in rows], len(places))

    @property
    def items(self) -> Iterable[Item]:
        """Contents, videos and texts."""
        return [*self.contents, *self.videos, *self.texts]

    def scores(self, vectors: Vectors, dim: int, seed: int) -> Iterator[Score]:
        """R@5 of both."""
        texts = vectors.of(self.texts, dim)
        for name, items in (("images", self.contents), ("images as video", self.videos)):
            ranking = rank(vectors.of(items, dim), texts, self.relevant)
            yield from ranked(self.data, f"{name} to text", ranking, dim, seed, "R@5")


def _half(text: Item) -> Words:
    """The first half of the words of a text, at least one."""
    words = "".join(part.text for part in text if isinstance(part, Words)).split()
    return Words(" ".join(words[: max(1, len(words) // 2)]))


def _joined(first: Rows, second: Rows) -> Rows:
    return Rows(np.concatenate([first.vectors, second.vectors]), np.concatenate([first.there, second.there]))


def _padded(mask: NDArray[np.bool_], columns: int) -> NDArray[np.bool_]:
    return np.pad(mask, ((0, 0), (0, columns)))
