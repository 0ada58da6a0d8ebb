"""A name such as "gemini:MODEL" or "openai:MODEL" to a hosted model, and what a caller has allowed."""

from __future__ import annotations

import hashlib
import importlib.util
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from panvec.errors import InputError, ModelError
from panvec.models.remote.cost import PRICES, Most, Price
from panvec.models.remote.pace import Pace
from panvec.models.remote.service import NO_KEY
from panvec.tasks import Task, as_task

if TYPE_CHECKING:
    from panvec.models.remote.model import RemoteModel
    from panvec.models.remote.service import Service

_KEYS = {"gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"), "openai": ("OPENAI_API_KEY",)}
_PACKAGES = {"gemini": "google.genai", "openai": "openai"}


@dataclass(frozen=True)
class RemoteOptions:
    """What `Embedder` takes for a hosted model.

    Attributes:
        base_url: another server of the protocol; one on this machine needs no allow_network and no key.
        budget: US dollars that all calls together may cost, where the price is known.
        price: of a model that panvec has no price of, or another one than it has.
        requests_per_minute: the most, evenly spaced.
        attempts: of a request that is answered 408, 429 or 5xx, or not at all.
        backoff: seconds before the second attempt, doubled for each further one (Gemini; openai has its own).
        timeout: seconds of one attempt.
        prompts: by task, for models of OpenAI's protocol that have some.
        most: what the server takes as one content, where that is not what the model's own service takes.
    """

    base_url: str | None = None
    budget: float = 1.0
    price: Price | None = None
    requests_per_minute: float | None = None
    attempts: int = 6
    backoff: float = 1.0
    timeout: float = 60.0
    prompts: Mapping[str, str] | None = None
    most: Most | None = None


def load_remote(name: str, options: RemoteOptions, *, allow_network: bool) -> RemoteModel:
    """The hosted model called `name`.

    Raises:
        InputError: the network is not allowed, or there is no key in the environment.
        ModelError: the client is not installed, or the server failed where it had to be asked for a dimension.
    """
    provider, _, model = name.partition(":")
    if not model:
        raise InputError(f"{name!r} names no model: use '{provider}:MODEL'")
    local = is_loopback(options.base_url)
    if not local and not allow_network:
        at = options.base_url or f"the servers of {provider}"
        raise InputError(f"{name} sends what it embeds to {at}: allow_network=True (--allow-network) allows it")
    _check_installed(name, provider)
    service = _service(provider, model, options, key=_key(name, provider, needed=not local))
    from panvec.models.remote.model import RemoteModel

    return RemoteModel(
        service,
        name=name,
        space_id=_space_id(provider, model, options.base_url),
        pace=Pace(options.requests_per_minute),
        price=options.price or (PRICES.get(model) if options.base_url is None else None),
        budget=options.budget,
        most=options.most,
    )


def _service(provider: str, model: str, options: RemoteOptions, *, key: str) -> Service:
    if provider == "gemini":
        from panvec.models.remote.gemini import Gemini

        return Gemini(model, key, options.base_url, attempts=options.attempts, backoff=options.backoff, timeout=options.timeout)
    from panvec.models.remote.openai import OpenAI

    prompts = _prompts(options.prompts or {})
    return OpenAI(model, key, options.base_url, prompts=prompts, attempts=options.attempts, timeout=options.timeout)


def _prompts(given: Mapping[str, str]) -> dict[Task | None, str]:
    return {None: "", **dict.fromkeys(Task, ""), **{as_task(task): prompt for task, prompt in given.items()}}


def is_loopback(base_url: str | None) -> bool:
    """Whether a URL is of this machine."""
    host = urlsplit(base_url or "").hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _key(name: str, provider: str, *, needed: bool) -> str:
    key = next((os.environ[variable] for variable in _KEYS[provider] if os.environ.get(variable)), "")
    if not key and needed:
        raise InputError(f"{name} needs a key in the environment: set {' or '.join(_KEYS[provider])}")
    return key or NO_KEY


def _check_installed(name: str, provider: str) -> None:
    try:
        found = importlib.util.find_spec(_PACKAGES[provider]) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise ModelError(f'{name} needs its client: pip install "panvec[remote]"')


def _space_id(provider: str, model: str, base_url: str | None) -> str:
    at = "" if base_url is None else "-" + hashlib.sha256(base_url.rstrip("/").encode()).hexdigest()[:12]
    return f"{provider}-{model.replace('/', '-')}{at}"
