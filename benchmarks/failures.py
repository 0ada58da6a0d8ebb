"""Where the shipped model is wrong: `python benchmarks/failures.py` writes docs/failures.md.

Queries in words whose answer in examples/media is known: where it is not first, the page shows what is.
"""

from pathlib import Path

import numpy as np

from panvec import Embedder

ROOT = Path(__file__).parents[1]
MEDIA, PAGE = ROOT / "examples" / "media", ROOT / "docs" / "failures.md"
ANSWERS = {
    "a dog catching a ball": "dog-ball.jpg",
    "a dog barking": "dog-bark.ogg",
    "rain on leaves": "rain.opus",
    "a church bell": "church-bell.m4a",
    "a rooster crowing": "rooster.wav",
    "people clapping": "applause.flac",
    "piano music": "piano.mp3",
    "drums": "tabla-drums.mp3",
    "a message on an answering machine": "answering-machine.mp3",
    "someone speaking Spanish": "sentence-spanish.wav",
    "a kitten playing with yarn": "kitten-yarn.jpg",
    "an owl": "owl.heic",
    "a kingfisher": "kingfisher.webp",
    "a pigeon": "pigeon.png",
    "the Eiffel tower": "eiffel-tower.jpg",
    "a city at night": "city-night.jpg",
    "a cup of coffee": "coffee-cup.jpg",
    "yellow flowers": "dandelions.jpg",
    "dogs looking out of a window": "dogs-window.jpg",
    "a bowl of figs": "fig-bowl.tiff",
    "a guitar": "guitar.png",
    "a path in the mountains": "mountain-path.jpg",
    "a railway in a valley": "railway-valley.jpg",
    "a rocket launch": "rocket.jpg",
    "a dancing ballerina": "ballerina-dancing.gif",
    "someone rides a bicycle": "bicycle.gif",
    "a cartoon rabbit": "big-rabbit.mp4",
    "crickets at a pond": "cricket-pond.mkv",
    "a view from a moving train": "railway-ride.webm",
    "sunset over hills": "sunset-hills.mov",
    "how to make pancakes": "pancakes.md",
    "who invented radio?": "radio-history.pdf",
    "why the moon covers the sun": "solar-eclipse.html",
    "search in a sorted list": "binary_search.py",
    "a notice that the office is closed": "scanned-notice.pdf",
    "ein rotes Fahrrad": "fahrrad.txt",
}
WHY = """Why, as far as we know:

- Of sounds the model was trained on ten animals, ten of the city, spoken digits and English speech: applause, rain, bells,
  drums and a piano it knows only as far as they sound like those. Animals are named as `the sound of a rooster`, seldom in
  other words.
- A scanned page without a text layer is a picture of a page: install `panvec[ocr]`.
- Pictures were aligned with 6,090 everyday photos, of people and dogs above all; figs, kingfishers and rockets come from the
  names of ImageNet's classes alone.
- Film was never trained on.
"""
PICTURES = (".jpg", ".png", ".gif", ".webp")


def shown(name: str) -> str:
    """A file as a cell of the table: its picture where a browser has one, and its name."""
    path = f"../examples/media/{name}"
    picture = f'<img src="{path}" width="120"><br>' if name.endswith(PICTURES) else ""
    return f"{picture}[{name}]({path})"


def main() -> None:
    embedder = Embedder()
    files = sorted(path.name for path in MEDIA.iterdir() if path.suffix)
    vectors = [np.stack([v for v, _ in embedder.embed_segments(MEDIA / name, task="document")]) for name in files]
    misses = []
    for query, answer in ANSWERS.items():
        (vector,) = embedder.embed(query, task="search query")
        scores = np.array([(own @ vector).max() for own in vectors])
        order = np.argsort(-scores)
        place = int(np.flatnonzero(order == files.index(answer))[0])
        if place:
            first = files[order[0]]
            misses.append((place + 1, query, first, scores[order[0]], answer, scores[order[place]]))
    lines = [
        "# Failures",
        "",
        f"Of {len(ANSWERS)} queries whose answer in `examples/media` ({len(files)} files of every kind) is known, "
        f"{len(misses)} do not find it first.",
        f"`python benchmarks/failures.py` writes this page, with the weights `{embedder.space_id}`.",
        "",
        "| query | first instead | score | the answer | score | place |",
        "|---|---|---|---|---|---|",
    ]
    for place, query, first, score, answer, own in sorted(misses, reverse=True):
        lines.append(f"| {query} | {shown(first)} | {score:.2f} | {shown(answer)} | {own:.2f} | {place} |")
    lines += ["", WHY]
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    print(f"{PAGE}: {len(misses)} of {len(ANSWERS)}")


if __name__ == "__main__":
    main()
