"""Recipes: a YAML file that says all of a training run, checked before anything runs, every error with its line."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from panvec.data.formats.spec import SourceSpec
from panvec.errors import InputError
from panvec.models.nano.config import DIMS

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(gt=0)]
Natural = Annotated[int, Field(ge=0)]
Trained = Literal["vision", "audio", "markers", "head", "adapters"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(_Part):
    """What is trained, and what stays as it is."""

    kind: Literal["nano"] = "nano"
    start: Literal["closed form", "released"] = "closed form"
    """Connectors fitted to the first stage's data in closed form, or those of the released weights."""
    train: tuple[Trained, ...] = ("vision", "audio", "markers", "head", "adapters")
    adapter_rank: Natural = 0
    """Of low-rank adapters in the trunk that act on soft tokens only, so that texts keep their vectors; 0 for none."""
    bridge: Natural = 0
    """Hidden units of the head's bridge, which a stage of `bridge` trains; 0 for none."""
    gate: Share = 0.3
    """How much of the trunk's output a soft token keeps at the start."""
    rates: dict[str, Positive] = {}
    """Of parameters whose name begins so, the learning rate as a share of the stage's; the longest beginning counts."""
    dropout: Share = 0.1
    """Of the towers' features."""
    ridge: Positive = 300.0
    """Strength of the ridge in the closed form."""
    class_weight: Annotated[float, Field(ge=0)] = 0.3
    """What a made-up picture of each class of the vision tower weighs there, beside a real one; 0 leaves them out."""
    unseen_classes: tuple[str, ...] = ()
    """Names of classes of the vision tower that are kept out of all training, so that pictures of them are a fair test."""
    class_gain: Annotated[float, Field(ge=0)] = 0.4
    """How far the tower's class probabilities move a photo at the start, as a share of what its features do."""
    class_temperature: Positive = 1.0
    """Of the tower's class probabilities: above 1 it is less sure."""
    small_temperature: Positive | None = None
    """Of the class probabilities of small pictures, whose features then get the mean and deviation of other pictures', by
    thumbnails of the training pictures."""
    picture_length: Positive = 1.0
    """What pictures weigh beside texts and sounds in the end, as a share of the length at which their skips began."""


class Hub(_Part):
    """A sentence-transformers model in place of nano: adapters (LoRA) in its trunk, and its connectors."""

    model: str
    """A folder, or a name in the local cache of the Hugging Face hub."""
    revision: str | None = None
    rank: Count = 16
    alpha: Count = 32
    """Adapters are scaled by alpha / rank."""
    adapters: str = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
    """The modules that get adapters: a regular expression for their whole names."""
    train: tuple[str, ...] = ("embed_vision", "embed_audio")
    """Modules that are trained whole."""
    rates: dict[str, Positive] = {}
    """As those of `model`."""
    dropout: Share = 0.0
    """Of what goes into the adapters."""


class Loss(_Part):
    """The losses of a task. See `panvec.training.losses`."""

    temperature: Positive = 0.02
    learn_temperature: bool = False
    symmetric: bool = True
    hardness: Annotated[float, Field(ge=0)] = 0.0
    spread_out: Annotated[float, Field(ge=0)] = 0.0
    matching: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the distance of texts to their vectors before training."""


class Task(_Part):
    """Pairs that are drawn together, one batch from one task."""

    data: tuple[str, ...] = ()
    """Names of sources."""
    classes: bool = False
    """Also made-up pictures of the vision tower's own classes, with their names."""
    pictured: bool = False
    """Media that are labelled with the name of such a class, or kind, have its picture beside them; others are left out."""
    imagined: bool = False
    """Queries that are the names of such a class become made-up pictures of it; others are left out."""
    balanced: bool = False
    """Pairs of rare answers are drawn more often, up to six times, so that all answers are nearly as frequent."""
    batch: Count = 256
    swap: bool = False
    """Queries and positives change places."""
    query_prompt: str = "query: "
    positive_prompt: str = "query: "
    prompt_dropout: Share = 0.0
    augmented: Natural = 0
    """Augmented copies of each picture and sound, made once; a draw takes one of them or the medium itself."""
    thumbnails: Natural = 0
    """Of such copies of pictures, those that are a few dozen pixels wide, beside `augmented`."""
    letters: bool = False
    """The pictures have letters in them and are not mirrored."""
    parallel: bool = False
    """Positives say in another language what queries say: a stage of `bridge` brings them to where those are."""
    blended: Share = 0.0
    """In which share of the pairs the positive is the mean of some of its texts' vectors, not one of them."""
    hard_negatives: Natural = 1
    """The most of a pair's own negatives that are drawn."""
    others: str | None = None
    """A task whose texts join the negatives of the queries."""
    others_count: Count = 1024
    others_share: Annotated[float, Field(gt=0, le=1)] = 0.25
    """In which share of the steps."""
    loss: Loss = Loss()


class Stage(_Part):
    """So many steps at one mixture."""

    name: str
    steps: Count
    rate: Positive = 3e-4
    """Highest learning rate."""
    warmup: Natural = 20
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Learning rate of the last step, as a share of the highest."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    clip: Positive = 1.0
    mixture: dict[str, Positive]
    """Task to how often it is drawn."""
    mine: bool = False
    """Hard negatives are mined with the model as it is when the stage begins."""
    trunk: bool = True
    """False: what the trunk gives of each medium is kept from its first use on, and only the skips around it and the head
    learn. Such a step takes a tenth of the time."""
    turn: bool = False
    """Only how the space is turned is learned: cosines of whole vectors stay, prefixes keep more of what tells apart."""
    bridge: bool = False
    """Only the head's bridge learns: translations come to where their originals are, all else stays where it is."""


