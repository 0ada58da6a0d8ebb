"""That a run decodes each medium once."""

from pathlib import Path

from folders import Calls, picture, tone, write_rows

from panvec import Embedder
from panvec.evaluation import evaluate_local


def test_media_are_decoded_once_a_run(embedder: Embedder, tmp_path: Path, media: Path) -> None:
    rows = []
    for number in range(70):
        picture(tmp_path / "c/images" / f"{number}.png", f"rgb({number}, 9, 9)")
        captions = [f"number {number} of all"] + ["red"] * (number > 2)
        rows.append({"image": f"{number}.png", "captions": captions, "label": number % 2})
    write_rows(tmp_path / "c/captions.jsonl", rows)
    for name, hz in (("low", 110), ("high", 3000)):
        tone(tmp_path / "s/audio" / f"{name}.wav", hz)
    write_rows(
        tmp_path / "s/captions.jsonl", [{"audio": f"{n}.wav", "captions": [f"a {n} tone", "a tone"]} for n in ("low", "high")]
    )
    for kind, names in {
        "video": ("sunset-hills.mov", "big-rabbit.mp4"),
        "document": ("radio-history.pdf", "pancakes.md"),
    }.items():
        rows = [{kind: str(media / name), "captions": [f"it is {name}", "a thing"], "label": name} for name in names]
        write_rows(tmp_path / kind / "captions.jsonl", rows)
    with Calls("read_image", "log_mel", "video._opened", "document._pages") as calls:
        tasks = {score.task for score in evaluate_local(tmp_path, embedder).scores}
    for kind in ("image", "audio", "video", "document"):
        assert f"half caption + {kind} to other captions" in tasks
    assert {"video by class name", "document by class name"} <= tasks
    assert calls.counts == {"read_image": 70, "log_mel": 3, "video._opened": 2, "document._pages": 2}
