"""Which model a command runs, and what that model may do: options that many commands share."""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from panvec.cli.inputs import Threads, say
from panvec.errors import LimitError

if TYPE_CHECKING:
    from panvec.models.embedder import Embedder
    from panvec.models.remote.cost import Estimate
    from panvec.tasks import Task

_OPTIONS = ("revision", "dtype", "device", "base_url", "budget")
"""Those that only some models take."""


@dataclass(frozen=True)
class Choice:
    """The options of a model; None leaves one to the model."""

    model: Annotated[
        str, typer.Option(help="A model of `panvec models`, a folder of one, or a name on the Hugging Face hub.")
    ] = "nano"
    allow_network: Annotated[
        bool,
        typer.Option(
            "--allow-network",
            help="Let the model (of a suite the data too) be downloaded, or what is embedded be sent to its host.",
        ),
    ] = False
    revision: Annotated[str | None, typer.Option(help="A commit, branch or tag of a model of the hub (default: main).")] = None
    towers: Annotated[
        str | None,
        typer.Option(
            help="Of a model of the hub: vision, audio, or vision,audio; none is its text trunk alone (default: all)."
        ),
    ] = None
    dtype: Annotated[
        Literal["auto", "bfloat16", "float16", "float32"] | None, typer.Option(help="Of the weights of a model of the hub.")
    ] = None
    device: Annotated[str | None, typer.Option(help="What runs a model of the hub, such as cuda:1.")] = None
    base_url: Annotated[str | None, typer.Option(help="Another server of a hosted model's protocol.")] = None
    budget: Annotated[float | None, typer.Option(help="US dollars that a hosted model may cost (default: 1).", min=0)] = None
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a hosted model is paid for.")] = False
    threads: Threads = None

    def load(self) -> "Embedder":
        """The model.

        Raises:
            PanvecError: as `Embedder`.
        """
        from panvec.models.embedder import Embedder

        given = {name: getattr(self, name) for name in _OPTIONS if getattr(self, name) is not None}
        if self.towers is not None:
            given["towers"] = () if self.towers == "none" else tuple(self.towers.split(","))
        return Embedder(self.model, threads=self.threads, allow_network=self.allow_network, **given)

    def agree(self, embedder: "Embedder", contents: Any, again: "Mapping[Task, list[str]] | None" = None) -> None:
        """Where the model is hosted: say what embedding `contents`, and texts `again` under tasks, costs; ask on a terminal.

        Raises:
            LimitError: it is over the budget. typer.Abort: the answer was no.
        """
        if embedder.hosted:
            more = (embedder.estimate(texts, task=task) for task, texts in (again or {}).items())
            self.agree_to(sum(more, embedder.estimate(contents)))

    def agreement(self, embedder: "Embedder", again: "Mapping[Task, list[str]] | None" = None) -> Callable[[Any], None] | None:
        """`agree` for an evaluation that asks it once it has read its contents; None where there is nothing to agree to."""
        return functools.partial(self.agree, embedder, again=again) if embedder.hosted else None

    def agree_to(self, estimate: "Estimate") -> None:
        """Say what a job with a hosted model costs, and ask on a terminal.

        Raises:
            LimitError: it is over the budget. typer.Abort: the answer was no.
        """
        from panvec.models.remote.load import RemoteOptions

        budget = RemoteOptions.budget if self.budget is None else self.budget
        say(f"{self.model}: {estimate}")
        if (estimate.usd or 0) > budget:
            raise LimitError(f"that is over the budget of {budget} US dollars: allow more with --budget, or embed less")
        if not self.yes and sys.stdin.isatty():
            typer.confirm("Send it?", abort=True, err=True)


def with_model(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of `Choice` in place of its parameter `choice`."""
    options = inspect.signature(Choice, eval_str=True).parameters
    own = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [*(parameter for parameter in own if parameter.name != "choice"), *options.values()]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        choice = Choice(**{name: given.pop(name) for name in options})
        command(choice=choice, **given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
