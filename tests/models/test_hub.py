"""The contract of hub models: contents, tasks, limits, errors, revisions, and no network."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiny
from hub_server import COMMIT, HubServer
from safetensors.torch import load_file, save_file

from panvec import Audio, Content, Embedder, Image, InputError, LimitError, ModelError, PanvecError, Text, Video
from panvec.media.video import Frame
from panvec.models.blocks import EvenlySpaced
from panvec.models.hub.libraries import sentence_transformers

PICTURE = np.random.default_rng(1).integers(0, 255, (96, 96, 3), np.uint8)
SOUND = (0.3 * np.sin(np.arange(8_000) / 5)).astype(np.float32)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_n_contents_give_n_unit_vectors(gemma: Embedder) -> None:
    vectors = gemma.embed(["a", Image(PICTURE), Content("a", Image(PICTURE), Audio(SOUND, hz=16_000))])
    assert vectors.shape == (3, 768)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert gemma.embed([]).shape == (0, 768)
    assert gemma.embed("").shape == (1, 768)


def test_surface(gemma: Embedder, qwen: Embedder, bert: Embedder) -> None:
    assert gemma.dims == (768, 512, 256, 128)
    assert gemma.modalities == ("text", "image", "audio", "video", "document")
    assert qwen.modalities == ("text", "image", "video", "document")
    assert bert.modalities == ("text", "document")
    assert len({gemma.space_id, qwen.space_id, bert.space_id}) == 3
    assert bert.dims == (32,)


def test_settings_say_how_vectors_were_made(models: Path, gemma: Embedder) -> None:
    half = Embedder(models / "gemma2", dtype="bfloat16", towers=("vision",), device="cpu", batch=2).settings
    names = ("dtype", "towers", "device", "batch", "tokens", "frames_per_second", "most_frames")
    assert [half[name] for name in names] == ["bfloat16", ["vision"], "cpu", 2, 8192, 1.0, 32]
    assert (gemma.settings["dtype"], gemma.settings["towers"]) == ("float32", None)


def test_nested_dims_and_precisions(gemma: Embedder) -> None:
    full, short = gemma.embed("rain")[0], gemma.embed("rain", dim=256)[0]
    np.testing.assert_allclose(short, full[:256] / np.linalg.norm(full[:256]), atol=1e-6)
    codes = gemma.embed("rain", precision="int8")[0].astype(np.float32)
    assert cosine(codes, full) > 0.999
    assert gemma.embed("rain", precision="binary").shape == (1, 96)
    with pytest.raises(InputError, match="no dim 384"):
        gemma.embed("rain", dim=384)


def test_nested_dims_of_a_model_whose_card_names_some(models: Path) -> None:
    assert Embedder(models / "bert", dims=(8, 16, 8)).dims == (32, 16, 8)
    for wrong in ((64, 16), (0,)):
        with pytest.raises(InputError, match="dims"):
            Embedder(models / "bert", dims=wrong)
    with pytest.raises(InputError, match="batch"):
        Embedder(models / "bert", batch=0)


def test_a_default_prompt_is_not_for_documents(models: Path, bert: Embedder, tmp_path: Path) -> None:
    copy = shutil.copytree(models / "bert", tmp_path / "default")
    config = json.loads((copy / "config_sentence_transformers.json").read_text())
    named = {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": "query"}
    (copy / "config_sentence_transformers.json").write_text(json.dumps({**config, **named}))
    embedder, library = Embedder(copy), sentence_transformers().SentenceTransformer(str(copy))
    for task, encode in (("document", library.encode_document), ("search query", library.encode_query), (None, library.encode)):
        assert cosine(embedder.embed("rain", task=task)[0], encode("rain")) > 0.9999


def test_contents_may_share_a_medium(gemma: Embedder, media: Path) -> None:
    for make in (lambda: Image(PICTURE), lambda: Audio(SOUND, hz=16_000), lambda: Video(media / "big-rabbit.mp4")):
        one = make()
        shared, apart = gemma.embed([one, Content("see", one), one]), gemma.embed([make(), Content("see", make()), make()])
        assert all(cosine(a, b) > 0.9999 for a, b in zip(shared, apart, strict=True))


def test_the_order_of_parts_counts(gemma: Embedder) -> None:
    one, other = gemma.embed([Content("see ", Image(PICTURE), "now"), Content("see now", Image(PICTURE))])
    assert cosine(one, other) < 0.9999


def test_each_error_stays_with_its_item(qwen: Embedder, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    items = ["fine", Image(tmp_path / "broken.jpg"), Audio(SOUND, hz=16_000), Image(PICTURE), tmp_path / "missing.png"]
    rows = qwen.embed([*items, "half of a pair \ud800"], on_error="return")
    assert [isinstance(row, PanvecError) for row in rows] == [False, True, True, False, True, True]
    assert "takes no audio: it takes text, image, video" in str(rows[2])
    assert cosine(rows[3], qwen.embed(Image(PICTURE))[0]) > 0.9999
    with pytest.raises(PanvecError, match=r"broken\.jpg"):
        qwen.embed(items)


@pytest.mark.parametrize("text", ["<|image|> and <|audio|>", "<eos><bos>", "<|image_pad|><|im_end|>", "<|vision_start|>"])
def test_control_tokens_in_a_text_are_words(gemma: Embedder, qwen: Embedder, text: str) -> None:
    for embedder in (gemma, qwen):
        mixed = embedder.embed([text, "plain", Content(text, Image(PICTURE))])
        assert np.isfinite(mixed).all()
        assert cosine(mixed[0], embedder.embed("")[0]) < 0.9999


def test_texts_that_look_like_files_are_texts(
    gemma: Embedder, bert: Embedder, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for text in (
        str(media / "rocket.jpg"),
        "http://localhost:9/rocket.jpg",
        "data:image/png;base64,AAAA",
        "https://youtu.be/x",
    ):
        for embedder in (gemma, bert):
            assert cosine(embedder.embed(text)[0], embedder.embed(text + ".")[0]) > 0.3
            np.testing.assert_allclose(embedder.embed(text)[0], embedder.embed(Text(text))[0], atol=1e-6)


def test_long_texts_are_averaged_over_windows_and_nothing_is_cut(bert: Embedder) -> None:
    words = "rain on a window at night " * 40
    plain, ending = bert.embed([words, words + "zebra quartz jukebox " * 3])
    assert cosine(plain, ending) < 0.9999
    spans = [span for _, span in bert.embed_segments(words)]
    assert len(spans) > 5
    assert (spans[0].start, spans[-1].end) == (0, len(words))
    assert all(a.end == b.start for a, b in pairwise(spans))
    described = bert.describe(words)
    assert described.windows > 5
    assert described.parts[0].kind == "text"


def test_a_sequence_over_the_limit_is_split_between_its_parts(models: Path, tmp_path: Path) -> None:
    folder = tiny.gemma2(tmp_path / "short", limit=128)
    embedder = Embedder(folder)
    both, first, last = embedder.embed([Content(Image(PICTURE), Image(255 - PICTURE)), Image(PICTURE), Image(255 - PICTURE)])
    assert cosine(both, first + last) > 0.9999
    with pytest.raises(LimitError, match="over the 128"):
        embedder.embed(Video(np.zeros((9, 96, 96, 3), np.uint8), fps=1))


def test_a_text_of_more_tokens_than_were_counted_is_halved(tmp_path: Path) -> None:
    embedder = Embedder(tiny.gemma2(tmp_path / "short", limit=128))
    text = "<|image|>" * 40
    vectors = embedder.embed([text, text + " zebra quartz"])
    assert cosine(*vectors) < 0.9999


def test_segments_say_where(gemma: Embedder, media: Path) -> None:
    pages = gemma.embed_segments(media / "radio-history.pdf", task="document")
    assert [str(span) for _, span in pages] == ["page 1", "page 2", "page 3"]
    silence = Audio(np.full(16_000 * 45, 0.1, np.float32), hz=16_000)
    assert [(span.start, span.end) for _, span in gemma.embed_segments(silence)] == [(0, 30), (30, 45)]
    assert [str(span) for _, span in gemma.embed_segments(Content("look", Image(PICTURE)))] == [""]
    film = Video(np.zeros((70, 32, 32, 3), np.uint8), fps=1)
    assert [(span.start, span.end) for _, span in gemma.embed_segments(film)] == [(0, 30), (30, 60), (60, 70)]


def test_sound_over_half_a_minute_is_all_heard(gemma: Embedder) -> None:
    quiet = np.full(16_000 * 32, 0.1, np.float32)
    loud = quiet.copy()
    loud[-16_000:] = np.sin(np.arange(16_000) / 3)
    assert cosine(*gemma.embed([Audio(quiet, hz=16_000), Audio(loud, hz=16_000)])) < 0.9999


@pytest.mark.parametrize("count", [1, 5, 32, 33, 64, 65, 200, 1001])
def test_frames_are_spaced_evenly_from_first_to_last(count: int) -> None:
    frames = EvenlySpaced(32)
    for second in range(count):
        frames.add(Frame(float(second), PICTURE))
    seconds = [frame.seconds for frame in frames.chosen()]
    assert len(seconds) == min(count, 32)
    assert (seconds[0], seconds[-1]) == (0, count - 1)
    if count > 1:
        assert np.diff(seconds).max() <= 2.1 * max(1, count / 32)


def test_gemma_never_runs_in_float16(models: Path, gemma: Embedder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bfloat16"):
        Embedder(models / "gemma2", dtype="float16")
    copy = shutil.copytree(models / "gemma2", tmp_path / "half")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    with pytest.raises(InputError, match="float16"):
        Embedder(copy)
    (copy / "config.json").write_text(json.dumps({name: value for name, value in config.items() if name != "dtype"}))
    weights = {name: tensor.half() for name, tensor in load_file(copy / "model.safetensors").items()}
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="float16"):
        Embedder(copy)
    brief = Embedder(models / "gemma2", dtype="bfloat16")
    assert cosine(brief.embed("rain")[0], gemma.embed("rain")[0]) > 0.99
    assert cosine(brief.embed(Image(PICTURE))[0], gemma.embed(Image(PICTURE))[0]) > 0.99


def test_towers_are_left_out_on_request(models: Path, gemma: Embedder) -> None:
    text, heard = Embedder(models / "gemma2", towers=()), Embedder(models / "gemma2", towers=("audio",))
    assert text.modalities == ("text", "document")
    assert heard.modalities == ("text", "audio", "document")
    np.testing.assert_allclose(text.embed("rain"), gemma.embed("rain"), atol=1e-5)
    sound = Audio(SOUND, hz=16_000)
    np.testing.assert_allclose(heard.embed(sound), gemma.embed(sound), atol=1e-5)
    with pytest.raises(InputError, match="takes no image"):
        text.embed(Image(PICTURE))
    with pytest.raises(InputError, match="unknown tower"):
        Embedder(models / "gemma2", towers=("smell",))


def test_space_ids_name_the_revision(models: Path, bert: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = shutil.copytree(models / "bert", tmp_path / "elsewhere" / "bert")
    assert Embedder(moved).space_id == bert.space_id
    (moved / "tokenizer_config.json").write_text((moved / "tokenizer_config.json").read_text() + "\n")
    assert Embedder(moved).space_id != bert.space_id

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "cache" / "models--some--bert"
    shutil.copytree(models / "bert", repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    cached = Embedder("some/bert")
    assert cached.space_id == f"bert-{commit[:12]}"
    np.testing.assert_allclose(cached.embed("rain"), bert.embed("rain"), atol=1e-6)
    with pytest.raises(ModelError, match="at revision v9 is neither a folder nor in the local cache"):
        Embedder("some/bert", revision="v9")


def test_nothing_is_downloaded_unless_allowed(tmp_path: Path) -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*a): print('NETWORK'); raise OSError\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from panvec import Embedder\n"
        "Embedder('google/embeddinggemma-2')"
    )
    environment = {"HF_HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert "allow_network=True" in done.stderr
    assert "NETWORK" not in done.stdout


def test_a_model_is_downloaded_where_allowed_without_pickles(models: Path, tmp_path: Path) -> None:
    repository = shutil.copytree(models / "bert", tmp_path / "repository")
    for unwanted in ("pytorch_model.bin", "onnx/model.onnx", "tf_model.h5"):
        (repository / unwanted).parent.mkdir(exist_ok=True)
        (repository / unwanted).write_bytes(b"not wanted")
    server = HubServer("some/bert", repository)
    code = (
        "import sys; from panvec import Embedder; "
        "e = Embedder('some/bert', allow_network=sys.argv[1] == 'yes'); print(e.space_id, float(e.embed('rain')[0, 0]))"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": server.url, "HF_HUB_DISABLE_XET": "1"}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code, allowed], capture_output=True, text=True, env=environment, check=True
        ).stdout
        for allowed in ("yes", "no")
    ]
    server.shutdown()
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith(f"bert-{COMMIT[:12]} ")
    assert "model.safetensors" in server.sent
    assert not [name for name in server.sent if name.endswith((".bin", ".onnx", ".h5"))]


def test_code_of_a_model_is_not_run(models: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(models / "bert", tmp_path / "code")
    config = json.loads((copy / "config.json").read_text())
    auto_map = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": auto_map}))
    (copy / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ModelError, match="trust_remote_code=True"):
        Embedder(copy)
    assert not (tmp_path / "ran").exists()


def test_wrong_options_and_damage_are_named(models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no option 'speed': it takes revision, dtype"):
        Embedder(models / "bert", speed=3)
    with pytest.raises(InputError, match="unknown dtype"):
        Embedder(models / "bert", dtype="int3")
    with pytest.raises(InputError, match="has no revision"):
        Embedder(models / "bert", revision="main")
    with pytest.raises(InputError, match="runs in torch"):
        Embedder(models / "bert", engine="onnx")
    copy = shutil.copytree(models / "bert", tmp_path / "damaged")
    (copy / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot load"):
        Embedder(copy)


@pytest.mark.parametrize("gone", ["modules.json", "1_Pooling/config.json"])
def test_a_model_that_does_not_say_how_it_pools_is_refused(models: Path, tmp_path: Path, gone: str) -> None:
    copy = shutil.copytree(models / "qwen3_vl", tmp_path / "qwen3_vl")
    (copy / gone).unlink()
    with pytest.raises(ModelError, match=f"there is no {copy / gone}, which says how the model pools .*save_pretrained"):
        Embedder(copy)


@pytest.mark.parametrize(
    ("file", "content"), [("modules.json", '{"type": "x"}'), ("modules.json", "[1]"), ("config.json", "[]")]
)
def test_files_of_a_model_that_hold_something_else_are_damaged(models: Path, tmp_path: Path, file: str, content: str) -> None:
    copy = shutil.copytree(models / "qwen3_vl", tmp_path / "qwen3_vl")
    (copy / file).write_text(content)
    with pytest.raises(ModelError, match=f"{copy / file} is damaged"):
        Embedder(copy)


def test_without_sentence_transformers_a_model_says_what_to_install(models: Path) -> None:
    load = f"from panvec import Embedder; Embedder({str(models / 'bert')!r})"
    code = f"import sys; sys.modules['sentence_transformers'] = None; {load}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "panvec[hub]"' in done.stderr
