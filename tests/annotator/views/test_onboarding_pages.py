"""Practice and the test in the pages; and that nothing in a page tells what is mixed in."""

from __future__ import annotations

import re
from typing import Any
from zlib import crc32

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.models import Annotation, Annotator, Assignment, Campaign, Query
from annotator.services import mixing
from annotator.services.campaigns import add_member, publish_guidelines, set_state
from annotator.services.onboarding import give_another_try, waive_test
from tests.annotator.acts import answer, lease
from tests.annotator.views.test_annotate_pages import HTMX, press, queries
from tests.campaigns import ask, item, known, make_campaign

LINE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def led(ada: User, ruth: User, *rows: Any, **fields: Any) -> Campaign:
    """A running campaign with normal questions and these others, researched by ruth."""
    made = make_campaign(people=(ada,), rows=[item(n) for n in range(6)] + list(rows), **fields)
    add_member(campaign=made, user=ruth, role="owner")
    ask(made)
    return made


@pytest.fixture
def practice(ada: User, ruth: User) -> Campaign:
    """Two practice questions, the first with an explanation."""
    explained = known(1, "practice", choice=0, explanation="Paint is *not* grass.")
    return led(ada, ruth, explained, known(2, "practice", choice="tie"))


@pytest.fixture
def test_of_four(ada: User, ruth: User) -> Campaign:
    """Four test questions of which three must be as expected; all expect the first response."""
    return led(ada, ruth, *(known(n, "qualification") for n in range(4)), qualification_pass=0.75)


def under_way(arm: str) -> Assignment:
    return Assignment.objects.get(query__arm=arm, state="open")


def winner(right: bool) -> str:
    """The button that says what is expected of the open test question, or the other one."""
    asked = under_way("qualification")
    first = asked.query.gold_answers.get().tiers[0][0]
    return ("a2" if asked.display_order[0] == first else "b2") if right else "neither"


def take(client: Client, *right: bool) -> Any:
    """Answer the questions of a test; returns the last reply."""
    reply = None
    for one in right:
        reply = press(client, under_way("qualification"), winner(one), **HTMX)
    return reply


# --- practice -------------------------------------------------------------------------------


def test_practice_comes_after_the_guidelines_and_before_the_first_question(
    practice: Campaign, as_ada: Client
) -> None:
    Annotator.objects.update(guidelines_read=0)
    publish_guidelines(campaign=practice, text="Be fair.")
    where = f"/c/{practice.slug}/"
    assert as_ada.get(where)["Location"] == f"{where}guidelines/"
    assert as_ada.get(f"{where}practice/")["Location"] == where  # not yet
    as_ada.post(f"{where}guidelines/", {"version": "1"})
    assert as_ada.get(where)["Location"] == f"{where}practice/"
    html = as_ada.get(f"{where}practice/").content.decode()
    assert "Practice 1 of 2" in html
    assert "why is grass green?" in html
    assert "Paint is" not in html
    assert 'id="undo"' not in html


def test_a_practice_answer_is_explained_and_the_next_follows(
    practice: Campaign, as_ada: Client
) -> None:
    where = f"/c/{practice.slug}/practice/"
    as_ada.get(where)
    asked = under_way("practice")
    reply = press(as_ada, asked, "tie", **HTMX).content.decode()
    assert "Not as expected" in reply
    assert "Paint is <em>not</em> grass." in reply
    assert "Practice 1 of 2" in reply
    first = asked.query.gold_answers.get().tiers[0][0]
    better = "AB"[asked.display_order.index(first)]
    assert f"{better} better than" in reply
    assert "Practice 2 of 2" in as_ada.get(where).content.decode()
    assert "As expected" in press(as_ada, under_way("practice"), "tie", **HTMX).content.decode()
    assert as_ada.get(where)["Location"] == f"/c/{practice.slug}/"
    assert as_ada.get(f"/c/{practice.slug}/").status_code == 200
    assert Annotator.objects.get().practised_at is not None


