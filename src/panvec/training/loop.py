"""Training: every step of a recipe, from its first to its last, resumable at any of them, on one process or many.

A step is a function of the recipe, its number and the weights before it: its batch and its random choices come from
seeds, so a run that is killed goes on from its last checkpoint to the same losses. The loop is our own and not a
trainer's, for that, for one task a batch, and for cached towers: what a trainer would add is what it would hide.
"""

from __future__ import annotations

import json
import math
import os
import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from panvec.data.pairs import Pair, Side
from panvec.errors import InputError, PanvecError
from panvec.files import write_text
from panvec.training import checkpoint
from panvec.training.batches import Batches, augmentations
from panvec.training.classes import imagine_classes, imagined, pictured
from panvec.training.hub import HubLearner
from panvec.training.log import Log
from panvec.training.mining import mine
from panvec.training.nano import NanoLearner
from panvec.training.prepared import Preparer
from panvec.training.recipe import Recipe, Stage
from panvec.training.schedule import Schedule
from panvec.training.start import start
from panvec.training.step import Objective, average_gradients, backward
from panvec.training.tasks import Place, media_of, read_tasks

RECIPE = "recipe.json"
_REMEMBERED = (".mean", "gain", "shift", "sharpness", "first_head", "first_lengths", "turn")
"""What else the start of a run finds and the rest of it needs."""


