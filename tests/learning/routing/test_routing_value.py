import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.routing import advantage, human_value
from learning.routing.value import worth_asking

errors = st.floats(0.0, 0.6)


def test_values_by_hand():
    np.testing.assert_allclose(
        advantage(np.array([0.1, 0.2, 0.5, 0.05]), 0.1), [0.0, 0.64 - 0.36, 0.64, 0.0]
    )
    found = human_value(
        np.zeros(2),
        np.array([1e-9, 1e-9]),
        error=np.array([0.5, 0.5]),
        human=0.0,
        seconds=np.array([1.0, 4.0]),
    )
    np.testing.assert_allclose(found, [0.25e-9, 0.0625e-9], rtol=1e-6)  # x'Hx pq, then a quarter


@given(errors, st.floats(0, 0.49))
def test_a_label_of_the_other_sign_tells_as_much(error, human):
    one, other = advantage(np.array([error, 1 - error]), human)
    assert one == pytest.approx(other, abs=1e-12)
    assert 0 <= one <= 1


@given(st.floats(0, 0.5), st.floats(0, 0.4))
def test_a_person_is_worth_more_the_worse_the_judge(error, human):
    better, worse = advantage(np.array([error, min(error + 0.05, 0.5)]), human)
    assert worse >= better


@given(st.floats(-4, 4), st.floats(0.01, 9), errors)
def test_sides_do_not_matter_and_doubt_does(mu, s2, error):
    args = {"error": np.full(2, error), "human": 0.1, "seconds": np.ones(2)}
    left, right = human_value(np.array([mu, -mu]), np.full(2, s2), **args)
    assert left == pytest.approx(right)
    more, less = human_value(np.zeros(2), np.array([s2, s2 / 2]), **args)
    assert more >= less


def test_a_judge_is_asked_while_it_tells_more_for_its_price():
    error, usable = np.full(4, 0.25), np.array([True, True, True, False])
    told = 0.75 * 0.25  # three of four are usable, and (1 - 2e)^2 is a quarter
    for human in (0.0, 0.1):
        limit = told / (1 - 2 * human) ** 2
        assert worth_asking(error, usable, human=human, price=0.99 * limit)
        assert not worth_asking(error, usable, human=human, price=1.01 * limit)
    assert worth_asking(np.full(4, 0.9), usable, human=0.1, price=0.5)  # always wrong tells, too
    assert not worth_asking(np.full(4, 0.5), usable, human=0.1, price=0.0)
    assert worth_asking(np.empty(0), np.empty(0, bool), human=0.1, price=1.0)