def test_without_javascript_the_explanation_is_a_page(practice: Campaign, as_ada: Client) -> None:
    as_ada.get(f"/c/{practice.slug}/practice/")
    reply = press(as_ada, under_way("practice"), "skip")
    assert reply.status_code == 302
    page = as_ada.get(reply["Location"]).content.decode()
    assert "You did not answer this one" in page
    assert "Paint is <em>not</em> grass." in page


def test_what_is_missing_is_said_on_the_practice_page(practice: Campaign, as_ada: Client) -> None:
    as_ada.get(f"/c/{practice.slug}/practice/")
    reply = press(as_ada, under_way("practice"), "a9", rationale="my thoughts", **HTMX)
    assert reply.status_code == 422
    html = reply.content.decode()
    assert "Practice 1 of 2" in html
    assert "my thoughts" in html


def test_practice_is_no_label_no_progress_and_cannot_be_undone(
    practice: Campaign, ada: User, as_ada: Client
) -> None:
    for _ in range(2):
        as_ada.get(f"/c/{practice.slug}/practice/")
        press(as_ada, under_way("practice"), "tie")
    as_ada.get(f"/c/{practice.slug}/practice/")
    assert Annotation.objects.count() == 2
    assert not Annotation.objects.labels().exists()
    page = as_ada.get(f"/c/{practice.slug}/")
    assert (page.context["w"].status.mine, page.context["w"].status.fresh) == (0, 0)
    assert as_ada.post(f"/c/{practice.slug}/undo/", **HTMX).status_code == 409


@pytest.mark.parametrize("answered", ["x", "00000000-0000-0000-0000-000000000000"])
def test_a_forged_explanation_is_not_shown(
    practice: Campaign, as_ada: Client, answered: str
) -> None:
    reply = as_ada.get(f"/c/{practice.slug}/practice/?answered={answered}")
    assert reply["Location"] == f"/c/{practice.slug}/practice/"


def test_an_open_question_is_never_explained(practice: Campaign, as_ada: Client) -> None:
    as_ada.get(f"/c/{practice.slug}/practice/")
    where = f"/c/{practice.slug}/practice/?answered={under_way('practice').pk}"
    assert as_ada.get(where).status_code == 302


def test_somebody_elses_practice_is_not_explained(
    practice: Campaign, as_ada: Client, as_ben: Client, ben: User
) -> None:
    add_member(campaign=practice, user=ben)
    as_ada.get(f"/c/{practice.slug}/practice/")
    asked = under_way("practice")
    press(as_ada, asked, "tie")
    reply = as_ben.get(f"/c/{practice.slug}/practice/?answered={asked.pk}")
    assert reply.status_code == 302


def test_a_paused_campaign_gives_no_practice(practice: Campaign, as_ada: Client) -> None:
    set_state(campaign=practice, state="paused")
    assert as_ada.get(f"/c/{practice.slug}/practice/")["Location"] == f"/c/{practice.slug}/"
    assert "paused" in as_ada.get(f"/c/{practice.slug}/").content.decode()


def test_strangers_see_no_practice_and_no_test(practice: Campaign, as_sam: Client) -> None:
    for where in ("practice", "qualification"):
        assert as_sam.get(f"/c/{practice.slug}/{where}/").status_code == 404


# --- the test -------------------------------------------------------------------------------


def begin(client: Client, campaign: Campaign) -> str:
    """Read what the test is, and start it."""
    where = f"/c/{campaign.slug}/qualification/"
    assert client.get(f"/c/{campaign.slug}/")["Location"] == where
    assert "4 questions" in client.get(where).content.decode()
    assert not Assignment.objects.exists()  # looking is not starting
    assert client.post(where)["Location"] == where
    return where


