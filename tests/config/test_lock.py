"""The lock says what was tested, and nothing about where it came from."""

import re

import pytest

from config import lock


def test_everything_installed_is_at_its_locked_version() -> None:
    locked, installed = lock.locked(), lock.installed()
    # An environment may lack what other platforms or extras need, but brings nothing unknown.
    assert {name: locked.get(name) for name in installed} == installed


def test_everything_that_is_asked_for_is_locked() -> None:
    import tomllib

    project = tomllib.loads((lock.BASE_DIR / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for extra in extras.values() for one in extra)]
    names = {lock.canonical(re.split(r"[\[<>=~!; ]", one)[0]) for one in wanted}
    assert names <= lock.locked().keys()


def test_lines_are_names_and_versions_only() -> None:
    lines = lock.LOCK.read_text().splitlines()[1:]
    assert all(re.fullmatch(r"[a-z0-9-]+==[a-z0-9.]+", line) for line in lines)
    assert lines == sorted(lines)


@pytest.mark.parametrize("name", ["nvidia-cublas-cu12", "cuda-bindings", "triton", "pip"])
def test_what_belongs_to_one_platform_is_left_out(name: str) -> None:
    assert name not in lock.locked()
