"""Train nano's first connectors on cached tower outputs: closed form, then contrastive through the frozen trunk.

    python -m panvec.training.connectors --data DIR --run runs/first

`DIR` holds `flickr8k/captions.jsonl`, `flickr8k_speech/captions.jsonl`, `animal_sounds/labels.jsonl` and
`urbansound8k/labels.jsonl` with their media. Of the sounds, a fifth of animal_sounds (by a checksum of the file name)
and fold 3 of urbansound8k are held back; of flickr8k, its dev photos.
"""

import argparse
import json
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from panvec.models.nano.config import MARKERS, QUERY, WEIGHTS
from panvec.models.nano.connectors import AudioConnector, VisionConnector
from panvec.models.nano.module import NanoModule
from panvec.models.nano.release import release
from panvec.models.nano.sequence import Array
from panvec.training.features import Texts, audio_features, image_features

SOUND_PHRASES = ("{}", "a {}", "the sound of a {}", "{} sound")
_TEXT_NORM = 4.5
"""About the length of the trunk's pooled output for a sentence, so that media weigh like text in a mixed content."""


@dataclass
class Media:
    """Items of one modality: features of each, and the rows of `texts` that describe it."""

    features: list[Tensor]
    texts: Tensor
    positives: list[list[int]]
    train: list[int]
    dev: list[int]
    groups: list[int]
    """Of each item, which of the data sets that make up the modality."""


def load_images(data: Path, cache: Path, texts: Texts) -> Media:
    """Flickr8k: five captions a photo."""
    rows = _rows(data / "flickr8k/captions.jsonl")
    features = image_features([data / "flickr8k/images" / row["image"] for row in rows], cache / "flickr8k.npy")
    vectors = texts.encode([c for row in rows for c in row["captions"]], QUERY, cache / "flickr8k_captions.npy")
    positives = np.arange(len(vectors)).reshape(len(rows), -1).tolist()
    return _media(features, vectors, positives, [r["split"] == "train" for r in rows], [0] * len(rows))


def load_sounds(data: Path, cache: Path, texts: Texts) -> Media:
    """Sounds with their class's phrases, and spoken captions with their text."""
    sounds = [
        ("animal_sounds", r, zlib.crc32(r["audio"].encode()) % 5 != 0) for r in _rows(data / "animal_sounds/labels.jsonl")
    ]
    sounds += [("urbansound8k", r, r["fold"] != 3) for r in _rows(data / "urbansound8k/labels.jsonl")]
    speech = [("flickr8k_speech", r, r["split"] == "train") for r in _rows(data / "flickr8k_speech/captions.jsonl")]
    labels = sorted({row["label"] for _, row, _ in sounds})
    phrases = [phrase.format(label) for label in labels for phrase in SOUND_PHRASES]
    vectors = texts.encode(phrases + [row["text"] for _, row, _ in speech], QUERY, cache / "audio_texts.npy")
    width = len(SOUND_PHRASES)
    positives = [list(range(i * width, i * width + width)) for i in (labels.index(row["label"]) for _, row, _ in sounds)]
    positives += [[len(phrases) + i] for i in range(len(speech))]
    paths = [data / folder / "audio" / row["audio"] for folder, row, _ in sounds + speech]
    features = audio_features(paths, cache / "audio.npz")
    groups = [("animal_sounds", "urbansound8k", "flickr8k_speech").index(folder) for folder, _, _ in sounds + speech]
    return _media(features, vectors, positives, [t for _, _, t in sounds + speech], groups)


