"""A hosted model as a panvec model: batches, a budget, and one vector a content whatever the service does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from panvec.content import Content, Limits
from panvec.errors import LimitError, ModelError, PanvecError
from panvec.models.blocks import Reader
from panvec.models.embedder import WHOLE, Description, PartDescription, Span, Vector, shorten
from panvec.models.parts import typed_parts
from panvec.models.remote.cost import Amount, Estimate, Price
from panvec.models.remote.pace import Pace
from panvec.models.remote.service import REFUSED, RemoteError, Service
from panvec.models.remote.wire import Letter, Writer, pieces_of, stamped
from panvec.tasks import Task

_TOGETHER = 100
"""Contents that are decoded before the first of them is sent."""
_SEGMENT = 400
_CHARACTERS = 4
"""Characters of a token, about: the tokenizers of these services are not public."""


class RemoteModel:
    """See `panvec.models.embedder.Model` for what its methods give.

    Args:
        service: the hosted model.
        name: as the caller named it.
        space_id: names the service and the model; hosts tell no revision.
        pace: of requests.
        price: None where it is not known.
        budget: US dollars that all calls together may cost, where the price is known.
    """

    def __init__(self, service: Service, *, name: str, space_id: str, pace: Pace, price: Price | None, budget: float) -> None:
        card = service.card
        self.service, self.name, self.space_id = service, name, space_id
        self.dims, self.prompts = card.dims, card.prompts
        self.modalities = (*card.modalities, "document")
        self.int8_ranges = {dim: min(1.0, 6 / dim**0.5) for dim in card.dims}
        self.pace, self.price, self.budget, self.spent = pace, price, budget, 0.0
        self.reader = Reader(name, card.facts, card.modalities, cut, card.tokens)
        self.writer = Writer(self.reader, files="video" in card.modalities)

    def encode(self, contents: Sequence[Content], task: Task | None, limits: Limits) -> Iterator[Vector | PanvecError]:
        """A vector or the error of each content, in order.

        When the service has failed for good, what is left gets that error without being sent.
        """
        failed: RemoteError | None = None
        for start in range(0, len(contents), _TOGETHER):
            if failed is not None:
                yield from [failed] * len(contents[start : start + _TOGETHER])
                continue
            prepared = [
                self.writer.letter(content, self.prompts[task], limits) for content in contents[start : start + _TOGETHER]
            ]
            made = self._send([letter for letter in prepared if isinstance(letter, Letter)], task)
            rows = iter(made)
            for item in prepared:
                yield next(rows) if isinstance(item, Letter) else item
            failed = next((row for row in made if isinstance(row, RemoteError) and row.status not in REFUSED), None)

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
        return Description(parts, self.estimate([content], task, limits).amount.tokens, 1)

    def estimate(self, contents: Sequence[Content], task: Task | None, limits: Limits) -> Estimate:
        """What contents would cost. Media are decoded for it; nothing is sent. What cannot be embedded costs nothing."""
        amount = Amount()
        for content in contents:
            letter = self.writer.letter(content, self.prompts[task], limits)
            amount = amount + (letter.amount if isinstance(letter, Letter) else Amount())
        return Estimate(len(contents), amount, None if self.price is None else self.price.of(amount))

    def _send(self, letters: Sequence[Letter], task: Task | None) -> list[Vector | PanvecError]:
        """The vector or the error of each letter."""
        made: list[Vector | PanvecError] = []
        for batch in self._batches(letters):
            failed = next((row for row in made if isinstance(row, RemoteError) and row.status not in REFUSED), None)
            made += [failed] * len(batch) if failed is not None else self._request(batch, task)
        return made

    def _request(self, batch: list[Letter], task: Task | None) -> list[Vector | PanvecError]:
        """One request; where it is refused, or answered with another number of vectors, one request a letter."""
        try:
            self._pay(batch)
            self.pace.wait()
            rows = self.service.embed(batch, task)
            if len(rows) == len(batch):
                return [self._checked(row) for row in rows]
            if len(batch) == 1:
                return [ModelError(f"{batch[0].name}: {self.name} gave {len(rows)} vectors for one content")]
        except RemoteError as error:
            if len(batch) == 1 or error.status not in REFUSED:
                return [error] * len(batch)
        except PanvecError as error:
            return [error] * len(batch)
        return [made for letter in batch for made in self._request([letter], task)]

    def _checked(self, row: list[float]) -> Vector | PanvecError:
        if len(row) != self.dims[0]:
            return ModelError(f"{self.name} gave a vector of {len(row)} numbers, not of {self.dims[0]}")
        try:
            return shorten(np.asarray(row, np.float32), len(row))
        except ModelError as error:
            return error

    def _pay(self, batch: list[Letter]) -> None:
        if self.price is None:
            return
        cost = self.price.of(sum((letter.amount for letter in batch), Amount()))
        if self.spent + cost > self.budget:
            raise LimitError(
                f"{self.name}: the next {len(batch)} contents cost about {cost:.4f} US dollars, {self.spent:.4f} are spent: "
                f"over the budget of {self.budget}; Embedder.estimate(...) tells a cost, budget=... (--budget) allows more"
            )
        self.spent += cost

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


def cut(text: str, tokens: int) -> list[tuple[str, int, int]]:
    """A text in pieces of about `tokens`, ended at white space where there is some."""
    most, pieces, start = tokens * _CHARACTERS, list[tuple[str, int, int]](), 0
    while start < len(text) or not pieces:
        end = min(start + most, len(text))
        space = text.rfind(" ", start + most // 2, end)
        end = space + 1 if end < len(text) and space > 0 else end
        pieces.append((text[start:end], start, end))
        start = end
    return pieces


def _vector(row: Vector | PanvecError) -> Vector:
    if isinstance(row, PanvecError):
        raise row
    return row
