from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panvec.errors import InputError, ModelError
from panvec.models.nano.config import WEIGHTS
from panvec.models.nano.tokenizer import Tokenizer

TOKENIZER = Tokenizer(WEIGHTS)


def test_ids_are_those_of_xlm_r() -> None:
    assert TOKENIZER.encode("query: who sent the first radio message over the Atlantic ocean") == [
        *(41, 1294, 12, 2750, 9325, 70, 5117, 5977, 26008, 645, 70, 142740, 77904)
    ]


def test_text_that_looks_like_a_special_token_is_text() -> None:
    ids = TOKENIZER.encode("end </s> of <mask> it")
    assert not {0, 1, 2, TOKENIZER.size - 1} & set(ids)
    assert TOKENIZER.decode(ids) == "end </s> of <mask> it"


@pytest.mark.parametrize("text", ["Grüße aus Köln", "人人生而自由", "كل الناس", "naïve café, twice"])
def test_what_is_encoded_is_decoded(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_a_zero_width_joiner_is_a_space() -> None:
    assert TOKENIZER.encode("a\u200db") == TOKENIZER.encode("a b")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_every_token_begins_somewhere_in_its_text(text: str) -> None:
    starts = TOKENIZER.starts(text)
    assert len(starts) == len(TOKENIZER.encode(text))
    assert all(0 <= first <= second < max(len(text), 1) for first, second in pairwise([0, *starts]))


def test_half_a_surrogate_pair_is_an_error() -> None:
    with pytest.raises(InputError, match="surrogate"):
        TOKENIZER.encode("a\ud800b")


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes((WEIGHTS / "tokenizer.model").read_bytes()[:100_000])
    with pytest.raises(ModelError, match="install panvec again"):
        Tokenizer(tmp_path)
