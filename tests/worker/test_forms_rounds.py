"""What rounds ask with each form: sets, single responses, pairs across prompts, edits."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, Campaign, ModelVersion, Prompt, Query, Response, Round
from annotator.services import rounds
from annotator.services.campaigns import create_campaign, start_campaign
from learning.acquisition import METHODS
from learning.heads import HEADS
from tests.annotator.acts import lease
from tests.campaigns import item, join, load
from tests.worker.loops import FIELDS, prefer_longer, rich, work
from tests.worker.recorded import lettered, send
from worker import beliefs, choosing, fitting, pool, space, store, textindex

pytestmark = pytest.mark.django_db


def several(number: int, responses: int) -> dict[str, Any]:
    """An item with so many responses, each longer than the one before."""
    texts = [f"{'careful words ' * (n + 1)}{number}.{n}" for n in range(responses)]
    return item(number, task="listwise", responses=[{"text": text} for text in texts])


def single(number: int) -> dict[str, Any]:
    """An item with one response."""
    text = "careful words " * (number % 7 + 1)
    return item(number, task="edit", responses=[{"text": f"{text}{number}"}])


def start(person: User, rows: list[dict[str, Any]], **fields: Any) -> Campaign:
    campaign = create_campaign(slug="loop", name="Loop", **(FIELDS | fields))
    load(campaign, rows)
    join(campaign, person)
    return start_campaign(campaign=campaign)


def rank_by_length(campaign: Campaign, person: User) -> int:
    """Rank like somebody who likes long answers."""
    done = 0
    while (assignment := lease(campaign, person)) is not None:
        texts = dict(Response.objects.values_list("pk", "text"))
        order = sorted(assignment.display_order, key=lambda pk: -len(texts[pk]))
        data = {f"rank-{x}": order.index(pk) + 1 for x, pk in lettered(assignment.display_order)}
        send(assignment, person, data)
        done += 1
    return done


def again(campaign: Campaign) -> Round:
    rounds.request_round(campaign=campaign, trigger="test")
    work()
    newest = Round.objects.order_by("-number").first()
    assert newest is not None
    return newest


def shown() -> list[tuple[int, ...]]:
    """The responses of every query, in order of publication."""
    return [
        tuple(sorted(query.responses.values_list("pk", flat=True)))
        for query in Query.objects.order_by("pk")
    ]


def nobody(done: int, total: int) -> None:
    """Progress is told to nobody."""


def test_an_item_is_one_question_as_large_as_the_form_can_show(ada: User) -> None:
    campaign = start(ada, [several(n, 3 + n % 3) for n in range(24)], form="best_worst")
    work()
    sets = shown()
    assert len(set(sets)) == 12
    for query, rows in zip(Query.objects.order_by("pk"), sets, strict=True):
        assert query.item is not None
        assert set(rows) == set(query.item.places.values_list("response_id", flat=True))
        assert 0 < query.propensity <= 1
        assert (query.arm == "holdout") == query.prompt.is_holdout
    assert Round.objects.get().report["pool_left"] > 0
    again(campaign)
    assert len(shown()) == 12  # the queue is full


def test_sets_of_a_size_never_repeat_and_the_pool_runs_dry(ada: User) -> None:
    campaign = start(ada, [several(n, 6) for n in range(5)], form="rank", set_size=4, batch_size=6)
    for _ in range(12):
        work()
        if not rank_by_length(campaign, ada):
            break
        rounds.request_round_if_due(campaign=campaign)
    sets = shown()
    assert {len(rows) for rows in sets} == {4}
    assert len(set(sets)) == len(sets)
    asked = {pair for rows in sets for pair in combinations(rows, 2)}
    found = pool.candidates(campaign, textindex.refresh(campaign.pk))
    assert len(asked) == len(found.pairs) == 5 * 15
    assert (found.taken.all(), found.pending.any()) == (True, False)
    assert Round.objects.first().report["pool_left"] == 0


def test_the_model_learns_from_rankings_and_the_policy_grows_its_sets(ada: User) -> None:
    campaign = start(
        ada, [several(n, 6) for n in range(40)], form="rank", set_size=3, acquisition="bald"
    )
    for _ in range(2):
        work()
        assert rank_by_length(campaign, ada) == 12
        rounds.request_round_if_due(campaign=campaign)
    work()
    newest = ModelVersion.objects.filter(kind="all").order_by("-round__number")[0]
    on_holdout = Annotation.objects.labels().filter(query__prompt__is_holdout=True).count()
    assert newest.comparisons == 3 * (24 - on_holdout)
    assert newest.metrics["n"] == 3 * on_holdout
    assert newest.metrics["accuracy"]["value"] > 0.8
    assert Query.objects.filter(arm="policy", acquisition="bald", round=newest.round).exists()
    assert {len(rows) for rows in shown()} == {3}


def test_pending_sets_count_as_pending_pairs(ada: User) -> None:
    campaign = start(ada, [several(n, 4) for n in range(30)], form="rank")
    work()
    found = pool.candidates(campaign, textindex.refresh(campaign.pk))
    assert found.pending.sum() == found.taken.sum() == 12 * 6


def yes_or_no(campaign: Campaign, person: User, least: int) -> None:
    """Good enough is what has so many words."""
    while (assignment := lease(campaign, person)) is not None:
        texts = dict(Response.objects.values_list("pk", "text"))
        data = {
            f"good-{x}": "yes" if len(texts[pk].split()) > least else "no"
            for x, pk in lettered(assignment.display_order)
        }
        send(assignment, person, data)


def test_single_responses_are_asked_about_and_the_line_is_learnt(ada: User) -> None:
    campaign = start(ada, [single(n) for n in range(120)], form="accept", batch_size=40)
    for _ in range(2):
        work()
        yes_or_no(campaign, ada, least=8)
        rounds.request_round_if_due(campaign=campaign)
    work()
    assert {len(rows) for rows in shown()} == {1}
    assert len(set(shown())) == len(shown())
    newest = ModelVersion.objects.filter(kind="all").order_by("-round__number")[0]
    assert newest.metrics["n"] == 0  # of pairs: the exam knows no line
    good = newest.metrics["good_enough"]
    assert good["accuracy"]["value"] > 0.8
    assert good["log_loss"]["value"] < 0.6


@pytest.mark.parametrize("head", [name for name in HEADS if name != "ensemble"])
@pytest.mark.parametrize("kind", ["single", "any", "sets"])
def test_every_function_chooses_among_them(ada: User, head: str, kind: str) -> None:
    form: dict[str, Any] = {
        "single": {"form": "accept"},
        "any": {"candidates": "any"},
        "sets": {"form": "rank", "set_size": 3},
    }[kind]
    rows = [several(n, 5) if kind == "sets" else rich(n) for n in range(30)]
    if kind == "single":
        rows = [single(n) for n in range(60)]
    campaign = start(ada, rows, **form, head=head)
    found = space.load(campaign, progress=nobody)
    labels = store.labels(campaign, found.index)
    belief = fitting.fit(campaign, found, labels, "all").belief
    for name in METHODS:
        campaign.acquisition = name
        chosen = choosing.choose(
            campaign,
            found,
            labels,
            belief,
            wanted=8,
            number=3,
            rng=np.random.default_rng(0),
            progress=nobody,
        )
        assert len(chosen.choices) == 8, name
        size = {"single": 1, "any": 2, "sets": 3}[kind]
        assert {len(one.rows) for one in chosen.choices} == {size}, name
        assert len({one.rows for one in chosen.choices}) == 8, name


def test_any_pairs_cross_prompts_on_one_side_of_the_holdout(ada: User) -> None:
    campaign = start(ada, [rich(n) for n in range(40)], candidates="any")
    index = textindex.refresh(campaign.pk)
    found, repeated = pool.candidates(campaign, index), pool.candidates(campaign, index)
    np.testing.assert_array_equal(found.pairs, repeated.pairs)
    prompt = dict(Response.objects.values_list("pk", "prompt_id"))
    held = set(Prompt.objects.filter(is_holdout=True).values_list("pk", flat=True))
    ids = index.ids[found.pairs]
    for (one, other), first, holdout in zip(ids, found.prompt, found.holdout, strict=True):
        assert prompt[one] != prompt[other]
        assert prompt[one] == first
        assert (prompt[one] in held) == (prompt[other] in held) == holdout
    degree = np.bincount(found.pairs.ravel(), minlength=len(index.ids))
    assert degree.max() <= 2 * pool.CYCLES
    assert degree.min() >= 1
    work()
    assert prefer_longer(campaign, ada) == 12
    rounds.request_round_if_due(campaign=campaign)
    work()
    newest = ModelVersion.objects.filter(kind="all").order_by("-round__number")[0]
    on_holdout = Annotation.objects.labels().filter(query__prompt__is_holdout=True).count()
    assert (newest.comparisons, newest.metrics["n"]) == (12 - on_holdout, on_holdout)


def test_another_seed_gives_other_pairs_across_prompts(ada: User) -> None:
    campaign = start(ada, [rich(n) for n in range(40)], candidates="any")
    index = textindex.refresh(campaign.pk)
    first = {tuple(pair) for pair in pool.candidates(campaign, index).pairs.tolist()}
    campaign.seed += 1
    second = {tuple(pair) for pair in pool.candidates(campaign, index).pairs.tolist()}
    assert len(first & second) < len(first) / 2


def test_edits_are_learnt_from_and_not_asked_about(ada: User) -> None:
    campaign = start(
        ada, [single(n) for n in range(40)], form="edit", candidates="prompt", holdout_share=0
    )
    work()
    while (assignment := lease(campaign, ada)) is not None:
        text = Response.objects.get(pk=assignment.display_order[0]).text
        send(assignment, ada, {"edit_text": f"much better, and longer, words {text}"})
    again(campaign)
    edits = set(Response.objects.filter(parent__isnull=False).values_list("pk", flat=True))
    assert len(edits) == 12
    found = space.load(campaign, progress=nobody)
    assert not edits & set(found.index.ids[found.candidates.pairs[:, 0]].tolist())
    assert not edits & {pk for rows in shown() for pk in rows}
    labels = store.labels(campaign, found.index)
    assert len(labels.comparisons) == 12
    belief = fitting.fit(campaign, found, labels, "all").belief
    pairs = [
        (pk, parent)
        for pk, parent in Response.objects.filter(pk__in=edits).values_list("pk", "parent_id")
    ]
    mu, _ = belief.margin(found.phi, found.index.rows(np.array(pairs).ravel()).reshape(-1, 2))
    assert (mu > 0).all()


def test_the_first_word_about_the_line_widens_the_model_and_older_ones_stay_on_the_curve(
    running: Campaign, ada: User
) -> None:
    work()
    prefer_longer(running, ada, most=11)
    again(running)
    before = ModelVersion.objects.filter(kind="all").order_by("-round__number")[0]
    assignment = lease(running, ada)
    send(assignment, ada, {"choice": "neither"})
    made = again(running)
    after = ModelVersion.objects.filter(kind="all").order_by("-round__number")[0]
    index = textindex.refresh(running.pk)
    old, new = (beliefs.load(version, ids=index.ids) for version in (before, after))
    assert old is not None
    assert new is not None
    assert new[0].width == old[0].width + 1
    assert [p["round"] for p in made.report["curve"] if p["kind"] == "all"] == [1, 2, 3]
    labels = store.labels(running, index)
    assert labels.line.sum() == 2
    assert set(labels.comparisons.pairs[labels.line].max(axis=1)) == {len(index.ids)}


def test_a_strength_is_about_what_was_shown(ada: User) -> None:
    campaign = start(ada, [rich(n) for n in range(4)], follow_ups=["edit"], holdout_prompts=0)
    work()
    assignment = lease(campaign, ada)
    data = {"choice": "a3", "edit_of": "A", "edit_text": "a better one", "edit_now": "edit"}
    send(assignment, ada, data)
    index = textindex.refresh(campaign.pk)
    data_ = store.labels(campaign, index).comparisons
    edit = index.rows(np.array([Response.objects.get(parent__isnull=False).pk]))[0]
    with_edit = (data_.pairs == edit).any(axis=1)
    assert (data_.strength[with_edit] == 0).all()
    assert data_.strength[~with_edit].tolist() == [3]
    assert data_.weight.tolist() == [0.5] * 3


def test_a_pool_without_enough_responses_says_what_the_form_needs(ada: User) -> None:
    same = [{"text": "the same words", "model": model} for model in "abc"]
    start(ada, [item(n, task="listwise", responses=same) for n in range(6)], form="rank")
    work()
    assert "the 3 different responses that the form shows" in Round.objects.get().error
