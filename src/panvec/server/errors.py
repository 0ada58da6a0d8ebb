"""What went wrong with a request, as a status code, and in the words of the protocol that was spoken."""

from __future__ import annotations

import math
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Scope

from panvec.errors import InputError, MediaError, PanvecError

_GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    507: "RESOURCE_EXHAUSTED",
}
_OPENAI = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "server_error",
    507: "server_error",
}
_GOOGLE_HEADERS = {b"x-goog-api-key", b"x-goog-api-client", b"x-goog-upload-command"}


class RequestError(PanvecError):
    """A request that is answered with an error status: its message is for the client.

    Args:
        status: the HTTP status.
        message: names what was asked, the limit, and the way out.
        retry_after: seconds after which the same request may be answered.
    """

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class OverloadedError(RequestError):
    """More is waiting than may wait: come back in `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(429, message, retry_after)


def status_of(error: PanvecError) -> int:
    """The HTTP status of an error: what the client sent is its own to mend, all else is ours."""
    if isinstance(error, RequestError):
        return error.status
    return 400 if isinstance(error, InputError | MediaError) else 500


def speaks_google(scope: Scope) -> bool:
    """Whether the client of this request reads Google's errors: by path, and where both families share it by header."""
    path = scope["path"]
    if path.startswith(("/v1beta/", "/upload/", "/download/")) or (path.startswith("/v1/models/") and ":" in path):
        return True
    return any(name in _GOOGLE_HEADERS for name, _ in scope["headers"]) or b"key=" in scope["query_string"]


def body_of(status: int, message: str, *, google: bool) -> dict[str, Any]:
    """The JSON of an error as Google or OpenAI write it."""
    if google:
        return {"error": {"code": status, "message": message, "status": _GOOGLE.get(status, "INTERNAL")}}
    kind = _OPENAI.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def answer(scope: Scope, error: PanvecError) -> Response:
    """The response to a request that failed."""
    status = status_of(error)
    message = str(error) if status < 500 or isinstance(error, RequestError) else "the server failed: see its log"
    return plain_answer(scope, status, message, getattr(error, "retry_after", None))


def plain_answer(scope: Scope, status: int, message: str, retry_after: float | None = None) -> Response:
    """An error response in the words of the client's protocol."""
    content = orjson.dumps(body_of(status, message, google=speaks_google(scope)))
    headers = {} if retry_after is None else {"retry-after": str(max(1, math.ceil(retry_after)))}
    return Response(content, status, headers, "application/json")
