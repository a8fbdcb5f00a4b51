"""Options: from JSON to a frozen configuration, and back to a form."""

import dataclasses

import pytest

from learning import options
from learning.errors import ConfigError
from learning.options import option


@dataclasses.dataclass(frozen=True)
class Made:
    window: int = option(100, "How many at a time.", low=1)
    beta: float = option(0.5, "How much.", low=0.0, high=1.0)
    screen: bool = option(True, "Whether.")
    target: str = option("pool", "What for.", choices=("pool", "test"))


def test_options_are_read_from_json():
    found = options.read(Made, {"beta": 1, "screen": False}, "made")
    assert found == Made(beta=1.0, screen=False)
    assert isinstance(found.beta, float)
    assert options.read(Made, None, "made") == Made()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"window": 1.5}, "made.window must be int"),
        ({"window": True}, "made.window must be int"),
        ({"screen": 1}, "made.screen must be bool"),
        ({"target": None}, "made.target must be str"),
        ({"target": "moon"}, "made.target must be one of pool, test"),
        ({"window": 0}, "made.window must be at least 1, got 0"),
        ({"beta": 2}, "made.beta must be at most 1.0, got 2.0"),
        ({"beta": float("nan")}, "made.beta must be at least 0.0, got nan"),
        ({"colour": "red"}, "made has no option 'colour'; it has: beta, screen, target, window"),
    ],
)
def test_bad_options_are_named(given, words):
    with pytest.raises(ConfigError, match=words):
        options.read(Made, given, "made")


def test_a_form_learns_all_it_needs():
    assert options.describe(Made)[1] == {
        "name": "beta",
        "kind": "float",
        "default": 0.5,
        "help": "How much.",
        "low": 0.0,
        "high": 1.0,
        "choices": None,
    }
