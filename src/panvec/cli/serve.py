"""`panvec serve`."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from panvec.cli.inputs import Threads
from panvec.errors import InputError, PanvecError

_NEEDED = ("fastapi", "uvicorn", "orjson", "httpcore", "prometheus_client", "python_multipart", "httptools")


def serve(
    host: Annotated[str, typer.Option(help="Where to listen; anything but loopback needs keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any free one.", min=0, max=65535)] = 8080,
    model: Annotated[str, typer.Option(help="A model's name, or a folder that panvec release wrote.")] = "nano",
    alias: Annotated[list[str] | None, typer.Option(help="Another name for the model, such as gemini-embedding-2.")] = None,
    threads: Threads = None,
    media_processes: Annotated[
        int, typer.Option(help="Processes for pictures, and as many for longer media; 0: all in one process.", min=0, max=64)
    ] = 1,
    ray: Annotated[
        bool, typer.Option("--ray", help="Serve with replicas by Ray: on $RAY_ADDRESS, else on this machine.")
    ] = False,
    replicas: Annotated[int, typer.Option(help="With --ray: of the model for texts.", min=1, max=1024)] = 2,
    keys: Annotated[Path | None, typer.Option(help="A file of keys, as --new-key writes it; also $PANVEC_KEYS.")] = None,
    new_key: Annotated[str | None, typer.Option(help="Only make a key of this name, add it to --keys, and print it.")] = None,
    rate: Annotated[float | None, typer.Option(help="With --new-key: requests a minute.", min=0.01)] = None,
    state: Annotated[Path | None, typer.Option(help="Folder of uploaded files and batches.")] = None,
    allow_url_host: Annotated[list[str] | None, typer.Option(help="A host from which URLs in requests are fetched.")] = None,
    cors_origin: Annotated[list[str] | None, typer.Option(help="An origin whose pages may use the server.")] = None,
    max_body_mb: Annotated[float, typer.Option(help="Of a request that is no upload.", min=0.001)] = 64,
    body_seconds: Annotated[float, typer.Option(help="For a body to come; uploads have ten times that.", min=0.1)] = 120,
    max_upload_mb: Annotated[float, typer.Option(help="Of an uploaded file.", min=0.001)] = 2000,
    max_stored_mb: Annotated[float, typer.Option(help="Of all uploaded files.", min=0.001)] = 20_000,
    file_hours: Annotated[float, typer.Option(help="For which a file of Google's protocol is kept.", min=0.0001)] = 48,
    max_parts: Annotated[int, typer.Option(help="Of a content.", min=1)] = 256,
    max_megapixels: Annotated[float, typer.Option(help="Of a picture.", min=0.001)] = 50,
    max_seconds: Annotated[float, typer.Option(help="Of a sound or a video.", min=0.1)] = 1800,
    max_pages: Annotated[int, typer.Option(help="Of a document.", min=1)] = 500,
    max_waiting: Annotated[int, typer.Option(help="Texts that may wait; a sixteenth as many long media.", min=1)] = 4096,
) -> None:
    """Serve the protocols of Gemini's and OpenAI's embedding APIs.

    Examples:

      panvec serve

      panvec serve --new-key alice --keys keys.txt && panvec serve --host 0.0.0.0 --keys keys.txt
    """
    _need("serve", *_NEEDED)
    if ray:
        _need("scale", "ray")
    from panvec.server.config import SERVED_LIMITS, ServeConfig, default_state
    from panvec.server.keys import load_keys
    from panvec.server.keys import new_key as make_key
    from panvec.server.run import is_loopback
    from panvec.server.run import serve as run

    if new_key is not None:
        if keys is None:
            raise InputError("--new-key needs --keys FILE, where its hash is kept")
        print(make_key(keys, new_key, rate))
        return
    found = load_keys(keys)
    if not found and not is_loopback(host):
        raise InputError(f"{host} is reached from other machines: give --keys FILE or $PANVEC_KEYS, or listen on 127.0.0.1")
    limits = replace(
        SERVED_LIMITS,
        parts=max_parts,
        image_pixels=int(max_megapixels * 1e6),
        audio_seconds=max_seconds,
        video_seconds=max_seconds,
        document_pages=max_pages,
    )
    config = ServeConfig(
        model=model,
        aliases=tuple(alias or ()),
        threads=threads,
        media_processes=media_processes,
        limits=limits,
        body_bytes=int(max_body_mb * 1e6),
        body_seconds=body_seconds,
        upload_bytes=int(max_upload_mb * 1e6),
        stored_bytes=int(max_stored_mb * 1e6),
        file_seconds=file_hours * 3600,
        waiting=max_waiting,
        state=state or default_state(),
        url_hosts=tuple(allow_url_host or ()),
        cors_origins=tuple(cors_origin or ()),
        local_only=not found,
    )
    if ray:
        from panvec.server.scale import run as run_on_ray

        run_on_ray(config, host, port, found, replicas)
    else:
        run(config, host, port, found)


def _need(extra: str, *modules: str) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise PanvecError(f'the server needs {", ".join(missing)}: pip install "panvec[{extra}]"')
