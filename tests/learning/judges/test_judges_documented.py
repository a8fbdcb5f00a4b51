"""The page about judges names what there is."""

import re
from pathlib import Path

import pytest

import learning.judges
from learning.judges import errors
from learning.judges.forms import FORMS
from learning.judges.templates import placeholders, template

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "judges.md").read_text(encoding="utf-8")


def leaves(kind):
    below = kind.__subclasses__()
    return {kind.code} if not below else set().union(*(leaves(one) for one in below))


def test_every_error_has_a_code_of_its_own_and_is_explained():
    codes = leaves(errors.JudgeError) - {"bad_template"}  # that one is met before a call
    assert len(codes) > 12
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_explained(name):
    assert f"| `{name}` |" in PAGE


@pytest.mark.parametrize("part", [*template().texts])
def test_every_placeholder_is_explained(part):
    row = re.search(rf"^\| `{part}` \| (.*\$.*) \|$", PAGE, re.MULTILINE)
    named = set(re.findall(r"`\$(\w+)`", row[1] if row else ""))
    assert named == set(placeholders(part))


def test_every_module_is_listed():
    folder = Path(learning.judges.__file__).parent
    there = {path.stem for path in folder.glob("*.py")} - {"__init__"} | {"forms"}
    listed = re.findall(r"^``(\w+)``", learning.judges.__doc__, re.MULTILINE)
    assert sorted(listed) == sorted(there)
