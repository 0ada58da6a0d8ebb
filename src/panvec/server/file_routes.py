"""The Files API of both protocols. They share paths, so one answer holds the fields of both."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.datastructures import UploadFile
from starlette.responses import FileResponse

from panvec.content import Part
from panvec.errors import InputError, PanvecError
from panvec.server.errors import RequestError, answer, speaks_google
from panvec.server.files import File, Files, Upload
from panvec.server.inputs import uploaded
from panvec.server.service import (
    MOST_LISTED,
    Google,
    Service,
    json_body,
    json_response,
    owner_of,
    page_size,
    parse,
    service_of,
    whole,
)

router = APIRouter(tags=["Files"])
_OURS = re.compile(r"(?:https?://[^/]+/v1(?:beta)?/)?files/([a-z0-9-]{1,64})")
_PURPOSES = ("batch", "user_data")
_STATUS = "x-goog-upload-status"


class FileAbout(Google):
    """What a client says about a file before it sends it."""

    name: str = ""
    display_name: str = ""
    mime_type: str = ""
    size_bytes: Annotated[int, Field(ge=0, lt=1 << 62)] | None = None


class StartUpload(Google):
    """`POST /upload/v1beta/files`, the start of a resumable upload."""

    file: FileAbout = FileAbout()


def _register() -> None:
    """Add the routes under all prefixes that clients use."""
    for version in ("v1", "v1beta"):
        router.add_api_route(f"/upload/{version}/files", upload, methods=["POST"], openapi_extra=json_body(StartUpload))
        router.add_api_route(f"/{version}/files/{{file}}:download", download, methods=["GET"])
        router.add_api_route(f"/{version}/files", list_files, methods=["GET"])
        router.add_api_route(f"/{version}/files/{{file}}", get_file, methods=["GET"])
        router.add_api_route(f"/{version}/files/{{file}}", delete_file, methods=["DELETE"])
        router.add_api_route(f"/download/{version}/files/{{file}}:download", download, methods=["GET"])
    router.add_api_route("/v1/files", create_file, methods=["POST"])
    router.add_api_route("/v1/files/{file}/content", download, methods=["GET"])


async def file_part(service: Service, reference: str, mime_type: str, owner: str) -> Part | None:
    """The medium in an uploaded file, or None where `reference` is no name of one.

    Raises:
        PanvecError: there is no such file, or it is of no kind that is embedded.
    """
    found = _OURS.fullmatch(reference)
    if found is None:
        return None
    file = await service.files.get(found[1], owner)
    return uploaded(service.files.path(file), mime_type or file.mime_type)


async def upload(request: Request) -> Response:
    """A resumable upload: start, then pieces, then finalize, as Google's clients do it."""
    files = service_of(request).files
    command = {word.strip() for word in request.headers.get("x-goog-upload-command", "start").split(",")}
    if "start" in command:
        return await _start(request, files)
    known = await files.upload(request.query_params.get("upload_id", ""))
    if "query" in command:
        headers = {_STATUS: "active", "x-goog-upload-size-received": str(files.received(known))}
        return Response(headers=headers)
    if "cancel" in command:
        await files.discard(known)
        return Response(headers={_STATUS: "cancelled"})
    try:
        return await _continue(request, files, known, command)
    except PanvecError as error:
        failed = answer(request.scope, error)
        failed.headers[_STATUS] = "active" if isinstance(error, InputError) else "cancelled"
        return failed


async def _start(request: Request, files: Files) -> Response:
    about = parse(await request.body() or b"{}", StartUpload).file
    declared = whole(request.headers.get("x-goog-upload-header-content-length", ""))
    size = about.size_bytes if declared is None else declared
    if size is not None and size > service_of(request).config.upload_bytes:
        raise RequestError(
            413, f"{size:,} bytes are over the limit of {service_of(request).config.upload_bytes:,}: send a smaller file"
        )
    mime_type = about.mime_type or request.headers.get("x-goog-upload-header-content-type", "application/octet-stream")
    begun = await files.begin(owner_of(request), about.name.removeprefix("files/"), about.display_name, mime_type, size)
    url = request.url.replace(query=f"upload_id={begun.id}&upload_protocol=resumable")
    return Response(b"{}", headers={"x-goog-upload-url": str(url), _STATUS: "active"}, media_type="application/json")