def _media(features: list[Array], vectors: Array, positives: list[list[int]], train: list[bool], groups: list[int]) -> Media:
    texts = F.normalize(torch.from_numpy(vectors), dim=-1)
    split = [[i for i, t in enumerate(train) if t is wanted] for wanted in (True, False)]
    return Media([torch.from_numpy(f).float() for f in features], texts, positives, split[0], split[1], groups)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Pooler:
    """Media of one modality through connector, trunk and mean pool: what the engine does to a content of one part."""

    def __init__(self, model: NanoModule, kind: str, ends: Tensor) -> None:
        self.model, self.kind, self.ends = model, kind, ends
        self.connector: VisionConnector | AudioConnector = model.vision if kind == "image" else model.audio
        self.gate = ("image", "audio").index(kind)

    def parts(self, features: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Features of items to the trunk's gated sums and the skips' sums `[batch, 384]`, and tokens an item `[batch]`."""
        counts = [len(f) for f in features]
        tokens, skips = self.connector(torch.cat(features))
        begin, end = (self.model.markers.tokens[MARKERS.index(name)] for name in (self.kind, f"/{self.kind}"))
        longest = max(counts) + 4
        rows, weights, mask = [], [], torch.zeros(len(counts), longest, dtype=torch.bool)
        media, marker = self.model.markers.gates[self.gate], self.model.markers.gates[2]
        for i, piece in enumerate(tokens.split(counts)):
            row = torch.cat([self.ends[:1], begin[None], piece, end[None], self.ends[1:]])
            rows.append(F.pad(row, (0, 0, 0, longest - len(row))))
            one = torch.ones(1)
            weight = torch.cat([one, marker[None], media.expand(len(piece)), marker[None], one])
            weights.append(F.pad(weight, (0, longest - len(weight))))
            mask[i, : len(row)] = True
        sums = self.model.sums(torch.stack(rows), mask, torch.stack(weights))
        return sums, torch.stack([s.sum(0) for s in skips.split(counts)]), torch.tensor(counts, dtype=torch.float32)

    def __call__(self, features: list[Tensor]) -> Tensor:
        """Unit vectors `[batch, 384]`, before the head."""
        sums, skips, _ = self.parts(features)
        return F.normalize(sums + skips, dim=-1)

    @torch.inference_mode()
    def all(self, features: list[Tensor]) -> Tensor:
        """`__call__` in batches."""
        return torch.cat([self(list(features[i : i + 128])) for i in range(0, len(features), 128)])


def start_closed_form(pooler: Pooler, media: Media, ridge: float) -> None:
    """Set the skip so that sums of trunk and skip come nearest, in ridge regression, to the mean of an item's texts."""
    connector, train = pooler.connector, media.train
    features = torch.stack([media.features[i].flatten(1).mean(0) for i in train])
    every = torch.cat([media.features[i].flatten(1) for i in train[:: max(1, len(train) // 2000)]])
    connector.mean.copy_(features.mean(0))
    connector.gain.copy_(1 / (every if pooler.kind == "image" else features).std(0).clamp_min(1e-3))
    with torch.inference_mode():
        batches = [pooler.parts([media.features[i] for i in train[k : k + 128]]) for k in range(0, len(train), 128)]
    sums, counts = (torch.cat([b[j] for b in batches]) for j in (0, 2))
    target = torch.stack([media.texts[media.positives[i]].mean(0) for i in train]) * _TEXT_NORM
    target = ((counts + 4)[:, None] * target - sums) / counts[:, None]
    x, bias = (features - connector.mean) * connector.gain, target.mean(0)
    weight = _ridge(x.double(), (target - bias).double(), ridge).float()
    with torch.no_grad():
        connector.skip.bias.copy_(bias)
        if isinstance(connector, VisionConnector):
            connector.skip.weight.copy_(weight.T)
        else:
            left, values, right = torch.linalg.svd(weight, full_matrices=False)
            rank = connector.reduce.weight.shape[0]
            spread = (x @ left[:, :rank]).std(0)
            connector.reduce.weight.copy_((left[:, :rank] / spread).T)
            connector.skip.weight.copy_((values[:rank, None] * right[:rank] * spread[:, None]).T)


def _ridge(x: Tensor, y: Tensor, ridge: float) -> Tensor:
    tall = x.shape[0] > x.shape[1]
    gram = x.T @ x if tall else x @ x.T
    gram.diagonal().add_(ridge)
    solved: Tensor = torch.linalg.solve(gram, x.T @ y if tall else y)
    return solved if tall else x.T @ solved


def start_tokens(model: NanoModule, texts: Texts) -> None:
    """Class names' mean word rows, at the length of a word row; markers from words; no linear term yet."""
    names = json.loads((WEIGHTS / "vision_classes.json").read_text(encoding="utf-8"))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model.vision.classes.copy_(torch.stack([texts.rows(", ".join(n)).mean(0) for n in names]))
        model.vision.classes.mul_(1.6 / model.vision.classes.norm(dim=-1, keepdim=True))
        model.vision.token.weight.zero_(), model.vision.token.bias.zero_()
        model.audio.token.weight.normal_(0, 0.02, generator=generator)
        model.audio.token.bias.copy_(texts.rows("sound").mean(0))
        for i, name in enumerate(MARKERS):
            model.markers.tokens[i].copy_(texts.rows(name.replace("/", "end of ")).mean(0))
        model.markers.gates.copy_(torch.tensor([0.3, 0.3, 0.5]))


@dataclass
class Memory:
    """The last vectors of items, as further negatives of the texts (cross-batch memory: Wang et al., CVPR 2020)."""

    size: int
    items: list[int]
    vectors: Tensor

    def push(self, items: list[int], vectors: Tensor) -> None:
        """Add a batch, forget what is oldest."""
        self.items = (self.items + items)[-self.size :]
        self.vectors = torch.cat([self.vectors, vectors.detach()])[-self.size :]


def contrast(vectors: Tensor, items: list[int], media: Media, memory: Memory, temperature: float) -> Tensor:
    """Symmetric InfoNCE: item to all training texts (its own others masked), text to the items of this batch and the last."""
    bank = sorted({p for i in media.train for p in media.positives[i]})
    column = {p: c for c, p in enumerate(bank)}
    logits = vectors @ media.texts[bank].T / temperature
    own = torch.zeros_like(logits, dtype=torch.bool)
    for row, i in enumerate(items):
        own[row, [column[p] for p in media.positives[i]]] = True
    chosen = [media.positives[i][int(torch.randint(len(media.positives[i]), ()))] for i in items]
    positive = logits.gather(1, torch.tensor([column[p] for p in chosen])[:, None])
    to_text = torch.cat([positive, logits.masked_fill(own, -torch.inf)], 1).log_softmax(1)[:, 0]
    among = media.texts[chosen] @ torch.cat([vectors, memory.vectors]).T / temperature
    same = torch.tensor([[p in media.positives[i] for i in items + memory.items] for p in chosen])
    same[:, : len(items)].fill_diagonal_(False)
    to_item = among.masked_fill(same, -torch.inf).log_softmax(1).diagonal()
    return -(to_text + to_item).mean() / 2


def train(model: NanoModule, jobs: list[tuple[Pooler, Media, int]], args: argparse.Namespace) -> None:
    """Contrastive steps, each modality in its turn; a checkpoint every minute, from which it goes on."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=args.rate, weight_decay=0.05)
    path, done, saved = args.run / "checkpoint.pt", 0, time.monotonic()
    if path.exists():
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["model"], strict=False)
        optimizer.load_state_dict(state["optimizer"])
        done = state["step"]
    memories = [Memory(size * 16, [], torch.zeros(0, 384)) for _, _, size in jobs]
    for step in range(done, args.steps):
        torch.manual_seed(step)
        turn = 0 if step % 4 else 1
        pooler, media, size = jobs[turn]
        for group in optimizer.param_groups:
            group["lr"] = args.rate * min(1.0, (step + 1) / 20, (args.steps - step) / (args.steps * 0.7))
        items = [media.train[k] for k in torch.randperm(len(media.train))[:size].tolist()]
        vectors = pooler([augment(media.features[i], pooler.kind) for i in items])
        loss = contrast(vectors, items, media, memories[turn], args.temperature)
        memories[turn].push(items, vectors)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        if step % 12 < 2:
            print(f"step {step} {pooler.kind} loss {loss.item():.3f} gates {model.markers.gates.tolist()}", flush=True)
        if time.monotonic() - saved > 60 or step == args.steps - 1:
            saved = time.monotonic()
            state = {"model": model.trained_state(), "optimizer": optimizer.state_dict(), "step": step + 1}
            torch.save(state, path.with_suffix(".new"))
            path.with_suffix(".new").replace(path)


def augment(features: Tensor, kind: str) -> Tensor:
    """A photo mirrored by chance and some of its cells' features dropped; a sound with some dropped."""
    if kind == "image" and torch.rand(()) < 0.5:
        features = features.reshape(3, 3, -1).flip(1).flatten(0, 1)
    return F.dropout(features, 0.1)


def evaluate(see: Pooler, images: Media, hear: Pooler, sounds: Media) -> dict[str, float]:
    """Development scores: photo retrieval, sounds by class name, speech by its text."""
    vectors = see.all([images.features[i] for i in images.dev])
    queries = images.texts[[p for i in images.dev for p in images.positives[i]]]
    gold = torch.arange(len(vectors)).repeat_interleave(len(images.positives[0]))
    scores = queries @ vectors.T
    rank = (scores > scores.gather(1, gold[:, None])).sum(1)
    result = {"t2i@1": (rank < 1), "t2i@10": (rank < 10), "i2t@1": gold[scores.argmax(0)] == torch.arange(len(vectors))}
    heard = hear.all([sounds.features[i] for i in sounds.dev])
    by_class: dict[int, list[int]] = {}
    for row, i in enumerate(sounds.dev):
        by_class.setdefault(sounds.groups[i], []).append(row)
    for group, rows in by_class.items():
        options = sorted({sounds.positives[sounds.dev[row]][0] for row in rows})
        best = (heard[rows] @ sounds.texts[options].T).argmax(1)
        right = torch.tensor([options.index(sounds.positives[sounds.dev[row]][0]) for row in rows])
        result[("animals", "city", "speech")[group]] = best == right
    return {name: value.float().mean().item() for name, value in result.items()}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of data sets")
    parser.add_argument("--run", type=Path, default=Path("runs/first"), help="caches and checkpoints (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="the weights folder to release into")
    parser.add_argument("--steps", type=int, default=360)
    parser.add_argument("--rate", type=float, default=3e-4, help="highest learning rate")
    parser.add_argument("--temperature", type=float, default=0.02)
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    texts = Texts(WEIGHTS)
    images, sounds = load_images(args.data, args.run, texts), load_sounds(args.data, args.run, texts)
    model = NanoModule().load_frozen()
    ends = texts.rows_of([0, 2])
    see, hear = Pooler(model, "image", ends), Pooler(model, "audio", ends)
    if not (args.run / "checkpoint.pt").exists():
        start_tokens(model, texts)
        start_closed_form(see, images, ridge=3000.0)
        start_closed_form(hear, sounds, ridge=500.0)
        print("closed form", evaluate(see, images, hear, sounds), flush=True)
    train(model, [(see, images, 128), (hear, sounds, 96)], args)
    scores = evaluate(see, images, hear, sounds)
    print("trained", scores, flush=True)
    vectors = torch.cat(
        [
            images.texts,
            see.all([images.features[i] for i in images.train]),
            hear.all([sounds.features[i] for i in sounds.train]),
        ]
    )
    release(model, vectors, args.out)


if __name__ == "__main__":
    main()
