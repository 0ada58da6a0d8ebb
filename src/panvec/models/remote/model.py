"""A hosted model as a panvec model: batches, a budget, and one vector a content whatever the service does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np

from panvec.content import Content, Limits
from panvec.errors import ModelError, PanvecError
from panvec.models.blocks import Reader
from panvec.models.embedder import WHOLE, Description, PartDescription, Span, Vector, shorten
from panvec.models.parts import typed_parts
from panvec.models.remote.cost import Amount, Estimate, Most, Price
from panvec.models.remote.pace import Pace
from panvec.models.remote.service import BudgetError, RemoteError, Service
from panvec.models.remote.wire import Letter, Writer, cut, pieces_of, stamped
from panvec.tasks import Task

_TOGETHER = 100
"""Contents that are decoded before the first of them is sent."""
_SEGMENT = 400
"""Tokens of a segment of a text."""


class RemoteModel:
    """See `panvec.models.embedder.Model` for what its methods give.

    Args:
        service: the hosted model.
        name: as the caller named it.
        space_id: names the service and the model; hosts tell no revision.
        pace: of requests.
        price: None where it is not known.
        budget: US dollars that all calls together may cost, where the price is known.
        most: what goes into one letter, instead of what the card says.
    """

    def __init__(
        self,
        service: Service,
        *,
        name: str,
        space_id: str,
        pace: Pace,
        price: Price | None,
        budget: float,
        most: Most | None = None,
    ) -> None:
        card = service.card
        most = most or card.most
        self.service, self.name, self.space_id = service, name, space_id
        self.dims, self.prompts = card.dims, card.prompts
        self.modalities = (*card.modalities, "document")
        self.settings = {"frames_per_second": card.facts.fps, "most_frames": card.facts.frames, "most": asdict(most)}
        self.int8_ranges = {dim: min(1.0, 6 / dim**0.5) for dim in card.dims}
        self.pace, self.price, self.budget, self.spent = pace, price, budget, 0.0
        self.reader = Reader(name, card.facts, card.modalities, cut, most.tokens)
        self.writer = Writer(self.reader, files="video" in card.modalities, most=most)

    def encode(self, contents: Sequence[Content], task: Task | None, limits: Limits) -> Iterator[Vector | PanvecError]:
        """A vector or the error of each content, in order.

        When the service has failed for good, what is left gets that error without being sent.
        """
        failed: RemoteError | None = None
        for start in range(0, len(contents), _TOGETHER):
            together = contents[start : start + _TOGETHER]
            if failed is not None:
                yield from [failed] * len(together)
                continue
            prepared = [self._letters(content, task, limits) for content in together]
            made = self._send([letter for item in prepared if isinstance(item, list) for letter in item], task)
            rows = iter(made)
            for item in prepared:
                yield _mean([next(rows) for _ in item], item) if isinstance(item, list) else item
            failed = _for_good(made)

    def segments(self, content: Content, task: Task | None, limits: Limits) -> list[tuple[Vector, Span]]:
        """A vector for each stretch of text, page or stretch of seconds."""
        units = [unit for part in typed_parts(content, limits) for unit in self.reader.units(part, limits, _SEGMENT)]
        letters = [
            stamped(content.name, [w for block in unit.blocks for w in pieces_of(block)], self.prompts[task]) for unit in units
        ]
        spans = [WHOLE] if len(units) == 1 and units[0].span.kind == "text" else [unit.span for unit in units]
        return [(_vector(row), span) for row, span in zip(self._send(letters, task), spans, strict=True)]

    def describe(self, content: Content, task: Task | None, limits: Limits) -> Description:
        """What the content would become: its tokens are those of its text, about."""
        parts = []
        for part in typed_parts(content, limits):
            amount = self.estimate([Content(part)], None, limits).amount
            detail = f"{amount.images} pictures or pages, {amount.seconds:.0f} s of sound, {amount.frames} frames"
            parts.append(PartDescription(part.modality, part.name, detail, amount.tokens))
        letters = self.writer.letters(content, self.prompts[task], limits)
        return Description(parts, sum(letter.amount.tokens for letter in letters), len(letters))

    def estimate(self, contents: Sequence[Content], task: Task | None, limits: Limits) -> Estimate:
        """What contents would cost. Media are decoded for it; nothing is sent. What cannot be embedded costs nothing."""
        prepared = (self._letters(content, task, limits) for content in contents)
        amounts = (letter.amount for item in prepared if isinstance(item, list) for letter in item)
        amount = sum(amounts, Amount())
        return Estimate(len(contents), amount, None if self.price is None else self.price.of(amount))

    def _letters(self, content: Content, task: Task | None, limits: Limits) -> list[Letter] | PanvecError:
        try:
            return self.writer.letters(content, self.prompts[task], limits)
        except PanvecError as error:
            return error

    def _send(self, letters: Sequence[Letter], task: Task | None) -> list[Vector | PanvecError]:
        """The vector or the error of each letter."""
        return self._requests(self._batches(letters), task)

    def _requests(self, batches: Iterable[list[Letter]], task: Task | None) -> list[Vector | PanvecError]:
        """A request for each batch, until the service has failed for good."""
        made: list[Vector | PanvecError] = []
        failed: RemoteError | None = None
        for batch in batches:
            rows = [failed] * len(batch) if failed is not None else self._request(batch, task)
            made += rows
            failed = failed or _for_good(rows)
        return made

    def _request(self, batch: list[Letter], task: Task | None) -> Sequence[Vector | PanvecError]:
        """One request; where it is refused, or answered with another number of vectors, one request a letter."""
        try:
            with self._paid(batch):
                self.pace.wait()
                rows = self.service.embed(batch, task)
            if len(rows) == len(batch):
                return [self._checked(row) for row in rows]
            if len(batch) == 1:
                return [ModelError(f"{batch[0].name}: {self.name} gave {len(rows)} vectors for one content")]
        except RemoteError as error:
            if len(batch) == 1 or not error.refused:
                return [error] * len(batch)
        except PanvecError as error:
            return [error] * len(batch)
        return self._requests(([letter] for letter in batch), task)

    def _checked(self, row: list[float]) -> Vector | PanvecError:
        if len(row) != self.dims[0]:
            return ModelError(f"{self.name} gave a vector of {len(row)} numbers, not of {self.dims[0]}")
        try:
            return shorten(np.asarray(row, np.float32), len(row))
        except ModelError as error:
            return error

    @contextmanager
    def _paid(self, batch: list[Letter]) -> Iterator[None]:
        """What a request costs is spent, unless it is answered with an error."""
        cost = 0.0 if self.price is None else self.price.of(sum((letter.amount for letter in batch), Amount()))
        if self.spent + cost > self.budget:
            raise BudgetError(
                f"{self.name}: the next {len(batch)} contents cost about {cost:.4f} US dollars, {self.spent:.4f} are spent: "
                f"over the budget of {self.budget}; Embedder.estimate(...) tells a cost, budget=... (--budget) allows more"
            )
        self.spent += cost
        try:
            yield
        except RemoteError as error:
            self.spent -= cost if error.status is not None else 0.0
            raise

    def _batches(self, letters: Sequence[Letter]) -> Iterator[list[Letter]]:
        card, batch, size = self.service.card, list[Letter](), 0
        for letter in letters:
            if batch and (len(batch) == card.letters or size + letter.size > card.bytes):
                yield batch
                batch, size = [], 0
            batch.append(letter)
            size += letter.size
        if batch:
            yield batch


def _mean(rows: Sequence[Vector | PanvecError], letters: Sequence[Letter]) -> Vector | PanvecError:
    """The vector of a content that was sent as several letters: their mean by what each is in tokens, or the first error."""
    vectors = [row for row in rows if not isinstance(row, PanvecError)]
    if len(rows) == 1 or len(vectors) < len(rows):
        return next((row for row in rows if isinstance(row, PanvecError)), rows[0])
    total = np.sum([vector * letter.amount.weight for vector, letter in zip(vectors, letters, strict=True)], axis=0)
    return shorten(total, len(total))


def _for_good(rows: Iterable[Vector | PanvecError]) -> RemoteError | None:
    """The first error that is the service's and not an item's."""
    return next((row for row in rows if isinstance(row, RemoteError) and not row.refused), None)


def _vector(row: Vector | PanvecError) -> Vector:
    if isinstance(row, PanvecError):
        raise row
    return row
