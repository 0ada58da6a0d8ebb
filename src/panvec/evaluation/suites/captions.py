"""Tasks of ours for mteb: images and texts about them, from the hub or from a data folder of `panvec eval local`."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import datasets
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
from mteb.abstasks.task_metadata import TaskMetadata

from panvec.errors import InputError
from panvec.evaluation.data import Selection, read_data
from panvec.evaluation.rows import Captioned
from panvec.evaluation.suites.recipes import LAYOUT, read_recipes

Direction: TypeAlias = Literal["t2i", "i2t"]
_FORMAT = "a data folder (docs/evaluation.md) with image and captions"


@dataclass(frozen=True)
class Source:
    """Where a set of images with texts is.

    Attributes:
        hub: the data set on the Hugging Face hub; "" where there is none.
        revision: a commit of it, in full, since the hub knows no short ones; a branch is no pin.
        files: of the split there, such as "data/test-*.parquet"; "" is all that there are, of every split.
        image: the column of the image, or of a list of them.
        texts: the columns of the texts, each a text or a list of them.
        items: about how many images.
        gigabytes: about how much is fetched; 0 is not known.
        recipes: which texts of Recipe1M's own files, which are read instead of a data folder.
    """

    name: str
    reference: str
    split: str = "test"
    hub: str = ""
    revision: str = "main"
    files: str = ""
    image: str = "image"
    texts: tuple[str, ...] = ("captions",)
    items: int = 0
    gigabytes: float = 0.0
    licence: str = "not specified"
    recipes: str = ""

    @property
    def folder(self) -> str:
        """What its folder is called."""
        return "Recipe1M" if self.recipes else self.name


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "DOCCI",
            "https://google.github.io/docci",
            hub="nicolollo/docci",
            revision="d25e433474a72db3853da8e208d564e9b98795e6",
            files="data/test-*.parquet",
            image="image_file",
            texts=("description",),
            items=5_000,
            gigabytes=2.6,
            licence="cc-by-4.0",
        ),
        Source(
            "TextCaps",
            "https://textvqa.org/textcaps",
            split="val",
            hub="lmms-lab/TextCaps",
            revision="e9e223338832318a6161d04648871c18a024ce85",
            files="data/val-*.parquet",
            texts=("reference_strs",),
            items=3_166,
            gigabytes=0.9,
            licence="cc-by-4.0",
        ),
        Source(
            "MicroVQA",
            "https://jmhb0.github.io/microvqa",
            split="train",
            hub="jmhb/microvqa",
            image="images_list",
            texts=("question",),
            items=1_042,
            licence="cc-by-sa-4.0",
        ),
        Source(
            "AstroLLaVA",
            "https://arxiv.org/abs/2504.08583",
            split="train",
            hub="UniverseTBD/AstroLLaVA_convos",
            revision="35722ab3c19c8831e4e0bb17afa64edaf605d0e6",  # as github.com/crimsonKn1ght/astraq-vl pins it
            texts=("caption",),
            items=29_783,
            licence="cc-by-sa-4.0",
        ),
        Source("ArtCap", "https://doi.org/10.1109/TCSS.2022.3223539", items=3_606),
        Source("Recipe1MIngredients", "http://im2recipe.csail.mit.edu", recipes="ingredients"),
        Source("Recipe1MInstructions", "http://im2recipe.csail.mit.edu", recipes="instructions"),
    )
}


def own_task(name: str, folder: Path | None) -> AbsTaskRetrieval | None:
    """The task of ours of a name such as `DOCCIT2IRetrieval`, its data in `folder`/DOCCI where given; None of another name."""
    directions: tuple[Direction, ...] = ("t2i", "i2t")
    for direction in directions:
        ending = f"{direction.upper()}Retrieval"
        source = SOURCES.get(name.removesuffix(ending))
        if source is not None and name.endswith(ending):
            return caption_task(source, direction, None if folder is None else folder / source.folder)
    return None


def caption_task(source: Source, direction: Direction, folder: Path | None = None) -> AbsTaskRetrieval:
    """Texts to images or images to texts of a source, as a task that `mteb.evaluate` runs.

    Args:
        source: the hub's data, where `folder` is None or not there.
        direction: what finds what. A text is a query as often as it is written, and a candidate once.
        folder: a data folder whose rows have an image and captions, or that of Recipe1M's files.
    """
    name = f"{source.name}{direction.upper()}Retrieval"
    folder = folder if folder is not None and folder.is_dir() else None
    revision = source.revision if source.hub and folder is None else ""
    kind = type(name, (CaptionTask,), {"metadata": _metadata(source, name, direction, revision)})
    task: CaptionTask = kind()
    task.source, task.direction, task.folder = source, direction, folder
    return task


@dataclass(frozen=True)
class Read:
    """Images (not decoded), the texts of each, and what they are: the commit of the hub, else a SHA-256 over the rows."""

    images: datasets.Dataset
    texts: list[list[str]]
    revision: str


class CaptionTask(AbsTaskRetrieval):
    """Retrieval between images and texts; made by `caption_task`. Once read, the revision of its metadata is what was read."""

    source: Source
    direction: Direction
    folder: Path | None

    def load_data(self, num_proc: int | None = None, **_: Any) -> None:  # noqa: ARG002
        """Read the images (not decoded) and texts."""
        if self.data_loaded:
            return
        split = self.metadata.eval_splits[0]
        read = self._read()
        self.metadata.dataset["revision"] = read.revision
        self.dataset = {"default": {split: _retrieval(read.images, read.texts, self.direction)}}
        self.data_loaded = True

    def _read(self) -> Read:
        if self.folder is not None:
            return _of_recipes(self.folder, self.source.recipes) if self.source.recipes else _of_folder(self.folder)
        if not self.source.hub:
            form = LAYOUT if self.source.recipes else f"make {_FORMAT} of it"
            raise InputError(
                f"{self.source.name} is on no hub: get it from {self.source.reference}, {form}, and give the folder above it "
                f"with --data; it must be called {self.source.folder}"
            )
        return _of_hub(self.source)


def _of_folder(folder: Path) -> Read:
    captions: dict[Path, list[str]] = defaultdict(list)
    sets = read_data(folder, Selection())[0]
    for data in sets:
        for row in data.rows:
            if isinstance(row, Captioned) and row.medium.kind == "image":
                captions[row.medium.path] += row.captions
    if not captions:
        raise InputError(f"{folder} holds no images with captions: it needs {_FORMAT}")
    digest = hashlib.sha256("".join(data.sha256 for data in sets).encode()).hexdigest()
    return Read(_files(captions), list(captions.values()), digest)


def _of_recipes(folder: Path, field: str) -> Read:
    recipes, digest = read_recipes(folder, field)
    return Read(_files(recipes), [[text] for text in recipes.values()], digest)


def _of_hub(source: Source) -> Read:
    """The hash of a builder of the hub is the commit that a branch stood at when it was read.

    Files of a split alone are not held against the splits that the data set's card lists.
    """
    files = {source.split: source.files} if source.files else None
    builder = datasets.load_dataset_builder(source.hub, revision=source.revision, data_files=files)
    builder.download_and_prepare(verification_mode="no_checks" if files else "basic_checks")
    rows = _undecoded(builder.as_dataset(split=source.split), source.image)
    found = [(image, texts) for row in rows for image in _first(row[source.image]) if (texts := _texts(source, row))]
    return Read(_images([image for image, _ in found]), [texts for _, texts in found], str(builder.hash))


def _undecoded(rows: datasets.Dataset, column: str) -> datasets.Dataset:
    feature, stored = rows.features[column], datasets.Image(decode=False)
    return rows.cast_column(column, stored if isinstance(feature, datasets.Image) else datasets.List(stored))


def _first(value: Any) -> list[Any]:
    """An image, or the first of a list of them; none where there is none."""
    images = value if isinstance(value, list) else [value]
    return [image for image in images if image is not None][:1]


def _texts(source: Source, row: dict[str, Any]) -> list[str]:
    values = [row[column] if isinstance(row[column], list) else [row[column]] for column in source.texts]
    return [text for texts in values for text in texts if text and text.strip()]


def _files(paths: Iterable[Path]) -> datasets.Dataset:
    return _images([{"bytes": None, "path": str(path)} for path in paths])


def _images(stored: list[dict[str, Any]]) -> datasets.Dataset:
    features = datasets.Features({"id": datasets.Value("string"), "image": datasets.Image()})
    columns = {"id": [f"i{n}" for n in range(len(stored))], "image": stored}
    return datasets.Dataset.from_dict(columns, features=features)


def _retrieval(images: datasets.Dataset, texts: list[list[str]], direction: Direction) -> RetrievalSplitData:
    holders: dict[str, list[str]] = defaultdict(list)
    for image, own in zip(images["id"], texts, strict=True):
        for text in own:
            holders[text].append(image)
    if direction == "t2i":
        written = [(f"t{n}", text) for n, text in enumerate(text for own in texts for text in own)]
        relevant = {query: dict.fromkeys(holders[text], 1) for query, text in written}
        return RetrievalSplitData(queries=_table(written), corpus=images, relevant_docs=relevant, top_ranked=None)
    places = {text: f"t{n}" for n, text in enumerate(holders)}
    relevant = {image: {places[text]: 1 for text in own} for image, own in zip(images["id"], texts, strict=True)}
    corpus = _table((place, text) for text, place in places.items())
    return RetrievalSplitData(queries=images, corpus=corpus, relevant_docs=relevant, top_ranked=None)


def _table(rows: Iterable[tuple[str, str]]) -> datasets.Dataset:
    pairs = list(rows)
    return datasets.Dataset.from_dict({"id": [place for place, _ in pairs], "text": [text for _, text in pairs]})


def _metadata(source: Source, name: str, direction: Direction, revision: str) -> TaskMetadata:
    arrow = "Texts to images" if direction == "t2i" else "Images to texts"
    return TaskMetadata(
        name=name,
        description=f"{arrow} of {source.name}, each image with all of its texts.",
        reference=source.reference,
        dataset={"path": source.hub or source.folder, "revision": revision},
        type="Any2AnyRetrieval",
        category=direction,
        modalities=["text", "image"],
        eval_splits=[source.split],
        eval_langs=["eng-Latn"],
        main_score="recall_at_1" if direction == "t2i" else "hit_rate_at_1",
        date=None,
        domains=None,
        task_subtypes=None,
        license=cast(Any, source.licence),
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation=None,
    )