async def _continue(request: Request, files: Files, known: Upload, command: set[str]) -> Response:
    if "upload" in command:
        offset = whole(request.headers.get("x-goog-upload-offset", "0"))
        await files.append(known, offset, request.stream())
    if "finalize" not in command:
        return Response(b"{}", headers={_STATUS: "active"}, media_type="application/json")
    made = json_response({"file": describe(await files.finish(known), request)})
    made.headers[_STATUS] = "final"
    return made


async def create_file(request: Request) -> Response:
    """OpenAI's upload: a form with `file` and `purpose`."""
    files = service_of(request).files
    async with request.form(max_files=1, max_fields=8) as form:
        file, purpose = form.get("file"), form.get("purpose")
        if not isinstance(file, UploadFile) or purpose not in _PURPOSES:
            raise InputError(f"send a form with a file and a purpose, one of {', '.join(_PURPOSES)}")
        mime_type = file.content_type or "application/octet-stream"
        made = await files.add(owner_of(request), file.filename or "", mime_type, str(purpose), _pieces(file))
    return json_response(describe(made, request))


async def list_files(request: Request) -> Response:
    """Files, the newest first: `data` for OpenAI's clients, `files` for Google's."""
    query, count = request.query_params, page_size(request, MOST_LISTED)
    after = query.get("pageToken") or query.get("after") or None
    found = await service_of(request).files.page(owner_of(request), count + 1, after)
    cards = [describe(file, request) for file in found[:count]]
    more = len(found) > count
    token = {"nextPageToken": found[count - 1].id} if more else {}
    return json_response({"object": "list", "data": cards, "files": cards, "has_more": more, **token})


async def get_file(request: Request, file: str) -> Response:
    """What is known of a file."""
    return json_response(describe(await service_of(request).files.get(file, owner_of(request)), request))


async def delete_file(request: Request, file: str) -> Response:
    """Delete a file."""
    await service_of(request).files.delete(file, owner_of(request))
    return json_response({} if speaks_google(request.scope) else {"id": file, "object": "file", "deleted": True})


async def download(request: Request, file: str) -> Response:
    """The bytes of a file."""
    files = service_of(request).files
    found = await files.get(file, owner_of(request))
    return FileResponse(files.path(found), media_type="application/octet-stream")


def describe(file: File, request: Request) -> dict[str, Any]:
    """A file in the words of both protocols."""
    base = str(request.base_url).rstrip("/")
    google = {
        "name": f"files/{file.id}",
        "displayName": file.name,
        "mimeType": file.mime_type,
        "sizeBytes": str(file.size),
        "createTime": timestamp(file.created),
        "updateTime": timestamp(file.created),
        "sha256Hash": base64.b64encode(bytes.fromhex(file.sha256)).decode(),
        "uri": f"{base}/v1beta/files/{file.id}",
        "state": "ACTIVE",
        "source": "UPLOADED" if file.purpose != "batch_output" else "GENERATED",
    }
    if file.expires is not None:
        google["expirationTime"] = timestamp(file.expires)
    if google["source"] == "GENERATED":
        google["downloadUri"] = f"{base}/v1beta/files/{file.id}:download"
    openai = {
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": int(file.created),
        "expires_at": None if file.expires is None else int(file.expires),
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
    }
    return openai | google


def timestamp(seconds: float) -> str:
    """Seconds of the epoch as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await asyncio.wait_for(file.read(1 << 20), 60):
        yield piece


_register()
