"""What one has answered, in words, and what one did today."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from annotator import my_answers
from annotator.models import Assignment, Campaign, Prompt, Query
from annotator.services.annotations import undo_last
from annotator.services.campaigns import set_state
from tests.annotator.acts import answer, expire, lease
from tests.annotator.views.pages import html, queries
from tests.campaigns import ask, make_campaign

SOMEBODY = "2dd56f5f-db20-4fd5-a02c-709285c4c70e"  # the same in every process: names a test
SECRETS = ("model-one", "model-two", "propensity", "random", "policy", "holdout", "gold", "arm")


def test_answers_are_listed_newest_first_in_words(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    answer(lease(campaign, ada), ada, "a2", rationale="clear <b>and</b> short")
    answer(lease(campaign, ada), ada, "skip")
    answer(lease(campaign, ada), ada, "flag", rationale="personal data")
    page = html(as_ada.get(f"/c/{campaign.slug}/mine/"))
    said = ["Flagged: personal data", "Skipped", "A better than B, clearly"]
    assert [page.index(words) for words in said] == sorted(page.index(words) for words in said)
    assert "clear &lt;b&gt;and&lt;/b&gt; short" in page
    assert "why is the sky blue?" in page
    assert page.count("/change/") == 1


def test_nothing_of_others_models_or_arms_is_told(
    campaign: Campaign, ada: User, ben: User, as_ada: Client
) -> None:
    answer(lease(campaign, ada), ada, rationale="mine")
    answer(lease(campaign, ben), ben, rationale="of somebody else")
    page = html(as_ada.get(f"/c/{campaign.slug}/mine/"))
    assert "of somebody else" not in page
    main = page.partition("<main")[2]
    assert [word for word in SECRETS if re.search(rf"\b{word}\b", main)] == []


@pytest.mark.parametrize("arm", ["gold", "holdout", "audit", "policy"])
def test_a_row_looks_the_same_whatever_the_arm(
    campaign: Campaign, ada: User, as_ada: Client, arm: str
) -> None:
    answer(lease(campaign, ada), ada)

    def rows() -> str:
        page = html(as_ada.get(f"/c/{campaign.slug}/mine/"))
        return page.partition("<main")[2].partition("</main>")[0]

    before = rows()
    Query.objects.update(arm=arm)
    assert rows() == before


@pytest.mark.parametrize("arm", ["practice", "qualification"])
def test_practice_and_tests_are_left_out(
    campaign: Campaign, ada: User, as_ada: Client, arm: str
) -> None:
    said = answer(lease(campaign, ada), ada)
    Query.objects.update(arm=arm)
    page = as_ada.get(f"/c/{campaign.slug}/mine/")
    assert page.context["page"].rows == []
    assert page.context["summary"].all == 0
    assert as_ada.get(f"/a/{said.assignment_id}/change/").status_code == 404


def test_what_was_taken_back_is_marked_and_comes_first(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    answer(lease(campaign, ada), ada, "a2")
    answer(lease(campaign, ada), ada, "b2")
    undo_last(slug=campaign.slug, user=ada)
    first, second = as_ada.get(f"/c/{campaign.slug}/mine/").context["page"].rows
    assert (first.taken_back, first.changeable) == (True, False)
    assert first.now.phrases == ["B better than A, clearly"]
    assert (second.taken_back, second.changeable) == (False, True)


def test_a_question_answered_again_shows_what_stood_before(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    answer(lease(campaign, ada), ada, "a2")
    answer(undo_last(slug=campaign.slug, user=ada), ada, "b2")
    [row] = as_ada.get(f"/c/{campaign.slug}/mine/").context["page"].rows
    assert (row.corrected, row.taken_back) == (False, False)
    assert [version.phrases[0][0] for version in (row.now, *row.before)] == ["B", "A"]


def test_late_answers_are_marked(campaign: Campaign, ada: User, as_ada: Client) -> None:
    answer(expire(lease(campaign, ada)), ada)
    assert ">late<" in html(as_ada.get(f"/c/{campaign.slug}/mine/"))


@pytest.mark.parametrize("held", [{"flagged_at": timezone.now()}, {"withdrawn": True}])
def test_a_question_that_was_reported_is_not_shown_again(
    campaign: Campaign, ada: User, as_ada: Client, held: dict[str, Any]
) -> None:
    answer(lease(campaign, ada), ada)
    Query.objects.update(**held)
    page = html(as_ada.get(f"/c/{campaign.slug}/mine/"))
    assert "why is the sky blue?" not in page
    assert "/change/" not in page


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("\n\n  Plain text\nmore", "Plain text"),
        (
            [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Newest turn\nx"}],
            "Newest",
        ),
        ("null", "null"),
        ('{"a": 1}', "{&quot;a&quot;: 1}"),
        ("<script>alert(1)</script>", "&lt;script&gt;"),
        ("x" * 1_000_000, "x" * 139 + "…"),
    ],
)
def test_the_first_line_of_any_prompt_is_shown(
    campaign: Campaign, ada: User, as_ada: Client, content: Any, line: str
) -> None:
    said = answer(lease(campaign, ada), ada)
    Prompt.objects.filter(pk=said.query.prompt_id).update(content=content)
    page = html(as_ada.get(f"/c/{campaign.slug}/mine/"))
    assert f"<bdi>{line}" in page
    assert len(page) < 50_000


@pytest.fixture
def many(ada: User, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """Seven answers, three a page, two of them taken back."""
    monkeypatch.setattr(my_answers, "PAGE", 3)
    campaign = make_campaign(prompts=7, people=(ada,))
    ask(campaign)
    for _ in range(7):
        answer(lease(campaign, ada), ada)
    for _ in range(2):
        undo_last(slug=campaign.slug, user=ada)
    return campaign


def test_every_answer_is_on_exactly_one_page(many: Campaign, as_ada: Client) -> None:
    where, seen = f"/c/{many.slug}/mine/", []
    pages = 0
    while where:
        reply = as_ada.get(where)
        seen += [row.assignment for row in reply.context["page"].rows]
        older = reply.context["page"].older
        where = f"/c/{many.slug}/mine/?before={older}" if older else ""
        pages += 1
    assert pages == 3
    assert len(seen) == len(set(seen)) == 7
    closed = dict(Assignment.objects.values_list("pk", "closed_at"))
    assert [closed[pk] is None for pk in seen] == [True, True, *[False] * 5]
    times = [closed[pk] for pk in seen[2:]]
    assert times == sorted(times, reverse=True)


def test_answers_of_the_same_moment_are_all_listed(many: Campaign, as_ada: Client) -> None:
    Assignment.objects.filter(state="answered").update(closed_at=timezone.now())
    test_every_answer_is_on_exactly_one_page(many, as_ada)


@pytest.mark.parametrize(
    "before", ["x", "1", "open_", "-5_0", f"99999999999999999999_{SOMEBODY}", "\0"]
)
def test_a_made_up_place_is_refused(campaign: Campaign, as_ada: Client, before: str) -> None:
    ensure = as_ada.get(f"/c/{campaign.slug}/mine/", {"before": before})
    assert ensure.status_code == 422
    assert (
        as_ada.get(f"/c/{campaign.slug}/mine/", {"before": f"{'9' * 16}_{uuid4()}"}).status_code
        == 200
    )


def test_the_summary_counts_today_the_week_and_all(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    for milliseconds in ("10000", "30000", "50000", ""):
        answer(lease(campaign, ada), ada, active_ms=milliseconds)
    answer(lease(campaign, ada), ada, "skip", active_ms="90000")
    old, older = Assignment.objects.filter(state="answered").order_by("closed_at")[:2]
    for assignment, days in ((old, 3), (older, 30)):
        moment = timezone.now() - timedelta(days=days)
        Assignment.objects.filter(pk=assignment.pk).update(closed_at=moment)
    summary = as_ada.get(f"/c/{campaign.slug}/mine/").context["summary"]
    assert (summary.today, summary.week, summary.all) == (2, 3, 4)
    assert (summary.median_ms, summary.today_ms) == (30000, 50000)


def test_who_has_not_begun_sees_an_empty_page(campaign: Campaign, as_ruth: Client) -> None:
    assert "not answered anything" in html(as_ruth.get(f"/c/{campaign.slug}/mine/"))


def test_strangers_find_nothing(campaign: Campaign, as_sam: Client) -> None:
    assert as_sam.get(f"/c/{campaign.slug}/mine/").status_code == 404


def test_a_finished_campaign_is_still_listed_and_not_changed(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    said = answer(lease(campaign, ada), ada)
    set_state(campaign=campaign, state="finished")
    page = html(as_ada.get(f"/c/{campaign.slug}/mine/"))
    assert "A better than B" in page
    assert "/change/" not in page
    assert as_ada.get(f"/a/{said.assignment_id}/change/").status_code == 409


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_the_list_takes_get_only(campaign: Campaign, as_ada: Client, method: str) -> None:
    assert getattr(as_ada, method)(f"/c/{campaign.slug}/mine/").status_code == 405


# --- today, gently --------------------------------------------------------------------------


def test_the_workspace_says_what_one_did_today(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    assert "today" not in html(as_ada.get(f"/c/{campaign.slug}/"))
    for _ in range(3):
        answer(lease(campaign, ada), ada, active_ms="41000")
    page = as_ada.get(f"/c/{campaign.slug}/")
    line = re.sub(r"<[^>]+>", "", html(page).partition("standing pace")[2].partition("</p>")[0])
    first = Assignment.objects.earliest("closed_at").closed_at
    expected = f"3 today since {first:%H:%M} UTC · about 40 s each"
    assert line.split(">")[-1].strip() == expected


def test_practice_and_tests_are_no_answers_of_today(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    said = [answer(lease(campaign, ada), ada) for _ in range(3)]
    Query.objects.filter(pk=said[0].query_id).update(arm="practice")
    status = as_ada.get(f"/c/{campaign.slug}/").context["w"].status
    assert (status.mine, status.today) == (2, 2)


def test_yesterday_is_not_today(campaign: Campaign, ada: User, as_ada: Client) -> None:
    answer(lease(campaign, ada), ada)
    Assignment.objects.update(closed_at=timezone.now() - timedelta(days=1, hours=1))
    status = as_ada.get(f"/c/{campaign.slug}/").context["w"].status
    assert (status.mine, status.today) == (1, 0)


# --- what it costs --------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_list_costs_seven_queries_whatever_is_on_it(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    for _ in range(4):
        answer(lease(campaign, ada), ada)
    undo_last(slug=campaign.slug, user=ada)
    run = queries(lambda: as_ada.get(f"/c/{campaign.slug}/mine/"))
    assert len(run) <= 7, run
    assert not any(" OFFSET " in sql for sql in run)
