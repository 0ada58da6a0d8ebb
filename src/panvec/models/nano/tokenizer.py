"""XLM-R's unigram tokenizer, run by sentencepiece."""

from pathlib import Path

from sentencepiece import SentencePieceProcessor

from panvec.errors import InputError, ModelError

FILE = "tokenizer.model"
_JOINER = "\u200d"
"""The zero-width joiner, which XLM-R reads as a space."""


class Tokenizer:
    """Text to token ids and back. Text that looks like a special token is read as text.

    Args:
        folder: a weights folder.

    Raises:
        ModelError: its `tokenizer.model` is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._processor = SentencePieceProcessor(model_file=str(folder / FILE))
        except (OSError, RuntimeError) as error:
            raise ModelError(f"cannot read {folder / FILE} ({error}): install panvec again") from error
        self.size: int = self._processor.vocab_size()

    def encode(self, text: str) -> list[int]:
        """The token ids of a text, without `<s>` and `</s>`.

        Raises:
            InputError: the text holds half of a surrogate pair.
        """
        try:
            ids: list[int] = self._processor.encode(text.replace(_JOINER, " "))
        except RuntimeError as error:
            raise InputError("text with half of a surrogate pair: decode it with errors='replace'") from error
        return ids

    def starts(self, text: str) -> list[int]:
        """At which character of a text each of its tokens begins."""
        offsets = self._processor.encode(text.replace(_JOINER, " "), return_type="offset_mapping")["offsets"]
        return [start for start, _ in offsets]

    def decode(self, ids: list[int]) -> str:
        """The text of token ids (0 to `size` - 1)."""
        text: str = self._processor.decode(ids)
        return text
