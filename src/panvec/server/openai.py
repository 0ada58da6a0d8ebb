"""OpenAI's protocol: embeddings, also of messages with media, and models."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from panvec.content import Part, Text
from panvec.errors import InputError
from panvec.models.embedder import Vector, shorten
from panvec.server.batching import Query
from panvec.server.engine import query
from panvec.server.file_routes import file_part
from panvec.server.inputs import encoded, linked
from panvec.server.service import Service, held, json_body, json_response, read, service_of
from panvec.tasks import as_task

router = APIRouter(prefix="/v1", tags=["OpenAI"])

Token: TypeAlias = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextPart(_Strict):
    """A text."""

    type: Literal["text", "input_text"]
    text: str


class Link(BaseModel):
    """Where a medium is: a data: URI, or a URL where the server fetches from its host."""

    url: str


class ImagePart(_Strict):
    """A picture."""

    type: Literal["image_url"]
    image_url: Link | str


class VideoPart(_Strict):
    """A video."""

    type: Literal["video_url"]
    video_url: Link | str


class AudioLinkPart(_Strict):
    """A sound by its URL."""

    type: Literal["audio_url"]
    audio_url: Link | str


class Sound(BaseModel):
    """A sound in base64, and what it is: wav, mp3, flac, ..."""

    data: str
    format: str = "wav"


class AudioPart(_Strict):
    """A sound."""

    type: Literal["input_audio"]
    input_audio: Sound


class FileData(BaseModel):
    """A file: a data: URI (`file_data`), or the id of an uploaded one."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(_Strict):
    """A document, or any other file."""

    type: Literal["file"]
    file: FileData


AnyPart: TypeAlias = Annotated[
    TextPart | ImagePart | VideoPart | AudioLinkPart | AudioPart | FilePart, Field(discriminator="type")
]


class Message(BaseModel):
    """Parts of the content to embed, in order."""

    role: str = "user"
    content: str | list[AnyPart]


class EmbeddingsRequest(BaseModel):
    """`POST /v1/embeddings`: either `input`, or `messages`, whose parts in order are ONE content and give one vector."""

    model: str
    input: str | list[str] | list[Token] | list[list[Token]] | None = None
    messages: list[Message] | None = None
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None
    task: str | None = None
    """What the vectors are for, such as 'document': OpenAI's protocol has no word for it."""


@router.post("/embeddings", openapi_extra=json_body(EmbeddingsRequest))
async def embeddings(request: Request) -> Response:
    """A vector for each input, or one for the messages."""
    service = service_of(request)
    asked = await read(request, EmbeddingsRequest)
    return json_response(await held(request, embed(service, asked, request.state.owner)))


async def embed(service: Service, asked: EmbeddingsRequest, owner: str) -> dict[str, Any]:
    """The body of the answer.

    Raises:
        PanvecError: an input or an argument is wrong, or too much is waiting.
    """
    name, size = service.check_model(asked.model), service.engine.size(asked.dimensions)
    queries = await queries_of(service, asked, owner)
    vectors = await service.engine.embed(queries)
    tokens = await service.engine.usage(queries)
    return {
        "object": "list",
        "data": [_row(index, vector, size, asked.encoding_format) for index, vector in enumerate(vectors)],
        "model": name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


async def queries_of(service: Service, asked: EmbeddingsRequest, owner: str) -> list[Query]:
    """The contents that are asked for.

    Raises:
        PanvecError: neither or both of `input` and `messages`, an unknown task, or a part that is none.
    """
    task = as_task(asked.task)
    if (asked.input is None) == (asked.messages is None):
        raise InputError("send either input or messages")
    if asked.messages is not None:
        return [query([part for message in asked.messages for part in await _parts(service, message, owner)], task)]
    return [query([Text(text)], task) for text in _texts(service, asked.input)]


def _texts(service: Service, given: Any) -> list[str]:
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [service.engine.text_of(given)]
    return [item if isinstance(item, str) else service.engine.text_of(item) for item in given]


async def _parts(service: Service, message: Message, owner: str) -> list[Part]:
    if isinstance(message.content, str):
        return [Text(message.content)]
    service.engine.check_parts(len(message.content))
    return [await _part(service, part, owner) for part in message.content]


async def _part(service: Service, part: AnyPart, owner: str) -> Part:
    if isinstance(part, TextPart):
        return Text(part.text)
    if isinstance(part, AudioPart):
        return encoded(part.input_audio.data, f"audio/{part.input_audio.format}")
    if isinstance(part, FilePart):
        return await _file(service, part.file, owner)
    if isinstance(part, ImagePart):
        return await linked(_url(part.image_url), service.fetcher, "image/any")
    if isinstance(part, VideoPart):
        return await linked(_url(part.video_url), service.fetcher, "video/any")
    return await linked(_url(part.audio_url), service.fetcher, "audio/any")


async def _file(service: Service, file: FileData, owner: str) -> Part:
    if file.file_id is not None:
        part = await file_part(service, f"files/{file.file_id}", "", owner)
        if part is None:
            raise InputError(f"{file.file_id[:80]!r} is no id of a file")
        return part
    if file.file_data is None:
        raise InputError("a file part needs file_data, a data: URI, or the file_id of an uploaded file")
    return await linked(file.file_data, service.fetcher, "application/pdf")


def _url(link: Link | str) -> str:
    return link if isinstance(link, str) else link.url


def _row(index: int, vector: Vector, size: int, encoding: str) -> dict[str, Any]:
    short = shorten(vector, size)
    value = base64.b64encode(short.astype("<f4").tobytes()).decode() if encoding == "base64" else short
    return {"object": "embedding", "index": index, "embedding": value}
