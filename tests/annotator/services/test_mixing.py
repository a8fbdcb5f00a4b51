"""Gold and repeats among the questions: the person's own, never two in a row, no labels."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from zlib import crc32

import pytest
from django.contrib.auth.models import User

from annotator import selectors
from annotator.checks import Attention, attention
from annotator.models import Annotation, Annotator, Assignment, Campaign, GoldAnswer, Query, Slot
from annotator.services import mixing
from annotator.services.annotations import undo_last
from annotator.services.exports import ExportOptions, rows
from annotator.services.gold import retire_gold
from annotator.services.quality import APART
from tests.annotator.acts import answer, expire, lease
from tests.campaigns import ask, item, known, make_campaign


def mixed(people: tuple[User, ...], *, gold: int = 20, asked: int = 40, **fields: Any) -> Campaign:
    """A running campaign with gold in its pool and normal questions in its queue."""
    pool = [item(n) for n in range(asked)] + [known(n) for n in range(gold)]
    campaign = make_campaign(people=people, rows=pool, **fields)
    ask(campaign)
    return campaign


def work(campaign: Campaign, person: User, questions: int, choice: str = "a2") -> list[Assignment]:
    """Answer so many questions; returns them in the order they came."""
    done = []
    for _ in range(questions):
        assignment = lease(campaign, person)
        answer(assignment, person, choice)
        done.append(assignment)
    return done


def arms(done: list[Assignment]) -> list[str]:
    stored = dict(Query.objects.values_list("pk", "arm"))
    return [stored[assignment.query_id] for assignment in done]


def told(campaign: Campaign) -> list[Attention]:
    """What researchers are told about people."""
    return attention(campaign=campaign, keys=list(GoldAnswer.objects.filter(active=True)))


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every lot falls as low as can be: what may be mixed in is."""
    monkeypatch.setattr(mixing, "lot", lambda annotator, of: 0.0)


# --- gold ---------------------------------------------------------------------------------


def test_nothing_is_mixed_in_unless_the_campaign_says_so(ada: User) -> None:
    campaign = mixed((ada,))
    assert set(arms(work(campaign, ada, 40))) == {"random"}


def test_gold_comes_with_a_slot_of_ones_own_and_never_twice(ada: User, always: None) -> None:
    campaign = mixed((ada,), gold=3, gold_share=0.3)
    done = work(campaign, ada, 20)
    gold = [a for a in done if Query.objects.get(pk=a.query_id).arm == "gold"]
    assert len(gold) == len({a.query_id for a in gold}) == 3
    me = Annotator.objects.get(user=ada)
    assert {a.slot.reserved_for_id for a in gold} == {me.pk}
    assert {a.slot.state for a in Assignment.objects.filter(pk__in=[a.pk for a in gold])} == {
        "answered"
    }


def test_never_two_in_a_row_whatever_the_lots(ada: User, always: None) -> None:
    campaign = mixed((ada,), gold_share=0.3, repeat_share=0.2)
    came = [arm in ("gold", "repeat") for arm in arms(work(campaign, ada, 40))]
    assert sum(came) > 10
    assert not any(one and other for one, other in pairwise(came))


def test_a_reload_draws_nothing_anew(ada: User, always: None) -> None:
    campaign = mixed((ada,), gold_share=0.3)
    work(campaign, ada, 1)
    assert lease(campaign, ada) == lease(campaign, ada)
    assert Slot.objects.filter(reserved_for__isnull=False).count() == 1


def test_an_empty_queue_does_not_draw_until_gold_comes(ada: User, always: None) -> None:
    campaign = mixed((ada,), asked=2, gold_share=0.3)
    assert arms(work(campaign, ada, 3)) == ["random", "gold", "random"]
    assert arms(work(campaign, ada, 1)) == ["gold"]
    for _ in range(3):
        assert lease(campaign, ada) is None


def test_two_people_get_gold_of_their_own(ada: User, ben: User, always: None) -> None:
    campaign = mixed((ada, ben), gold=1, gold_share=0.3)
    for person in (ada, ben):
        assert arms(work(campaign, person, 2)) == ["random", "gold"]
    assert Annotation.objects.filter(query__arm="gold").standing().count() == 2


def test_a_reserved_slot_is_given_to_nobody_else(ada: User, ben: User, always: None) -> None:
    campaign = mixed((ada, ben), asked=1, gold=1, gold_share=0.3)
    work(campaign, ada, 1)
    gold = expire(lease(campaign, ada))
    retire_gold(gold=GoldAnswer.objects.get())
    assert lease(campaign, ben) is None
    answer(gold, ada, "skip")
    assert lease(campaign, ben) is None
    assert Slot.objects.get(reserved_for__user=ada).state == "open"


def test_retired_withdrawn_and_flagged_gold_is_not_given(ada: User, always: None) -> None:
    campaign = mixed((ada,), gold=3, gold_share=0.3)
    retired, withdrawn, flagged = GoldAnswer.objects.order_by("pk")
    retire_gold(gold=retired)
    Query.objects.filter(pk=withdrawn.query_id).update(withdrawn=True)
    Query.objects.filter(pk=flagged.query_id).update(flagged_at="2026-01-01T00:00Z")
    assert set(arms(work(campaign, ada, 10))) == {"random"}


