"""What the protocols share: the server's parts, its names for the model, and bodies read as pydantic models."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response

from panvec.errors import InputError
from panvec.server.batches import Batches
from panvec.server.config import ServeConfig
from panvec.server.engine import Engine
from panvec.server.errors import RequestError
from panvec.server.fetch import Fetcher
from panvec.server.files import Files
from panvec.server.front import until_gone
from panvec.server.jobs import Jobs

Body = TypeVar("Body", bound=BaseModel)
MOST_LISTED = 100
_WHOLE = re.compile(r"[0-9]{1,18}")
_NUMBERS = orjson.OPT_SERIALIZE_NUMPY


class Google(BaseModel):
    """A message of Google's: both spellings of a field are read."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


@dataclass
class Service:
    """The parts of a server that its protocols use."""

    config: ServeConfig
    engine: Engine
    fetcher: Fetcher
    files: Files
    batches: Batches
    jobs: Jobs = field(init=False)

    @property
    def names(self) -> list[str]:
        """What the model is called: its own name first, then the aliases."""
        return [Path(self.config.model).name, *self.config.aliases]

    def check_model(self, name: str) -> str:
        """The name of a model, without `models/`.

        Raises:
            RequestError: 404, no such model.
        """
        bare = name.removeprefix("models/")
        if bare not in self.names:
            raise RequestError(404, f"no model {bare[:80]!r}: there is {', '.join(self.names)}")
        return bare


def service_of(request: Request) -> Service:
    """The service behind this request."""
    service: Service = request.app.state.service
    return service


def owner_of(request: Request) -> str:
    """The name of the key that asks."""
    owner: str = request.state.owner
    return owner


def whole(text: str) -> int | None:
    """The number that up to 18 decimal digits are, or None where `text` is anything else."""
    return int(text) if _WHOLE.fullmatch(text) else None


def page_size(request: Request, default: int) -> int:
    """How many things a list shall have: Google's `pageSize` or OpenAI's `limit`, up to 100."""
    query = request.query_params
    return min(whole(query.get("pageSize") or query.get("limit") or "") or default, MOST_LISTED)


async def read(request: Request, model: type[Body]) -> Body:
    """The body of a request.

    Raises:
        InputError: no JSON, or not of this form; names the first field that is wrong.
    """
    return parse(await request.body(), model)


def parse(body: bytes | str, model: type[Body]) -> Body:
    """A JSON text as a pydantic model.

    Raises:
        InputError: no JSON, or not of this form; names the first field that is wrong.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise InputError(f"{where + ': ' if where else ''}{first['msg']}") from None


async def held(request: Request, work: Awaitable[Any]) -> Any:
    """What `work` gives, unless the client goes away first."""
    return await until_gone(request.receive, work)


def json_response(content: Any) -> Response:
    """Content, numpy arrays among it, as JSON."""
    return Response(orjson.dumps(content, option=_NUMBERS), media_type="application/json")


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI page says about a body that `read` reads."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
