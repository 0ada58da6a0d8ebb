"""The models, in one answer that clients of both protocols read."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from panvec.server.service import Service, json_response, service_of

router = APIRouter(tags=["Models"])
_METHODS = ["embedContent", "batchEmbedContents", "asyncBatchEmbedContent", "countTokens"]
_MADE = 1_767_225_600
"""What stands as the second of creation: OpenAI's clients want one."""


@router.get("/models")
async def list_models(request: Request) -> Response:
    """All names of the model: `data` for OpenAI's clients, `models` for Google's."""
    service = service_of(request)
    cards = [_card(service, name) for name in service.names]
    return json_response({"object": "list", "data": cards, "models": cards})


@router.get("/models/{model}")
async def get_model(request: Request, model: str) -> Response:
    """One of them."""
    service = service_of(request)
    return json_response(_card(service, service.check_model(model)))


def _card(service: Service, name: str) -> dict[str, Any]:
    embedder = service.engine.embedder
    sizes = ", ".join(map(str, embedder.dims))
    about = {
        "displayName": f"panvec {embedder.name}",
        "description": f"{', '.join(embedder.modalities)}; dimensions {sizes}; {embedder.space_id}",
        "version": embedder.space_id,
        "inputTokenLimit": service.config.limits.tokens,
        "outputTokenLimit": 1,
        "supportedGenerationMethods": _METHODS,
    }
    return {"id": name, "object": "model", "created": _MADE, "owned_by": "panvec", "name": f"models/{name}", **about}