class Mining(_Part):
    """Hard negatives: texts that the model ranks high for a query and that are no answer to it."""

    ranks: tuple[int, int] = (5, 50)
    margin: Share = 0.05
    """A negative is at least so much less similar than the positive, as a share of the positive's similarity."""
    count: Count = 4


class Soup(_Part):
    """The average of the run's last checkpoints, kept only if the development score does not fall."""

    checkpoints: Count = 4
    every: Count = 50
    """Steps between the checkpoints that may go into it."""


class Development(_Part):
    """A development set: a folder for panvec eval local, looked for as sources are, and which of its rows."""

    path: str
    split: str | None = None
    where: dict[str, str] = {}
    dev_share: Share = 0.0
    """The share that the sources of the same path keep out of training."""
    limit: Count | None = None
    """At most so many of its rows."""
    templates: tuple[str, ...] = ()


class Recipe(_Part):
    """A training run."""

    name: str
    seed: int = 0
    dims: tuple[Count, ...] = DIMS
    """Nested dimensions; the loss is summed over them."""
    model: Model = Model()
    hub: Hub | None = None
    sources: dict[str, SourceSpec]
    """Where pairs come from; paths are looked for in the folders given with --data."""
    tasks: dict[str, Task]
    stages: tuple[Stage, ...]
    mining: Mining = Mining()
    soup: Soup | None = Soup(checkpoints=4)
    dev: tuple[Development, ...] = ()
    chunk: Count = 64
    """Contents that are run at once; larger batches keep only their vectors (GradCache)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpoint_minutes: Positive = 3.0

    @model_validator(mode="after")
    def _names(self) -> Recipe:
        for number, stage in enumerate(self.stages):
            for name in stage.mixture:
                if name not in self.tasks:
                    raise ValueError(f"stages.{number}.mixture.{name}: no such task; there are {', '.join(self.tasks)}")
        for name, task in self.tasks.items():
            for number, source in enumerate(task.data):
                if source not in self.sources:
                    raise ValueError(f"tasks.{name}.data.{number}: no such source; there are {', '.join(self.sources)}")
            if task.others and task.others not in self.tasks:
                raise ValueError(f"tasks.{name}.others: no such task as {task.others}; there are {', '.join(self.tasks)}")
        return self

    @model_validator(mode="after")
    def _has_bridge(self) -> Recipe:
        for number, stage in enumerate(self.stages):
            if stage.bridge and not self.model.bridge:
                raise ValueError(f"stages.{number}.bridge: the model has no bridge; give model: {{bridge: 512}}")
            if stage.bridge and stage.turn:
                raise ValueError(f"stages.{number}.bridge: a stage learns a bridge or a turn; make two of it")
        return self

    @model_validator(mode="after")
    def _fits_hub(self) -> Recipe:
        if self.hub is None:
            return self
        if self.model != Model():
            raise ValueError("model: is of nano; a recipe with hub leaves it out")
        for name, task in self.tasks.items():
            for field, set_ in (
                ("augmented", task.augmented),
                ("thumbnails", task.thumbnails),
                ("blended", task.blended),
                ("classes", task.classes),
                ("pictured", task.pictured),
                ("imagined", task.imagined),
                ("loss.matching", task.loss.matching),
            ):
                if set_:
                    raise ValueError(f"tasks.{name}.{field}: is of nano; a recipe with hub leaves it out")
        for number, stage in enumerate(self.stages):
            for field, set_ in (("trunk", not stage.trunk), ("turn", stage.turn), ("bridge", stage.bridge)):
                if set_:
                    raise ValueError(f"stages.{number}.{field}: is of nano; a recipe with hub leaves it out")
        return self

    @property
    def rates(self) -> dict[str, float]:
        """Shares of the learning rate by the beginnings of names."""
        return self.hub.rates if self.hub is not None else self.model.rates

    def digest(self) -> str:
        """A hash of everything in it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file.

    Raises:
        InputError: it is no YAML or no recipe; one line for each error, with the line of the file.
    """
    try:
        source = path.read_text(encoding="utf-8")
        tree = yaml.compose(source, Loader=yaml.SafeLoader)
        return Recipe.model_validate(yaml.safe_load(source))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): name a recipe, such as recipes/nano.yaml") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is no YAML: {error}") from error
    except ValidationError as errors:
        found = [_explained(error, tree) for error in errors.errors()]
        raise InputError("\n".join(f"{path}:{line}: {message}" for line, message in sorted(found))) from errors


def _explained(error: Any, tree: yaml.Node | None) -> tuple[int, str]:
    place, message = list(error["loc"]), str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "value_error":
        where, _, message = message.partition(": ")
        place = [int(key) if key.isdigit() else key for key in where.split(".")]
    return _line(tree, place), f"{'.'.join(map(str, place))}: {message}"


def _line(node: yaml.Node | None, place: list[str | int]) -> int:
    """The line on which the value at `place` begins, or of what is nearest to it."""
    line = node.start_mark.line + 1 if node is not None else 1
    if not place or node is None:
        return line
    if isinstance(node, yaml.SequenceNode) and isinstance(place[0], int) and place[0] < len(node.value):
        return _line(node.value[place[0]], place[1:])
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(place[0]):
                return max(key.start_mark.line + 1, _line(value, place[1:])) if len(place) > 1 else int(key.start_mark.line + 1)
    return line
