from pathlib import Path

import pytest

from panvec.errors import InputError
from panvec.training.recipe import read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
GOOD = """\
name: small
sources: {photos: {path: photos}}
tasks:
  photos:
    data: [photos]
    batch: 8
    others: photos
stages:
  - name: only
    steps: 10
    mixture: {photos: 1}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_is_read_with_defaults(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, GOOD))
    assert recipe.tasks["photos"].loss.symmetric
    assert recipe.stages[0].mixture == {"photos": 1}
    assert recipe.digest() == read_recipe(written(tmp_path, GOOD.replace("[photos]", '["photos"]'))).digest()
    assert recipe.digest() != read_recipe(written(tmp_path, GOOD.replace("10", "11"))).digest()


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("batch: 8", "batch: -8"), 6, "greater than 0"),
        (("batch: 8", "bach: 8"), 6, "not permitted"),
        (("steps: 10", "steps: ten"), 10, "integer"),
        (("    steps: 10\n", ""), 9, "required"),
        (("{photos: 1}", "{photo: 1}"), 11, "no such task; there are photos"),
        (("others: photos", "others: words"), 7, "no such task as words"),
        (("data: [photos]", "data: [photo]"), 5, "no such source; there are photos"),
        (("    steps: 10\n", "    steps: 10\n    bridge: true\n"), 11, "the model has no bridge"),
        (("path: photos", "path: photos, splt: dev"), 2, "splt"),
        (("name: small", "name: small\ndims: [384, x]"), 2, "integer"),
    ],
)
def test_an_error_names_its_line(tmp_path: Path, change: tuple[str, str], line: int, says: str) -> None:
    path = written(tmp_path, GOOD.replace(*change))
    with pytest.raises(InputError, match=f"recipe.yaml:{line}: .*{says}"):
        read_recipe(path)


def test_every_error_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_recipe(written(tmp_path, GOOD.replace("batch: 8", "batch: 0").replace("steps: 10", "steps: 0")))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["", "[]", "a: [", "\tname: x"])
def test_what_is_no_recipe(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"recipe\.yaml"):
        read_recipe(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_shipped_recipes_are_valid(path: Path) -> None:
    assert read_recipe(path).name