def test_a_passed_test_opens_the_campaign(test_of_four: Campaign, as_ada: Client) -> None:
    where = begin(as_ada, test_of_four)
    html = as_ada.get(where).content.decode()
    assert "Test question 1 of 4" in html
    follow = take(as_ada, True)
    assert "Test question 2 of 4" in follow.content.decode()
    assert "expected:" not in follow.content.decode()
    ended = take(as_ada, True, False, True)
    assert (ended.status_code, ended["HX-Redirect"]) == (204, where)
    assert "You answered 3 of 4 as expected" in as_ada.get(where).content.decode()
    assert as_ada.get(f"/c/{test_of_four.slug}/").status_code == 200
    assert Annotation.objects.labels().count() == 0


def test_a_failed_test_closes_it_and_says_whom_to_ask(
    test_of_four: Campaign, ada: User, as_ada: Client
) -> None:
    where = begin(as_ada, test_of_four)
    take(as_ada, True, False, True, False)
    page = as_ada.get(where)
    assert page.status_code == 403
    html = page.content.decode()
    assert "You answered 2 of 4 as expected; this campaign asks for 3." in html
    assert "ruth" in html
    assert as_ada.get(f"/c/{test_of_four.slug}/")["Location"] == where
    assert as_ada.post(where)["Location"] == where
    assert as_ada.get(where).status_code == 403


def test_skipped_questions_are_not_as_expected(test_of_four: Campaign, as_ada: Client) -> None:
    where = begin(as_ada, test_of_four)
    for _ in range(4):
        press(as_ada, under_way("qualification"), "skip", **HTMX)
    assert "You answered 0 of 4" in as_ada.get(where).content.decode()


def test_a_researcher_can_let_somebody_go_on(test_of_four: Campaign, as_ada: Client) -> None:
    begin(as_ada, test_of_four)
    take(as_ada, False, False, False, False)
    waive_test(annotator=Annotator.objects.get())
    assert as_ada.get(f"/c/{test_of_four.slug}/").status_code == 200


def test_another_try_asks_the_same_questions_and_keeps_the_first_answers(
    test_of_four: Campaign, as_ada: Client
) -> None:
    where = begin(as_ada, test_of_four)
    take(as_ada, False, False, False, False)
    assert as_ada.get(where).status_code == 403
    assert give_another_try(annotator=Annotator.objects.get()) == 4
    as_ada.get(where)
    for _ in range(4):
        asked = Assignment.objects.filter(query__arm="qualification", state="open").first()
        first = asked.query.gold_answers.get().tiers[0][0]
        press(as_ada, asked, "a2" if asked.display_order[0] == first else "b2", **HTMX)
    assert "You answered 4 of 4" in as_ada.get(where).content.decode()
    assert Annotation.objects.count() == 12  # four answers, taken back, and given again


def test_without_a_pass_mark_there_is_no_test(test_of_four: Campaign, as_ada: Client) -> None:
    Campaign.objects.update(qualification_pass=0)
    assert as_ada.get(f"/c/{test_of_four.slug}/").status_code == 200
    where = f"/c/{test_of_four.slug}/qualification/"
    assert as_ada.get(where)["Location"] == f"/c/{test_of_four.slug}/"


# --- what is mixed in cannot be told --------------------------------------------------------


def masked(html: str, campaign: Campaign) -> str:
    """A page without what differs between any two questions: ids, texts, counts, tokens."""
    html = LINE.sub("ID", html)
    html = re.sub(r'(name="csrfmiddlewaretoken" value=")[^"]+', r"\1T", html)
    html = re.sub(r"(?:Question|Known) \d+: why is[^<?]*\?", "PROMPT", html)
    html = re.sub(r"Because of .*?\(\d+\)\.|I do not know \(\d+\)\.", "TEXT", html)
    html = re.sub(r"Chlorophyll \(\d+\)\.|Paint \(\d+\)\.", "TEXT", html)
    html = re.sub(r'data-lease="\d+"', 'data-lease="S"', html)
    html = re.sub(r'(<p class="standing pace">).*?</p>', r"\1PACE", html, flags=re.DOTALL)
    return re.sub(r"<strong>\d+\+?</strong>", "<strong>N</strong>", html)


