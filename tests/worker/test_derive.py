"""Comparisons from weak orders: laws, known answers, and a second implementation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.derive import LINE, Compared, derive

Tiers = list[list[int]]


@st.composite
def weak_orders(draw: st.DrawFn) -> Tiers:
    """Two to seven responses in tiers."""
    ids = draw(st.lists(st.integers(1, 99), min_size=1, max_size=7, unique=True))
    tiers: Tiers = []
    for pk in ids:
        if tiers and draw(st.booleans()):
            tiers[-1].append(pk)
        else:
            tiers.append([pk])
    return tiers


@st.composite
def answers(draw: st.DrawFn) -> tuple[Tiers, int | None, bool, bool]:
    """Tiers, how many are good enough, whether tiers order, whether they leave open."""
    tiers = draw(weak_orders())
    line = draw(st.none() | st.integers(0, len(tiers)))
    return tiers, line, draw(st.booleans()), draw(st.booleans())


def slowly(
    tiers: Tiers, acceptable: int | None, ordered: bool, uncompared: bool
) -> dict[tuple[int, int], tuple[float, float]]:
    """For every ordered pair: the weight of a win of the first, and of a tie. Looks at all pairs.

    A place is twice the number of the tier; the line lies at an odd place between two.
    """
    place = {pk: 2 * n for n, tier in enumerate(tiers) for pk in tier}
    everyone = list(place)
    if acceptable is not None:
        place[LINE] = 2 * acceptable - 1
    weight = 1.0 if len(everyone) == 1 else 1.0 / (len(everyone) - 1)
    found = {}
    for a in place:
        for b in place:
            if a == b:
                continue
            about_line = LINE in (a, b)
            win = place[a] < place[b] and (about_line or ordered)
            tie = place[a] == place[b] and ordered and not uncompared
            found[a, b] = (weight * win, weight * tie)
    return found


def by_pair(found: list[Compared]) -> dict[tuple[int, int], tuple[float, float]]:
    total: dict[tuple[int, int], tuple[float, float]] = {}
    for left, right, outcome, weight in found:
        win, tie = total.get((left, right), (0.0, 0.0))
        total[left, right] = (win + weight, tie) if outcome else (win, tie + weight)
        if not outcome:
            total[right, left] = (0.0, weight)
    return total


@given(answers())
def test_a_second_slow_derivation_agrees(answer: tuple[Tiers, int | None, bool, bool]) -> None:
    tiers, line, ordered, uncompared = answer
    quick = by_pair(derive(tiers, acceptable=line, ordered=ordered, uncompared=uncompared))
    slow = slowly(tiers, line, ordered, uncompared)
    assert {pair: sums for pair, sums in slow.items() if any(sums)} == quick


@given(weak_orders())
def test_each_response_of_a_ranking_has_the_weight_of_one_judgement(tiers: Tiers) -> None:
    found = derive(tiers)
    everyone = [pk for tier in tiers for pk in tier]
    for pk in everyone:
        mine = sum(one.weight for one in found if pk in one[:2])
        assert mine == pytest.approx(1.0 if len(everyone) > 1 else 0.0)


@given(answers())
def test_the_order_inside_tiers_means_nothing(
    answer: tuple[Tiers, int | None, bool, bool],
) -> None:
    tiers, line, ordered, uncompared = answer
    turned = [tier[::-1] for tier in tiers]
    options = {"ordered": ordered, "uncompared": uncompared}
    assert by_pair(derive(tiers, acceptable=line, **options)) == by_pair(
        derive(turned, acceptable=line, **options)
    )


def test_known_answers() -> None:
    assert derive([[5, 7]]) == [(5, 7, 0, 1.0)]
    assert derive([[5], [7]]) == [(5, 7, 1, 1.0)]
    assert derive([[1], [2, 3]]) == [(1, 2, 1, 0.5), (1, 3, 1, 0.5), (2, 3, 0, 0.5)]
    assert derive([[1], [2, 3]], uncompared=True) == [(1, 2, 1, 0.5), (1, 3, 1, 0.5)]
    assert derive(None) == derive([]) == derive([[4]]) == []


def test_neither_puts_both_below_the_line_and_compares_them_with_nothing_else() -> None:
    assert derive([[5, 7]], acceptable=0, ordered=False) == [(LINE, 5, 1, 1.0), (LINE, 7, 1, 1.0)]


def test_one_response_alone_is_compared_with_the_line() -> None:
    assert derive([[5]], acceptable=1) == [(5, LINE, 1, 1.0)]
    assert derive([[5]], acceptable=0) == [(LINE, 5, 1, 1.0)]