class Training:
    """A run of a recipe.

    Raises:
        InputError: the data is missing, or the run folder is another recipe's.
    """

    def __init__(self, recipe: Recipe, place: Place, log: Log, *, pairs: dict[str, list[Pair]] | None = None) -> None:
        self.recipe, self.place, self.log = recipe, place, log
        self.rank, self.ranks = _join_processes()
        if place.threads:
            torch.set_num_threads(place.threads)
        self.pairs = read_tasks(recipe, place) if pairs is None else pairs
        self.learner = learner_of(recipe, place)
        self.objective = Objective({name: task.loss for name, task in recipe.tasks.items()}, recipe.dims)
        self.batches = Batches(recipe, self.learner, self.pairs)
        self._schedules: dict[int, Schedule] = {}
        self._mined: set[int] = set()
        self._entered: int | None = None
        self._prepare_everything()
        self._begin()

    def steps(self) -> int:
        """Steps in all stages."""
        return sum(stage.steps for stage in self.recipe.stages)

    def settled(self) -> int:
        """Steps until the stages at the end that only turn the space or build a bridge."""
        ends = accumulate(stage.steps for stage in self.recipe.stages)
        found = (end for end, stage in zip(ends, self.recipe.stages, strict=True) if not (stage.turn or stage.bridge))
        return max(found, default=0)

    def run(self, until: int | None = None) -> None:
        """Train to the last step, or to step `until`, from the last checkpoint on."""
        self._claim_run()
        done = self._resume()
        last = min(until or self.steps(), self.steps())
        saved = time.monotonic()
        for step in range(done, last):
            self._enter(step)
            self.learner.train(not self.batches.distils)  # a teacher and who it teaches see the same
            started = time.perf_counter()
            row = self.step(step)
            self.log.step(step, {**row, "seconds": time.perf_counter() - started})
            for_soup = self.recipe.soup is not None and (step + 1) % self.recipe.soup.every == 0
            if time.monotonic() - saved > self.recipe.checkpoint_minutes * 60 or for_soup or step + 1 == last:
                self._save(step + 1)
                saved = time.monotonic()

    def step(self, step: int) -> dict[str, Any]:
        """One step of the optimizer: the stage's next batch, its loss, the gradients of all processes, the update."""
        stage, number, before = self._stage(step)
        draw = self._schedule(number)[step - before].share(self.rank, self.ranks)
        batch = self.batches.batch(draw, (self.recipe.seed, 2, number, step))
        rate = learning_rate(stage, step - before)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
            group["weight_decay"] = stage.weight_decay if group["decays"] else 0.0
        seed = (self.recipe.seed * 1_000_003 + step) * 10_007 + self.rank * 1_009
        loss = backward(
            self.learner, self.objective, draw.task, batch, chunk=self.recipe.chunk, seed=seed, autocast=self._autocast
        )
        average_gradients(self._replicated())
        norm = nn.utils.clip_grad_norm_(self._parameters(), stage.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {"stage": stage.name, "task": draw.task, "loss": self._mean(loss), "rate": rate, "norm": float(norm)}

    def _enter(self, step: int) -> None:
        """Where a stage begins, or a run goes on in one: whether the trunk is held, the hard negatives that are asked for."""
        stage, number, before = self._stage(step)
        if number != self._entered:
            self.learner.hold_trunk(not stage.trunk)
            if isinstance(self.learner, NanoLearner) and (stage.turn or stage.bridge):
                self.learner.turn_only() if stage.turn else self.learner.bridge_only()
            self.objective.matches, self.batches.distils = not stage.turn, stage.bridge
            self._entered = number
        if not stage.mine or number in self._mined:
            return
        path = self.place.run / f"mined-{number}.json"
        if self.rank == 0 and (step == before or not path.exists()):
            write_text(path, json.dumps({name: self._mine(name) for name in stage.mixture}))
        _wait()
        stored = json.loads(path.read_text(encoding="utf-8"))
        self.batches.mined = {
            name: [tuple(tuple((kind, value) for kind, value in side) for side in row) for row in rows]
            for name, rows in stored.items()
        }
        self._mined.add(number)

    def _mine(self, name: str) -> list[tuple[Side, ...]]:
        task = self.recipe.tasks[name]
        prompts = {True: task.query_prompt, False: task.positive_prompt}
        encode = partial(encode_sides, self.learner)
        return mine(self.pairs[name], lambda sides, query: encode(sides, prompts[query]), self.recipe.mining, swap=task.swap)

    def task_of(self, step: int) -> str:
        """The task that a step trains on."""
        _, number, before = self._stage(step)
        return self._schedule(number)[step - before].task

    def trained(self) -> dict[str, Tensor]:
        """What is trained, by name: the learner's and the learned temperatures."""
        names = {f"model.{name}" for name in self.learner.trained}
        state = {name: _whole(value) for name, value in self.learner.state_dict().items()}
        kept = {name: value for name, value in state.items() if name in names or name.endswith(_REMEMBERED)}
        return kept | {f"objective.{name}": value for name, value in self.objective.state_dict().items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `trained` gave.

        Raises:
            InputError: something of it is missing.
        """
        if missing := set(self.trained()) - set(tensors):
            raise InputError(f"{self.place.run}: a checkpoint without {min(missing)}, of another version of panvec: train anew")
        ours = {name.removeprefix("objective."): value for name, value in tensors.items() if name.startswith("objective.")}
        self.objective.load_state_dict(ours)
        held = dict(self.learner.named_parameters()) | dict(self.learner.named_buffers())
        with torch.no_grad():
            for name, tensor in tensors.items():
                if not name.startswith("objective."):
                    held[name].copy_(_like(held[name], tensor))

    def _claim_run(self) -> None:
        path = self.place.run / RECIPE
        if path.exists() and Recipe.model_validate_json(path.read_text(encoding="utf-8")).digest() != self.recipe.digest():
            raise InputError(f"{self.place.run} holds a run of another recipe: remove it, or name another --run-dir")
        if self.rank == 0:
            self.place.run.mkdir(parents=True, exist_ok=True)
            path.write_text(self.recipe.model_dump_json(indent=1), encoding="utf-8")

    def _prepare_everything(self) -> None:
        """Fill the cache, each process a share of the media; leave out and name the pairs that cannot be read."""
        ways = {name: augmentations(self.recipe.tasks[name]) for name in self.pairs}
        media = {
            (key, way) for name, pairs in self.pairs.items() for pair in pairs for key in media_of(pair) for way in ways[name]
        }
        broken: dict[tuple[str, str], str] = {}
        for key, way in self.log.progress(sorted(media, key=repr)[self.rank :: self.ranks], "media"):
            try:
                self.learner.preparer.prepare(key, way)
            except PanvecError as error:
                broken[key] = str(error)
        _wait()
        broken = _everyones(broken)
        for name, pairs in self.pairs.items():
            self.pairs[name] = [pair for pair in pairs if not any(key in broken for key in media_of(pair))]
        self.log.left_out({f"{modality} {path}": reason for (modality, path), reason in broken.items()})
        self._add_classes()
        if self.rank == 0:
            texts = list(dict.fromkeys(self.batches.prompted_texts()))
            self.learner.preparer.pool(texts, self.log.counter(len(texts), "texts"))
        _wait()
        self.learner.preparer.reload()

    def _add_classes(self) -> None:
        tasks, unseen = self.recipe.tasks, self.recipe.model.unseen_classes
        asking = [name for name in self.pairs if tasks[name].classes or tasks[name].pictured or tasks[name].imagined]
        pictures = sorted(
            {key for pairs in self.pairs.values() for pair in pairs for key in media_of(pair) if key[0] == "image"}
        )
        if asking and not pictures:
            raise InputError(f"task {asking[0]}: classes need pictures in some task, to know how pictures vary")
        if asking and isinstance(self.learner, NanoLearner):
            small = any(tasks[name].thumbnails for name in asking)
            classes = imagine_classes(self.learner.preparer, self.learner.model, pictures, unseen=unseen, thumbnails=small)
            for name in asking:
                for asked, made in ((tasks[name].pictured, pictured), (tasks[name].imagined, imagined)):
                    self.pairs[name] = made(self.pairs[name], unseen=unseen) if asked else self.pairs[name]
                self.pairs[name] = [*self.pairs[name], *(classes if tasks[name].classes else ())]
                if not self.pairs[name]:
                    raise InputError(f"task {name}: nothing of it is labelled with a class of the vision tower")

    def _begin(self) -> None:
        if checkpoint.steps(self.place.run):
            self.log.say("going on from the last checkpoint")
        elif isinstance(self.learner, HubLearner) or self.recipe.model.start == "released":
            self.learner.start_released()
        else:
            first = [pair for name in self.recipe.stages[0].mixture for pair in self.pairs[name]]
            start(self.learner, first, self.recipe.model)
        device = _device()
        self.learner.to(device), self.objective.to(device)
        if self.place.shard:
            _wait()
            fully_shard(self.learner)
        groups: dict[tuple[float, bool], list[Tensor]] = {}
        for name, parameter in self.learner.model.named_parameters():
            if name in self.learner.trained:
                decays = parameter.ndim > 1 and name.endswith(".weight")  # a linear term, not a bias, nor a table of rows
                groups.setdefault((share_of_rate(name, self.recipe.rates), decays), []).append(parameter)
        around = [parameter for name, parameter in self.learner.named_parameters() if not name.startswith("model.")]
        if learned := [*around, *self.objective.parameters()]:
            groups.setdefault((1.0, False), []).extend(learned)
        self.optimizer = torch.optim.AdamW(
            [{"params": own, "share": share, "decays": decays} for (share, decays), own in groups.items()], lr=0.0
        )

    def _resume(self) -> int:
        found = checkpoint.steps(self.place.run)
        if not found:
            self.log.begin(0, self.steps())
            return 0
        self.load(checkpoint.model(self.place.run, found[-1]))
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for number, entry in checkpoint.moments(self.place.run, found[-1]).items():
            parameter = parameters[number]
            self.optimizer.state[parameter] = {
                name: _like(parameter, value) if value.ndim else value for name, value in entry.items()
            }
        self.log.begin(found[-1], self.steps())
        return found[-1]

    def _save(self, step: int) -> None:
        tensors = self.trained()
        state: dict[int, dict[str, Tensor]] = self.optimizer.state_dict()["state"]
        moments = {number: {name: _whole(value) for name, value in entry.items()} for number, entry in state.items()}
        if self.rank == 0:
            every = self.recipe.soup.every if self.recipe.soup else self.steps()
            checkpoint.save(self.place.run, step, tensors, moments, {"step": step, "recipe": self.recipe.digest()})
            checkpoint.prune(self.place.run, set(range(0, self.steps() + 1, every)))
        _wait()

    def _stage(self, step: int) -> tuple[Stage, int, int]:
        """The stage that a step belongs to, its number, and the step at which it begins."""
        before = 0
        for number, stage in enumerate(self.recipe.stages):
            if step < before + stage.steps:
                return stage, number, before
            before += stage.steps
        raise InputError(f"the recipe has {before} steps, there is no step {step}")

    def _schedule(self, number: int) -> Schedule:
        if number not in self._schedules:
            counts = {name: len(pairs) for name, pairs in self.pairs.items()}
            self._schedules[number] = stage_schedule(self.recipe, number, counts)
        return self._schedules[number]

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.recipe.precision == "float32":
            return nullcontext()
        return torch.autocast(self.learner.device.type, torch.bfloat16)

    def _parameters(self) -> list[Tensor]:
        return [p for p in (*self.learner.parameters(), *self.objective.parameters()) if p.requires_grad]

    def _replicated(self) -> list[Tensor]:
        """The parameters whose gradients no sharding averages."""
        return list(self.objective.parameters()) if self.place.shard else self._parameters()

    def _mean(self, value: float) -> float:
        if not dist.is_initialized():
            return value
        total = torch.tensor(value, device=self.learner.device)
        dist.all_reduce(total)
        return float(total) / self.ranks


def learner_of(recipe: Recipe, place: Place) -> NanoLearner | HubLearner:
    """The model that a recipe trains."""
    if recipe.hub is not None:
        return HubLearner(recipe.hub, threads=place.threads)
    model = recipe.model
    preparer = Preparer(place.cache, threads=place.threads)
    return NanoLearner(
        preparer,
        trained=model.train,
        rank=model.adapter_rank,
        bridge=model.bridge,
        dropout=model.dropout,
        picture_length=model.picture_length,
    )


@torch.inference_mode()
def encode_sides(learner: NanoLearner | HubLearner, sides: list[Side], prompt: str, together: int = 128) -> NDArray[np.float32]:
    """Unit vectors `[sides, dim]` of contents with a prompt, without dropout."""
    learner.eval()
    parts = [sides[i : i + together] for i in range(0, len(sides), together)]
    return np.concatenate([learner(learner.prepare(part, [prompt] * len(part))).cpu().numpy() for part in parts])


def stage_schedule(recipe: Recipe, number: int, counts: dict[str, int]) -> Schedule:
    """The batches of one stage."""
    stage = recipe.stages[number]
    sizes = {name: recipe.tasks[name].batch for name in stage.mixture}
    return Schedule(stage.mixture, counts, sizes, stage.steps, (recipe.seed, number))


def learning_rate(stage: Stage, step: int) -> float:
    """The rate of a step of a stage: a linear rise, then its schedule down to `final`."""
    if step < stage.warmup:
        return stage.rate * (step + 1) / stage.warmup
    part = (step - stage.warmup) / max(1, stage.steps - stage.warmup - 1)
    falling = {"constant": 1.0, "linear": 1 - part, "cosine": (1 + math.cos(math.pi * min(part, 1.0))) / 2}[stage.schedule]
    return stage.rate * (stage.final + (1 - stage.final) * falling)


def share_of_rate(name: str, rates: dict[str, float]) -> float:
    """The share of the stage's learning rate that a parameter has: by the longest beginning of its name, else 1."""
    fitting = [beginning for beginning in rates if name.startswith(beginning)]
    return rates[max(fitting, key=len)] if fitting else 1.0


def _join_processes() -> tuple[int, int]:
    """This process's rank and the number of them; under torchrun they meet here."""
    if "RANK" not in os.environ:
        return 0, 1
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return dist.get_rank(), dist.get_world_size()


def _device() -> torch.device:
    """This process's GPU where there is one."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def _wait() -> None:
    if dist.is_initialized():
        dist.barrier()


def _everyones(found: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    if not dist.is_initialized():
        return found
    parts: list[dict[tuple[str, str], str]] = [{} for _ in range(dist.get_world_size())]
    dist.all_gather_object(parts, found)
    return {key: reason for part in parts for key, reason in part.items()}


def _like(parameter: Tensor, whole: Tensor) -> Tensor:
    """A whole tensor, spread over the processes as `parameter` is."""
    if isinstance(parameter, DTensor):
        return distribute_tensor(whole, parameter.device_mesh, parameter.placements)
    return whole.to(parameter.device)


def _whole(tensor: Tensor) -> Tensor:
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach().cpu()