@pytest.fixture
def everything(ada: User, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """Something is mixed in at every second place, sometimes gold, sometimes a repeat."""
    monkeypatch.setattr(mixing, "lot", lambda annotator, of: crc32(of.encode()) / 2**32)
    pool = [item(n) for n in range(60)] + [known(n) for n in range(20)]
    made = make_campaign(people=(ada,), rows=pool, gold_share=0.3, repeat_share=0.2)
    ask(made)
    return made


def test_pages_of_gold_repeats_and_other_questions_are_the_same(
    everything: Campaign, ada: User, as_ada: Client
) -> None:
    pages: dict[str, set[str]] = {}
    heads: dict[str, set[tuple[str, ...]]] = {}
    for _ in range(45):
        shown = as_ada.get(f"/c/{everything.slug}/")
        asked = lease(everything, ada)
        arm = Query.objects.get(pk=asked.query_id).arm
        pages.setdefault(arm, set()).add(masked(shown.content.decode(), everything))
        heads.setdefault(arm, set()).add(tuple(sorted(set(shown.headers) - {"Content-Length"})))
        answer(asked, ada)
    assert set(pages) == {"random", "gold", "repeat"}
    every_page = set.union(*pages.values())
    assert len(every_page) <= 2  # the first question of the day has no figures of today
    assert pages["gold"] == pages["repeat"] <= pages["random"]
    assert heads["gold"] == heads["repeat"] <= heads["random"]


def test_the_length_of_the_queue_does_not_tell(everything: Campaign, as_ada: Client) -> None:
    for where in ("/", f"/c/{everything.slug}/"):
        html = as_ada.get(where).content.decode()
        assert ">60+<" in html
        assert ">60<" not in html


def test_ids_of_what_is_mixed_in_are_as_random_as_others(everything: Campaign, ada: User) -> None:
    for _ in range(12):
        answer(lease(everything, ada), ada)
    for assignment in Assignment.objects.select_related("query"):
        assert assignment.pk.version == assignment.submission_key.version == 4, assignment.query.arm


def test_draft_and_undo_of_gold_are_as_of_any_question(
    everything: Campaign, ada: User, as_ada: Client
) -> None:
    answer(lease(everything, ada), ada)
    gold = lease(everything, ada)
    assert Query.objects.get(pk=gold.query_id).arm == "gold"
    assert as_ada.post(f"/a/{gold.pk}/draft/", {"rationale": "hm"}).json() == {"saved": True}
    assert "hm" in as_ada.get(f"/c/{everything.slug}/").content.decode()
    press(as_ada, gold)
    undone = as_ada.post(f"/c/{everything.slug}/undo/", **HTMX).content.decode()
    assert str(gold.pk) in undone


# --- what it costs --------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_mixing_in_costs_few_queries(everything: Campaign, ada: User, as_ada: Client) -> None:
    cost: dict[str, int] = {}
    for _ in range(40):
        run = queries(lambda: as_ada.get(f"/c/{everything.slug}/"))
        asked = lease(everything, ada)
        arm = Query.objects.get(pk=asked.query_id).arm
        cost[arm] = max(cost.get(arm, 0), len(run))
        answer(asked, ada)
    assert set(cost) == {"random", "gold", "repeat"}
    assert cost["random"] <= 8, cost
    assert cost["gold"] <= 9, cost
    assert cost["repeat"] <= 11, cost


@pytest.mark.django_db(transaction=True)
def test_submitting_costs_no_more_where_something_may_be_mixed_in(
    everything: Campaign, ada: User, as_ada: Client
) -> None:
    most: dict[str, int] = {}
    for _ in range(30):
        asked = lease(everything, ada)
        run = queries(lambda asked=asked: press(as_ada, asked, **HTMX))
        arm = Query.objects.get(pk=lease(everything, ada).query_id).arm
        most[arm] = max(most.get(arm, 0), len(run))
    assert set(most) == {"random", "gold", "repeat"}
    assert most["random"] <= 12, most
    assert most["gold"] <= 13, most
    assert most["repeat"] <= 15, most
