"""What the chosen function is told, and what a round says of it afterwards."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User

from annotator import wording
from annotator.models import Annotation, Campaign, EncoderCard, Query, Round
from annotator.services import rounds
from learning.acquisition import METHODS, Recipe
from learning.data import Context
from learning.heads import HEADS
from tests.campaigns import load
from tests.worker.loops import prefer_longer, rich, work
from worker import arrays, choosing, events, fitting, promptindex, space, store, textindex

pytestmark = pytest.mark.django_db


def choose_by(campaign: Campaign, name: str, **config: Any) -> None:
    """Change the function, as a researcher would."""
    campaign.acquisition, campaign.acquisition_config = name, config
    campaign.full_clean()
    campaign.save()


def nobody(done: int, total: int) -> None:
    """Progress is told to nobody."""


def again(campaign: Campaign) -> Round:
    """Run another round; returns it."""
    rounds.request_round(campaign=campaign, trigger="test")
    work()
    newest = Round.objects.order_by("-number").first()
    assert newest is not None
    return newest


def taught(campaign: Campaign, person: User) -> None:
    """Answer two rounds at random, so that a policy has something to go by."""
    for _ in range(2):
        work()
        prefer_longer(campaign, person)
        rounds.request_round_if_due(campaign=campaign)
    work()
    prefer_longer(campaign, person, most=6)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Context]:
    """Every context that a recipe was given."""
    found: list[Context] = []
    select = Recipe.select

    def spy(self: Recipe, pool: Any, belief: Any, context: Context, batch: int, **kw: Any) -> Any:
        found.append(context)
        return select(self, pool, belief, context, batch, **kw)

    monkeypatch.setattr(Recipe, "select", spy)
    return found


@pytest.mark.parametrize("head", HEADS)
def test_every_function_chooses_from_what_may_be_asked(
    running: Campaign, ada: User, head: str
) -> None:
    taught(running, ada)
    found = space.load(running, progress=nobody)
    labels = store.labels(running, found.index)
    running.head = head
    belief = fitting.fit(running, found, labels, "all").belief
    free = ~found.candidates.taken
    for name in METHODS:
        running.acquisition = name
        running.acquisition_config = {"after": 1} if name == "dopt" else {}
        rng = np.random.default_rng(0)
        chosen = choosing.choose(
            running, found, labels, belief, wanted=12, number=3, rng=rng, progress=nobody
        )
        pairs = [one.seed.pair for one in chosen.choices]
        assert len(set(pairs)) == 12, name
        assert free[pairs].all(), name
        assert [one.seed.arm == "holdout" for one in chosen.choices] == found.candidates.holdout[
            pairs
        ].tolist()
        assert (chosen.report["name"], chosen.report["fallback"]) == (name, None)
        assert chosen.report["options"] == Recipe.of(name, running.acquisition_config).to_json()
        json.dumps(chosen.report, allow_nan=False)


def test_the_function_in_force_is_stored_with_its_questions(running: Campaign, ada: User) -> None:
    taught(running, ada)
    choose_by(running, "bald")
    made = again(running)
    chosen = Query.objects.filter(round=made, arm="policy")
    assert chosen.count() == made.report["chosen"]["policy"] > 0
    assert set(chosen.values_list("acquisition", flat=True)) == {"bald"}
    assert not chosen.filter(prompt__is_holdout=True).exists()


def test_a_function_is_told_where_the_campaign_stands(
    running: Campaign, ada: User, seen: list[Context]
) -> None:
    taught(running, ada)
    choose_by(running, "balpm")
    made = again(running)
    (context,) = seen[-1:]
    assert context.round == made.number
    answered = Annotation.objects.standing().filter(query__prompt__is_holdout=False)
    assert sorted(context.labelled_prompts) == sorted(
        answered.values_list("query__prompt", flat=True)
    )
    waiting = Query.objects.filter(slots__state__in=["open", "leased"], prompt__is_holdout=False)
    assert len(context.pending) == waiting.exclude(round=made).count() > 0
    assert context.prompts is not None
    held = running.prompts.filter(is_holdout=True).values_list("pk", flat=True)
    assert set(context.prompts.ids) == set(running.prompts.values_list("pk", flat=True)) - set(held)
    assert context.prompts.vectors.dtype == np.float32


def test_a_pair_that_two_people_answered_counts_its_prompt_once(
    running: Campaign, ada: User
) -> None:
    work()
    prefer_longer(running, ada)
    index = textindex.refresh(running.pk)
    once = store.labels(running, index)
    first = Annotation.objects.filter(query__prompt__is_holdout=False).first()
    assert first is not None
    first.pk, first.assignment, first.submission_key = None, None, "0" * 32
    first.save(force_insert=True)
    twice = store.labels(running, index)
    assert len(twice.prompt) == len(once.prompt) + 1
    assert sorted(choosing.labelled_prompts(twice)) == sorted(choosing.labelled_prompts(once))


def test_prompts_are_embedded_only_for_those_who_look(
    running: Campaign, ada: User, seen: list[Context]
) -> None:
    taught(running, ada)
    choose_by(running, "bald")
    again(running)
    assert seen[-1].prompts is None
    assert not arrays.path_of(f"campaign-{running.pk}-prompts").exists()


def test_the_prompt_index_reads_only_what_is_new(
    running: Campaign, django_assert_max_num_queries: Any
) -> None:
    first = promptindex.refresh(running.pk)
    with django_assert_max_num_queries(1):
        np.testing.assert_array_equal(promptindex.refresh(running.pk).digests, first.digests)
    chat = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}]
    load(running, [rich(500) | {"prompt": [*chat, {"role": "user", "content": "Why?"}]}])
    later = promptindex.refresh(running.pk)
    assert len(later.ids) == len(first.ids) + 1
    assert later.texts(np.array([len(first.ids)])) == ["Why?"]


def test_a_neighbour_graph_is_built_once_for_all_rounds(
    running: Campaign, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from learning.acquisition import balpm

    built: list[int] = []
    build = balpm.neighbours
    monkeypatch.setattr(balpm, "neighbours", lambda v, k: built.append(len(v)) or build(v, k))
    taught(running, ada)
    choose_by(running, "balpm")
    again(running)
    prefer_longer(running, ada, most=4)
    again(running)
    assert len(built) == 1
    load(running, [rich(900)])  # another prompt: another graph
    prefer_longer(running, ada, most=4)
    again(running)
    assert len(built) in (1, 2)  # a held-out prompt is no part of the graph


def test_a_round_says_what_was_left_out_and_why(running: Campaign, ada: User) -> None:
    taught(running, ada)
    choose_by(running, "entropy", screen=0.001, prefilter=15)
    said = wording.sentences(again(running).report)
    assert any("left out because their features are implausibly large" in text for text in said)
    options = wording.options(Round.objects.first().report)
    assert (options["screen"], options["prefilter"], options["per prompt"]) == ("0.001", "15", "1")


def test_a_young_campaign_says_why_its_policy_was_not_asked(running: Campaign) -> None:
    choose_by(running, "entropy", per_minute=True)
    work()
    made = Round.objects.get()
    assert wording.sentences(made.report) == [
        "entropy waits for 16 comparisons, the head has seen 0; until then questions are drawn at "
        "random, one a prompt."
    ]
    assert (made.report["policy"]["name"], made.report["policy"]["asked_for"]) == (
        "random_unique",
        "entropy",
    )
    chosen = Query.objects.filter(round=made, arm="policy")
    assert set(chosen.values_list("acquisition", flat=True)) == {"random_unique"}
    assert all(0 < chance <= 1 for chance in chosen.values_list("propensity", flat=True))


def test_the_default_waits_until_there_are_as_many_answers_as_features(
    running: Campaign, ada: User
) -> None:
    Campaign.objects.update(fall_back=False)
    taught(running, ada)
    said = wording.sentences(again(running).report)
    assert said[0].startswith(f"dopt waits for {256 + 17} comparisons, the head has seen ")
    choose_by(running, "dopt", after=16)
    prefer_longer(running, ada, most=6)
    assert again(running).report["policy"]["name"] == "dopt"


def test_an_option_that_no_longer_exists_fails_the_round_in_words(running: Campaign) -> None:
    Campaign.objects.update(acquisition="entropy", acquisition_config={"gone": 1})
    work()
    assert "entropy has no option 'gone'" in Round.objects.get().words


# --- falling back ------------------------------------------------------------------------


def card(campaign: Campaign, **figures: Any) -> EncoderCard:
    from worker.embedding import Source

    said = {"sentence": "Nothing can be learnt.", "enough": True, "learnable": False}
    key = figures.pop("encoder_key", None) or Source.of(campaign).key
    return EncoderCard.objects.create(
        campaign=campaign, encoder_key=key, labels=200, figures=said | figures
    )


def test_where_nothing_can_be_learnt_questions_are_drawn_at_random(
    running: Campaign, ada: User
) -> None:
    taught(running, ada)
    choose_by(running, "entropy", screen=3)
    card(running)
    made = again(running)
    assert made.report["policy"]["name"] == "random_unique"
    assert wording.sentences(made.report)[0].startswith(wording.FELL_BACK["encoder"])
    assert "(The campaign asks for entropy.)" in wording.sentences(made.report)[0]
    chosen = Query.objects.filter(round=made, arm="policy")
    assert set(chosen.values_list("acquisition", flat=True)) == {"random_unique"}


@pytest.mark.parametrize(
    "case", ["switched off", "learnable", "too few answers", "another encoder", "a newer card"]
)
def test_the_policy_stays_in_force_otherwise(running: Campaign, case: str) -> None:
    choose_by(running, "entropy")
    card(
        running,
        learnable=case == "learnable",
        enough=case != "too few answers",
        encoder_key="other" if case == "another encoder" else None,
    )
    if case == "a newer card":
        card(running, learnable=True)
    running.fall_back = case != "switched off"
    found = space.load(running, progress=nobody)
    assert choosing.Policy.of(running, found).name == "entropy"


PAID = {"acquisition": "entropy", "config": {"screen": 3}, "pays": False, "sentence": "No gain."}


def test_where_choosing_was_not_shown_to_pay_questions_are_drawn_at_random(
    running: Campaign, ada: User
) -> None:
    taught(running, ada)
    choose_by(running, "entropy", screen=3)
    card(running, learnable=True, payoff=PAID)
    made = again(running)
    said = made.report["policy"]
    assert (said["name"], said["because"], said["card"]) == ("random_unique", "payoff", "No gain.")
    words = wording.sentences(made.report)[0]
    assert words == f"{wording.FELL_BACK['payoff']} (The campaign asks for entropy.)"


@pytest.mark.parametrize(
    "case", ["it pays", "not tried yet", "another function", "other options", "switched off"]
)
def test_the_function_stays_in_force_unless_it_was_tried_in_vain(
    running: Campaign, case: str
) -> None:
    choose_by(running, "entropy", screen=3)
    changes: dict[str, dict[str, Any]] = {
        "it pays": {"pays": True},
        "not tried yet": {"pays": None},
        "another function": {"acquisition": "dopt"},
        "other options": {"config": {}},
    }
    card(running, learnable=True, payoff=PAID | changes.get(case, {}))
    running.fall_back = case != "switched off"
    found = space.load(running, progress=nobody)
    assert choosing.Policy.of(running, found).name == "entropy"


def test_the_default_draws_at_random_until_it_was_tried(running: Campaign, ada: User) -> None:
    taught(running, ada)
    card(running, learnable=True, payoff=DEFAULT | {"pays": None})
    made = again(running)
    said = made.report["policy"]
    assert (said["name"], said["because"], said["card"]) == ("random_unique", "untried", "No gain.")
    words = wording.sentences(made.report)[0]
    assert words == f"{wording.FELL_BACK['untried']} (The campaign asks for dopt.)"


DEFAULT = {"acquisition": "dopt", "config": {}, "sentence": "No gain."}


@pytest.mark.parametrize(
    "case", ["it pays", "a parameter was set", "switched off", "responses recur"]
)
def test_the_default_chooses_where_something_speaks_for_it(running: Campaign, case: str) -> None:
    if case == "it pays":
        card(running, learnable=True, payoff=DEFAULT | {"pays": True})
    if case == "a parameter was set":
        choose_by(running, "dopt", after=16)
    if case == "responses recur":
        load(running, [rich(n) | {"prompt": f"{n % 4} of four"} for n in range(600, 720)])
        running.candidates = "prompt"
    running.fall_back = case != "switched off"
    found = space.load(running, progress=nobody)
    assert choosing.Policy.of(running, found).name == "dopt"


# --- what a question costs -----------------------------------------------------------------


def test_events_are_answers_skips_and_their_seconds(running: Campaign, ada: User) -> None:
    from tests.annotator.acts import answer, lease

    work()
    answer(lease(running, ada), ada, "a2", active_ms="4000")
    answer(lease(running, ada), ada, "neither")
    answer(lease(running, ada), ada, "skip", active_ms="9000")
    answer(lease(running, ada), ada, "flag", rationale="odd")
    found = events.events(running, textindex.refresh(running.pk))
    assert found.answered.tolist() == [True, True, False, False]
    np.testing.assert_array_equal(found.seconds, [4.0, np.nan, 9.0, np.nan])
    assert (found.features[:, 0] > 3).all()


def test_imported_history_is_no_event(running: Campaign) -> None:
    load(running, [rich(number) for number in range(700, 710)], history=True)
    assert len(events.events(running, textindex.refresh(running.pk))) == 0


def test_information_per_minute_prefers_what_is_answered_fast(
    running: Campaign, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long texts take long: their rates are low, and the round says what was found."""
    taught(running, ada)
    longer = [
        rich(n) | {"responses": [{"text": "x" * (20 * n)}, {"text": "y"}]} for n in range(1, 60)
    ]
    load(running, [row | {"id": f"long:{n}", "prompt": f"P {n}?"} for n, row in enumerate(longer)])
    rng, real = np.random.default_rng(0), events.events

    def slow_with_length(campaign: Campaign, index: Any) -> Any:
        found = real(campaign, index)
        features = np.repeat(found.features, 5, axis=0)
        features[:, 0] = rng.uniform(3, 8, len(features))
        seconds = np.exp(features[:, 0] + 0.1 * rng.standard_normal(len(features)))
        return type(found)(features, np.ones(len(features), bool), seconds)

    monkeypatch.setattr(choosing, "events", slow_with_length)
    choose_by(running, "entropy", per_minute=True)
    made = again(running)
    assert made.report["policy"]["answering"]["seconds_gain"] > 0.9
    assert any("the texts tell the time" in text for text in wording.sentences(made.report))
    found = space.load(running, progress=nobody)
    paying = choosing.costs(running, found)
    pool = choosing.pool_of(found, np.arange(len(found.candidates.pairs)), paying)
    length = choosing.pair_features(found.index.surface, pool.pairs)[:, 0]
    assert pool.rates[length > 6].max() < pool.rates[length < 5].min()


def test_few_answers_leave_all_pairs_alike(running: Campaign, ada: User) -> None:
    taught(running, ada)
    choose_by(running, "entropy", per_minute=True)
    said = wording.sentences(again(running).report)
    assert any("too few to tell which pairs are answered fast" in text for text in said)
