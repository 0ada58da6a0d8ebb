from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running_server import Server, running

Serve = Callable[..., Any]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests that only ask."""
    with running(tmp_path_factory.mktemp("server"), "--alias", "gemini-embedding-2") as server:
        yield server


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Starts a server of the test's own: `with serve("--option") as server`."""
    return lambda *arguments, **options: running(tmp_path, *arguments, **options)
