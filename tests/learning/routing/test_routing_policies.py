"""A contract that every policy keeps, then what each does of its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.data import Pool
from learning.errors import ConfigError, ShapeError
from learning.heads import LinearBT
from learning.routing import (
    HUMAN,
    JUDGE,
    POLICIES,
    REASONS,
    WAIT,
    Budget,
    Calibration,
    Knowledge,
    Questions,
    Signs,
    fit_error,
    get,
)
from tests.learning.routing.routed import NOBODY, TENTH, Judged

WORLD = Judged(n=60, seed=1)
BELIEF = LinearBT(tie=0.0).fit(WORLD.features, WORLD.said(WORLD.people[0], np.arange(20)))
KNOWN = Judged(n=200, seed=2).knowledge(200)


def knowledge(**more):
    return Knowledge(
        error=KNOWN.error,
        human=TENTH,
        belief=BELIEF,
        calibration=Calibration(np.linspace(0.6, 1, 200), np.arange(200) < 20),
        **more,
    )


def route(name, questions, budget, *, seed=0, known=None, **config):
    rng = np.random.default_rng(seed)
    return get(name).route(questions, known or knowledge(), budget, rng=rng, config=config)


@st.composite
def batches(draw):
    """Questions with every rule, missing answers, and costs of all sizes."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    probability = np.where(rng.random(60) < 0.1, np.nan, WORLD.probability)
    probability[rng.random(60) < 0.05] = 0.5
    signs = Signs.of(probability, tags=WORLD.tags, inconsistent=rng.random(60) < 0.1)
    return WORLD.questions().__class__.of(
        WORLD.pool,
        signs,
        safety=rng.random(60) < 0.1,
        related=rng.random(60) < 0.1,
        seconds=rng.uniform(1, 9, 60),
        money=rng.choice([0.0, 0.5], 60),
    )


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=15, deadline=None)
@given(questions=batches(), seconds=st.floats(0, 400), money=st.floats(0, 20))
def test_every_policy_keeps_budgets_and_rules(name, questions, seconds, money):
    budget = Budget(seconds, money)
    found = route(name, questions, budget)
    assert len(found) == len(found.reason) == 60
    assert set(found.reason) <= set(REASONS)
    human, judged = found.who == HUMAN, found.who == JUDGE
    assert found.seconds == pytest.approx(questions.seconds[human].sum())
    assert found.money == pytest.approx(questions.money[judged].sum())
    assert found.seconds <= seconds * (1 + 1e-9)
    assert found.money <= money * (1 + 1e-9)
    signs = questions.signs
    ruled = questions.safety | questions.related | signs.inconsistent | ~signs.answered
    assert not (judged & ruled).any()
    waits = found.who == WAIT
    assert all(found.reason[i] == "budget" for i in np.flatnonzero(waits))
    assert not (found.audit & ~human).any()
    assert ((found.propensity >= 0) & (found.propensity <= 1)).all()
    assert (found.propensity[human & ~found.audit] == 1).all()
    assert np.isfinite(found.value).all()
    assert (found.error[ruled] == 0.5).all()


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_is_repeatable_and_takes_no_and_one_question(name):
    questions = WORLD.questions()
    one, other = (route(name, questions, Budget(20.0), seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.who, other.who)
    assert one.reason == other.reason
    none = Questions.of(Pool.of(WORLD.features, np.empty((0, 2))), NOBODY)
    assert len(route(name, none, Budget(20.0))) == 0
    single = Questions.of(
        WORLD.pool.of(WORLD.features, WORLD.pairs[:1]), Signs.of([0.9], tags=[[1.0, 0, 0]])
    )
    assert len(route(name, single, Budget(20.0))) == 1


@pytest.mark.parametrize("name", [n for n in POLICIES if n not in ("all_human", "random_mix")])
@settings(max_examples=10, deadline=None)
@given(seconds=st.floats(10, 60), seed=st.integers(0, 99))
def test_there_always_is_an_audit(name, seconds, seed):
    found = route(name, WORLD.questions(), Budget(seconds), seed=seed, pilot=0)
    assert found.audit.sum() >= 0.15 * seconds - 1
    chance = found.audit.sum() / 60
    np.testing.assert_allclose(found.propensity[found.audit], chance)
    np.testing.assert_allclose(found.propensity[found.who == JUDGE], chance)


def test_the_audit_is_a_fair_draw_from_all_questions():
    drawn = np.zeros(60)
    for seed in range(400):
        drawn += route("learned", WORLD.questions(), Budget(20.0), seed=seed, pilot=0).audit
    share = drawn / 400
    assert share.mean() == pytest.approx(3 / 60)
    assert np.abs(share - 3 / 60).max() < 0.05  # four standard errors and a bit


def test_a_pilot_comes_before_any_choice():
    young = Knowledge(error=fit_error(NOBODY, []), human=TENTH, belief=BELIEF)
    found = route("learned", WORLD.questions(), Budget(25.0), known=young)
    assert found.audit.sum() == 25
    assert {found.reason[i] for i in found.human} == {"audit"}


@pytest.mark.parametrize("name", POLICIES)
def test_rules_have_an_order_and_safety_is_paid_first(name):
    signs = Signs.of([np.nan, 0.5, 0.9, 0.9, 0.9, 0.9], tags=np.zeros((6, 3)))
    signs = Signs.of(
        signs.probability, tags=signs.tags, inconsistent=[False, False, False, True, False, True]
    )
    questions = Questions.of(
        Pool.of(WORLD.features, WORLD.pairs[:6]),
        signs,
        safety=[False, False, False, False, True, True],
        related=[True, False, True, False, False, True],
    )
    everybody = route(name, questions, Budget())
    assert everybody.reason[:4] == ("no_judge", "undecided", "related", "inconsistent")
    assert everybody.reason[4:] == ("safety", "safety")
    assert (everybody.who == HUMAN).all()
    nobody = route(name, questions, Budget(0.0))
    assert (nobody.who == WAIT).all()


def test_safety_comes_before_value():
    safety = np.arange(60) < 5
    for name in ("learned", "judge_confidence", "guaranteed"):
        found = route(name, WORLD.questions(safety=safety), Budget(6.0), pilot=0)
        assert (found.who[safety] == HUMAN).sum() >= 4  # one at most is kept for the audit


@pytest.mark.parametrize("name", POLICIES)
def test_nothing_is_left_to_a_judge_that_drifted(name):
    found = route(name, WORLD.questions(), Budget(10.0), known=knowledge(drifted=True))
    assert not (found.who == JUDGE).any()
    assert {found.reason[i] for i in found.human} == {"drift"}


def test_pure_policies_are_pure():
    people = route("all_human", WORLD.questions(), Budget(12.0))
    assert (people.who == HUMAN).sum() == 12
    assert not (people.who == JUDGE).any()
    judge = route("all_judge", WORLD.questions(), Budget(0.0))
    assert (judge.who == JUDGE).all()
    assert set(judge.reason) == {"policy"}


def test_a_random_mix_is_audit_throughout():
    found = route("random_mix", WORLD.questions(), Budget(15.0))
    assert found.audit.sum() == len(found.human) == 15
    np.testing.assert_allclose(found.propensity, 0.25)


def test_confidence_sends_the_least_sure():
    found = route("judge_confidence", WORLD.questions(), Budget(20.0), pilot=0)
    chosen = [i for i in found.human if found.reason[i] == "confidence"]
    sure = WORLD.signs.confidence
    assert sure[chosen].max() <= sure[found.judge].min()


def test_learned_finds_the_weak_tag_that_the_judge_is_sure_about():
    world = Judged(n=600, seed=5)
    known = world.knowledge(
        150,
        belief=LinearBT(tie=0.0).fit(world.features, world.said(world.people[0], np.arange(80))),
    )
    rest = np.arange(150, 600)
    questions = Questions.of(Pool.of(world.features, world.pairs[rest]), world.signs.subset(rest))
    found = route("learned", questions, Budget(80.0), known=known, pilot=0, floor=0.0)
    chosen = [i for i in found.human if found.reason[i] == "value"]
    assert (world.tag[rest][chosen] == 0).mean() > 0.9
    assert found.value[chosen].mean() > found.value.mean()
    spread = route("learned", questions, Budget(80.0), known=known, pilot=0, floor=1.0)
    assert (world.tag[rest][spread.human] == 0).mean() < 0.6  # then only information counts


def test_learned_does_not_ask_the_same_thing_twice():
    """Copies of one pair: after the first the others tell little."""
    x = np.array([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [0.0, 2.5], [0.0, 0.0]])
    pool = Pool.of(x, [[0, 4], [1, 4], [2, 4], [3, 4]])
    questions = Questions.of(pool, Signs.of([0.6] * 4))
    belief = LinearBT(tie=0.0).fit(
        x, WORLD.said(np.empty(0), np.empty(0, int)), prior_precision=0.1
    )
    plain = fit_error(Signs.of(np.empty(0)), [])
    known = Knowledge(error=plain, belief=belief, human=TENTH)
    for seed in range(20):
        found = route("learned", questions, Budget(3.0), known=known, pilot=0, seed=seed)
        rest = [i for i in found.human if found.reason[i] == "value"]
        assert 3 in found.human
        assert len(rest) == 2


def test_longer_questions_have_to_be_worth_it():
    seconds = np.where(np.arange(60) % 2, 1.0, 50.0)
    found = route("learned", WORLD.questions(seconds=seconds), Budget(30.0), pilot=0)
    chosen = [i for i in found.human if found.reason[i] == "value"]
    assert (seconds[chosen] == 1.0).all()


def test_learned_without_a_head_draws():
    known = Knowledge(error=KNOWN.error, human=TENTH)
    found = route("learned", WORLD.questions(), Budget(20.0), known=known)
    assert len(found.human) == 20


def test_guaranteed_leaves_only_what_is_certified_and_the_rest_waits():
    confidence = np.linspace(0.5, 1.0, 300)
    known = Knowledge(
        error=KNOWN.error,
        human=TENTH,
        calibration=Calibration(confidence, confidence < 0.7),
    )
    found = route("guaranteed", WORLD.questions(), Budget(10.0), known=known, pilot=0, alpha=0.1)
    assert (WORLD.signs.confidence[found.judge] > 0.65).all()
    assert len(found.judge) > 20
    assert (found.who == WAIT).sum() + len(found.human) + len(found.judge) == 60
    without = Knowledge(error=KNOWN.error, human=TENTH)
    nothing = route("guaranteed", WORLD.questions(), Budget(10.0), known=without, pilot=0)
    assert not (nothing.who == JUDGE).any()


def test_money_runs_out_in_the_middle_of_a_batch():
    found = route("all_judge", WORLD.questions(money=np.ones(60)), Budget(0.0, 7.0))
    assert (found.who == JUDGE).sum() == 7
    assert (found.who == WAIT).sum() == 53
    assert found.money == 7.0


@pytest.mark.parametrize(
    ("name", "config", "words"),
    [
        ("learned", {"audit": 0.1}, "learned.audit must be at least 0.15"),
        ("learned", {"flor": 1}, "no option 'flor'"),
        ("guaranteed", {"alpha": 0.9}, "guaranteed.alpha must be at most 0.5"),
        ("all_human", {"audit": 0.2}, "no option 'audit'"),
    ],
)
def test_bad_options_are_named(name, config, words):
    with pytest.raises(ConfigError, match=words):
        route(name, WORLD.questions(), Budget(), **config)


def test_unknown_policies_and_bad_budgets_are_refused():
    with pytest.raises(ConfigError, match="unknown policy 'psychic'"):
        get("psychic")
    for bad in ({"seconds": -1.0}, {"money": float("nan")}):
        with pytest.raises(ConfigError, match="at least 0"):
            Budget(**bad)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"safety": [True]}, "safety must have shape"),
        ({"seconds": np.zeros(60)}, "seconds must be positive"),
        ({"money": np.full(60, -1.0)}, "money at least 0"),
        ({"seconds": np.full(60, np.nan)}, "seconds has NaN"),
    ],
)
def test_bad_questions_are_named(given, words):
    with pytest.raises(ShapeError, match=words):
        WORLD.questions(**given)
    with pytest.raises(ShapeError, match="signs must be of 60"):
        Questions.of(WORLD.pool, NOBODY)