def test_gold_is_asked_as_the_campaign_asks_now(ada: User, always: None) -> None:
    campaign = mixed((ada,), gold=1, gold_share=0.3)
    Campaign.objects.update(form_options={"compare": {"steps": 3}})
    work(campaign, ada, 1)
    assert lease(campaign, ada).query.parts == {"options": {"compare": {"steps": 3}}}


def test_gold_can_be_taken_back_like_any_answer(ada: User, always: None) -> None:
    campaign = mixed((ada,), gold_share=0.3)
    gold = work(campaign, ada, 2)[1]
    assert undo_last(slug=campaign.slug, user=ada) == gold
    assert lease(campaign, ada) == gold
    answer(lease(campaign, ada), ada, "b1")
    assert Annotation.objects.filter(query__arm="gold").standing().count() == 1


# --- repeats ------------------------------------------------------------------------------


def test_a_repeat_is_ones_own_answer_of_some_time_ago_with_sides_swapped(
    ada: User, ben: User, always: None
) -> None:
    campaign = mixed((ada, ben), gold=0, repeat_share=0.2, asked=60)
    work(campaign, ben, 5)
    done = work(campaign, ada, 40)
    repeats = Query.objects.filter(arm="repeat")
    assert repeats.count() >= 5
    order = [a.query_id for a in done]
    for query in repeats:
        first, second = order.index(query.repeat_of_id), order.index(query.pk)
        assert second - first > APART
        assert done[second].display_order == done[first].display_order[::-1]
    assert len({query.repeat_of_id for query in repeats}) == repeats.count()


def test_sets_are_shuffled_anew() -> None:
    for _ in range(20):
        again = mixing.turned([1, 2, 3])
        assert again != [1, 2, 3]
        assert sorted(again) == [1, 2, 3]
    assert mixing.turned([1, 2]) == [2, 1]
    assert mixing.turned([1]) == [1]


def test_skipped_and_taken_back_answers_are_not_repeated(ada: User, always: None) -> None:
    campaign = mixed((ada,), gold=0, repeat_share=0.2)
    work(campaign, ada, 12, choice="skip")
    assert set(arms(work(campaign, ada, 6))) == {"random"}


def test_rewrites_are_not_asked_twice(ada: User, always: None) -> None:
    campaign = mixed((ada,), gold=0, repeat_share=0.2)
    Campaign.objects.update(follow_ups=["edit"])
    work(campaign, ada, 12)
    work(campaign, ada, 6)
    assert not Query.objects.filter(arm="repeat").exists()


# --- what such answers are for ------------------------------------------------------------


@pytest.fixture
def checked(ada: User, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """Ada has answered gold and repeats among normal questions, always for A."""
    monkeypatch.setattr(mixing, "lot", lambda annotator, of: crc32(of.encode()) / 2**32)
    campaign = mixed((ada,), gold=4, gold_share=0.3, repeat_share=0.2, asked=60)
    work(campaign, ada, 30)
    return campaign


def test_checks_are_no_labels_and_nothing_fresh(checked: Campaign, ada: User) -> None:
    said = Annotation.objects.filter(campaign=checked)
    found = set(said.standing().values_list("query__arm", flat=True))
    assert found == {"random", "gold", "repeat"}
    assert set(said.labels().values_list("query__arm", flat=True)) == {"random"}
    me = Annotator.objects.get(user=ada)
    status = selectors.loop_status(campaign_id=checked.pk, annotator_id=me.pk)
    Campaign.objects.update(created_at="2020-01-01T00:00Z")
    assert selectors.loop_status(campaign_id=checked.pk).fresh == status.fresh
    assert status.mine == 30  # to the person they are questions like others


def test_the_shared_queue_does_not_know_of_them(checked: Campaign, ben: User) -> None:
    normal = Slot.objects.filter(query__arm="random", state="open").count()
    assert selectors.loop_status(campaign_id=checked.pk).open_slots == normal


def test_exports_leave_checks_out_unless_asked(checked: Campaign) -> None:
    def asked(**wanted: bool) -> set[str]:
        made = rows(campaign=checked, format_name="native", options=ExportOptions(**wanted))
        return {query["arm"] for _, about in made for query in about["queries"]}

    assert asked() == {"random"}
    assert asked(include_gold=True) == {"random", "gold"}
    assert asked(include_repeats=True) == {"random", "repeat"}


def test_researchers_see_what_checks_say(checked: Campaign) -> None:
    (line,) = told(checked)
    gold = Annotation.objects.filter(query__arm="gold").standing()
    winners = [said.tiers[0][0] for said in gold]  # always A, which is either of the two
    right = sum(key.tiers[0][0] in winners for key in GoldAnswer.objects.all())
    assert (line.gold, line.right) == (gold.count(), right)
    assert line.repeats == Query.objects.filter(arm="repeat").count() > 2
    assert line.same == 0  # A both times, with sides swapped
    assert line.slip_rate == 0.5
    assert line.interval is not None


def test_a_key_decided_anew_counts_for_answers_given_before(ada: User, always: None) -> None:
    from annotator.services.gold import revise_gold

    campaign = mixed((ada,), gold=1, gold_share=0.3)
    work(campaign, ada, 2)
    before = told(campaign)[0].right
    key = GoldAnswer.objects.get()
    revise_gold(gold=key, tiers=key.tiers[::-1], good={}, explanation="")
    assert told(campaign)[0].right == 1 - before
