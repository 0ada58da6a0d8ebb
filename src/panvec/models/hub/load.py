"""A name or a folder to a loaded sentence-transformers model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args

from panvec.errors import InputError, ModelError
from panvec.models.facts import facts_of
from panvec.models.hub.files import Files, find_files
from panvec.models.hub.libraries import check_installed, quiet, sentence_transformers

if TYPE_CHECKING:
    from panvec.models.hub.model import HubModel

Read = TypeVar("Read", dict[str, Any], list[Any])
Dtype: TypeAlias = Literal["auto", "bfloat16", "float16", "float32"]

_MODALITIES = ("text", "image", "audio", "video")
_TOWERS = {"vision": ("image", "video"), "audio": ("audio",)}
"""The modalities that need a tower."""
_MODULES = "modules.json"
"""Of what modules a model of sentence-transformers is; without it the library takes the mean of all tokens."""


@dataclass(frozen=True)
class HubOptions:
    """What `Embedder` takes for a model of sentence-transformers.

    Attributes:
        revision: a branch, tag or commit of the hub (default: main).
        dtype: of the weights; "auto" is that of the model's configuration.
        device: such as "cuda:1" (default: the GPU there is, else the CPU).
        towers: those to load, such as ("vision",); () loads the text trunk alone. Default: all.
        dims: nested dimensions, of models whose card says so and whose configuration does not.
        batch: windows that are run together.
        trust_remote_code: run Python code that comes with the model. Read it first.
    """

    revision: str | None = None
    dtype: Dtype = "auto"
    device: str | None = None
    towers: tuple[str, ...] | None = None
    dims: tuple[int, ...] | None = None
    batch: int = 16
    trust_remote_code: bool = False


def load_hub(model: str, options: HubOptions, *, allow_network: bool, threads: int | None) -> HubModel:
    """The model of a folder or of the Hugging Face hub.

    Raises:
        InputError: an option that it does not take.
        ModelError: it is missing, damaged, without its pooling or not in the local cache, or sentence-transformers is not
            installed.
    """
    _check_options(options)
    check_installed(model)
    files = find_files(model, options.revision, allow_network=allow_network)
    config = _config(files)
    _check_pooling(files)
    facts = facts_of(config.get("model_type", ""))
    library = sentence_transformers()
    from panvec.models.hub.model import HubModel
    from panvec.models.hub.prompts import task_prompts
    from panvec.models.hub.runner import Runner
    from panvec.models.hub.sound import let_hear_videos

    if threads:
        import torch

        torch.set_num_threads(threads)
    transformer = _transformer(library, files, options, config)
    if not (files.folder / _MODULES).is_file() and any(_is_pooling(type(module).__name__) for module in transformer):
        raise _no_pooling(files.folder / _MODULES)
    if not facts.half and any(str(weights.dtype) == "torch.float16" for weights in transformer.parameters()):
        raise InputError(
            f"{model} does not run in float16: its activations exceed its range, and vectors become NaN or wrong; "
            "use dtype='bfloat16' or dtype='float32'"
        )
    modalities = _modalities(transformer, options.towers)
    if facts.hears_videos and {"audio", "video"} <= set(modalities):
        let_hear_videos(transformer[0].processor)
    full = transformer.get_embedding_dimension()
    if options.dims and max(options.dims) > full:
        raise InputError(f"{model} has {full} dims, so none of {max(options.dims)}: leave it out of dims")
    return HubModel(
        Runner(transformer, model, facts.tokens, options.batch),
        space_id=f"{files.name}-{files.revision[:12]}",
        dims=(full, *sorted({d for d in options.dims or facts.dims if d < full}, reverse=True)),
        modalities=modalities,
        prompts=task_prompts(transformer.prompts, transformer.default_prompt_name),
        facts=facts,
        towers=options.towers,
    )


def _config(files: Files) -> dict[str, Any]:
    """The configuration of the transformer, {} for a model without one (static words)."""
    for path in (files.folder / "config.json", files.folder / "0_Transformer" / "config.json"):
        if path.is_file():
            return _json(path, dict)
    return {}


def _json(path: Path, kind: type[Read]) -> Read:
    """What a file holds, which must be of a kind."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is damaged ({error}): get the model again") from error
    if not isinstance(read, kind):
        raise ModelError(f"{path} is damaged (a {type(read).__name__}, not a {kind.__name__}): get the model again")
    return read


def _check_pooling(files: Files) -> None:
    """Make sure that the poolings that a model says it has are there."""
    modules = files.folder / _MODULES
    for module in _json(modules, list) if modules.is_file() else ():
        if not isinstance(module, dict):
            raise ModelError(f"{modules} is damaged (it lists {module!r}, which is no module): get the model again")
        settings = files.folder / module.get("path", "") / "config.json"
        if _is_pooling(module.get("type", "")) and not settings.is_file():
            raise _no_pooling(settings)


def _is_pooling(kind: str) -> bool:
    return kind.rpartition(".")[2] == "Pooling"


def _no_pooling(missing: Path) -> ModelError:
    return ModelError(
        f"there is no {missing}, which says how the model pools its tokens, and a guess would give other vectors than those it "
        "was trained for: get the whole model again, name a revision that has it, or make this folder one of "
        "sentence-transformers, with the pooling of the model's card (SentenceTransformer(modules=[Transformer(...), "
        "Pooling(...)]).save_pretrained(...))"
    )


def _check_options(options: HubOptions) -> None:
    if options.dtype not in get_args(Dtype):
        raise InputError(f"unknown dtype {options.dtype!r}: use one of {', '.join(get_args(Dtype))}")
    if min((options.batch, *(options.dims or ()))) < 1:
        raise InputError(f"batch is {options.batch} and dims {options.dims}: give whole numbers of 1 or more")
    for tower in options.towers or ():
        if tower not in _TOWERS:
            raise InputError(f"unknown tower {tower!r}: use 'vision' and 'audio', or () for the text trunk alone")


def _transformer(library: Any, files: Files, options: HubOptions, config: dict[str, Any]) -> Any:
    left_out = _left_out(options.towers, config)
    try:
        with quiet():
            transformer = library.SentenceTransformer(
                str(files.folder),
                device=options.device,
                trust_remote_code=options.trust_remote_code,
                local_files_only=True,
                model_kwargs={"dtype": options.dtype, "use_safetensors": True},
                config_kwargs=left_out,
            )
    except Exception as error:
        hint = "" if options.trust_remote_code or "auto_map" not in config else _CODE
        raise ModelError(f"cannot load {files.folder} with sentence-transformers: {error}{hint}") from error
    return transformer.eval()


_CODE = "; it comes with Python code of its own: read it, then pass trust_remote_code=True"


def _left_out(towers: tuple[str, ...] | None, config: dict[str, Any]) -> dict[str, None]:
    """The configuration without the towers that are not asked for."""
    if towers is None:
        return {}
    unwanted = [f"{tower}_config" for tower in _TOWERS if tower not in towers]
    return {name: None for name in unwanted if name in config}


def _modalities(transformer: Any, towers: tuple[str, ...] | None) -> tuple[str, ...]:
    missing = {kind for tower, kinds in _TOWERS.items() if towers is not None and tower not in towers for kind in kinds}
    return tuple(kind for kind in _MODALITIES if kind in transformer.modalities and kind not in missing)
