"""Pages in the language of who reads them: everything is marked, and the choice is kept."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import translation

from annotator import selectors
from annotator.models import Annotator, Assignment, Campaign, Membership, Query, Round
from annotator.services.campaigns import add_member, publish_guidelines
from annotator.services.rounds import fail_round
from tests.annotator.acts import answer, lease
from tests.annotator.views.test_annotate_pages import HTMX, press
from tests.campaigns import Row, ask, item, known, make_campaign
from tests.pseudo import LEFT_TO_RIGHT, RIGHT_TO_LEFT, bare, outside, speak

GREEK = "Γιατί είναι ο ουρανός μπλε;"
WORDS = ["σωστό", "σαφές"]
REASON = {"ask": "always", "tags": WORDS, "highlights": True}
EVERYTHING = {"steps": 5, "both_good": True, "aspects": WORDS, "confidence": True}
FORMS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "compare": ("compare", 2, {}),
    "compare with all": (
        "compare",
        2,
        {"form_options": {"compare": EVERYTHING, "rationale": REASON}},
    ),
    "compare with two": ("compare", 2, {"form_options": {"compare": {"steps": 2}}}),
    "rank": ("rank", 4, {}),
    "best_worst": ("best_worst", 3, {}),
    "rate": ("rate", 2, {"form_options": {"rate": {"thumbs": True}}}),
    "accept": ("accept", 3, {}),
    "edit": ("edit", 1, {}),
    "several": (
        "compare",
        2,
        {
            "follow_ups": ["rate", "accept", "edit"],
            "form_options": {"rationale": {"ask": "extreme"}},
        },
    ),
}


def greek(number: int, size: int = 2, **changes: Any) -> Row:
    """A row without a Latin letter in its texts."""
    responses = [{"text": f"Απάντηση {number}-{n}", "model": f"m{n}"} for n in range(size)]
    task = "listwise" if size > 2 else "edit" if size == 1 else "pairwise"
    return item(number, task=task, prompt=f"{GREEK} {number}", responses=responses) | changes


def campaign_of(ada: User, *, size: int = 2, **fields: Any) -> Campaign:
    """A running campaign in which nobody wrote a Latin letter."""
    rows = fields.pop("rows", [greek(n, size) for n in range(3)])
    made = make_campaign(people=(ada,), rows=rows, description="Για τον ουρανό", **fields)
    Campaign.objects.filter(pk=made.pk).update(name="Ουρανός")
    made.refresh_from_db()
    ask(made)
    return made


@pytest.fixture
def reader(as_ada: Client, settings: Any) -> Client:
    """Ada's browser, which asks for the language in brackets."""
    speak(settings, LEFT_TO_RIGHT)
    as_ada.defaults["HTTP_ACCEPT_LANGUAGE"] = LEFT_TO_RIGHT
    return as_ada


def marked(reply: Any, status: int = 200) -> str:
    """The page, in which nothing may stand outside of brackets."""
    html: str = reply.content.decode()
    assert reply.status_code == status, html
    assert outside(html) == []
    assert "⟦" in html
    return html


# --- everything is marked --------------------------------------------------------------------


def test_what_is_not_marked_is_found() -> None:
    assert outside("<p>⟦Yes <b>⟦and⟧</b> no⟧ A 12 <b>left</b></p>") == ["left"]
    assert outside('<p title="⟦x⟧ out" data-key="tie" data-say="Not yet">⟦a⟧</p>') == [
        *("out", "Not", "yet")
    ]
    with pytest.raises(AssertionError):
        bare("⟦half")


@pytest.mark.parametrize("name", FORMS)
def test_a_question_of_every_form_and_its_errors(ada: User, reader: Client, name: str) -> None:
    form, size, fields = FORMS[name]
    made = campaign_of(ada, size=size, form=form, **fields)
    marked(reader.get(f"/c/{made.slug}/"))
    open_one = Assignment.objects.get()
    marked(press(reader, open_one, "submit", **HTMX), 422)
    nonsense = {
        **{f"rank-{x}": "99" for x in "ABCD"},
        **{f"good-{x}": "1" for x in "ABC"},
        **{f"rate-{x}-0": "77" for x in "AB"},
        "verdict": "1",
        "best": "?",
        "worst": "?",
        "edit_of": "?",
        "edit_text": "1",
        "edit_reasons": "?",
        "tags": "?",
        "highlights": "1",
        "aspect-0": "?",
        "edit_now": "?",
    }
    marked(press(reader, open_one, "submit", **nonsense, **HTMX), 422)
    marked(press(reader, open_one, "flag", **HTMX), 422)


def test_what_a_whole_set_of_letters_can_get_wrong(ada: User, reader: Client) -> None:
    made = campaign_of(ada, size=4, form="rank", form_options={"rank": {"ties": False}})
    reader.get(f"/c/{made.slug}/")
    shown = Assignment.objects.get()
    for places in ({"A": 1, "B": 1}, {"A": 1}, {"Z": 2}):
        marked(press(reader, shown, "submit", **{f"rank-{x}": n for x, n in places.items()}), 422)


def test_texts_of_every_kind(ada: User, reader: Client) -> None:
    turns = [{"role": role, "content": GREEK} for role in ("system", "user", "assistant", "tool")]
    texts = [{"text": "", "model": "m"}, {"text": "α\u200bβ $x$", "model": "n"}]
    made = campaign_of(ada, rows=[greek(0, prompt=turns, context="λ" * 2000, responses=texts)])
    marked(reader.get(f"/c/{made.slug}/"))


def test_my_answers_in_every_form_and_a_correction(ada: User, reader: Client) -> None:
    said: dict[str, dict[str, Any]] = {
        "compare": {"choice": "a2"},
        "compare with all": {
            "choice": "submit",
            "verdict": "b2",
            "aspect-0": "a",
            "aspect-1": "tie",
            "confidence": "2",
            "rationale": GREEK,
        },
        "rank": {"choice": "submit", "rank-A": "1", "rank-B": "2", "rank-C": "2"},
        "best_worst": {"choice": "submit", "best": "A", "worst": "C"},
        "rate": {
            "choice": "submit",
            **{f"rate-{x}-0": "3" for x in "AB"},
            "thumb-A": "up",
            "thumb-B": "down",
        },
        "accept": {"choice": "submit", "good-A": "yes", "good-B": "yes", "good-C": "no"},
        "edit": {"choice": "submit", "edit_text": "Άλλο", "edit_reasons": ["tone", "incorrect"]},
    }
    for number, (name, fields) in enumerate(said.items()):
        form, size, options = FORMS[name]
        made = campaign_of(ada, slug=f"s{number}", size=size, form=form, **options)
        first = answer(lease(made, ada), ada, **fields)
        for choice, reason in (("skip", ""), ("flag", GREEK)):
            answer(lease(made, ada), ada, choice, rationale=reason)
        marked(reader.get(f"/c/{made.slug}/mine/"))
        marked(reader.get(f"/a/{first.assignment_id}/change/"))
        made.queries.update(flagged_at=first.recorded_at)
        marked(reader.get(f"/c/{made.slug}/mine/"))
    marked(reader.get(f"/c/{made.slug}/mine/", {"before": "open_" + str(first.assignment_id)}))
    Campaign.objects.update(state="finished")
    marked(reader.get(f"/c/{made.slug}/mine/"))


def test_nothing_answered_yet(ada: User, reader: Client) -> None:
    made = campaign_of(ada)
    marked(reader.get(f"/c/{made.slug}/mine/"))


def test_keys_with_what_is_wrong_and_what_was_saved(ada: User, reader: Client) -> None:
    marked(reader.get("/keys/", {"next": "/"}))
    marked(reader.post("/keys/", {"key-skip": "f", "key-undo": "12"}), 422)
    for fields in ({"key-skip": "é"}, {"what": "defaults"}):
        marked(reader.post("/keys/", fields, follow=True))


def test_home_in_every_state(ada: User, reader: Client) -> None:
    marked(reader.get("/"))
    made = campaign_of(ada)
    answer(lease(made, ada), ada)
    add_member(campaign=made, user=ada, role="owner")
    for state in ("running", "paused", "finished", "draft"):
        Campaign.objects.update(state=state)
        marked(reader.get("/"))
    ada.is_staff = True
    ada.save()
    Membership.objects.all().delete()
    marked(reader.get("/"))


def test_guidelines_before_and_after_they_are_read(ada: User, reader: Client) -> None:
    made = campaign_of(ada)
    where = f"/c/{made.slug}/guidelines/"
    marked(reader.get(where))
    publish_guidelines(campaign=made, text=GREEK)
    for read in (0, 1, 9):
        Annotator.objects.update(guidelines_read=read)
        marked(reader.get(where))
        publish_guidelines(campaign=made, text=f"{GREEK} {read}")


def test_practice_and_the_test(ada: User, reader: Client) -> None:
    rows = [greek(n) for n in range(3)]
    for number, purpose in ((7, "practice"), (8, "qualification")):
        key = known(number, purpose, choice=0, explanation=GREEK)
        rows.append(key | {"prompt": GREEK, "responses": greek(number)["responses"]})
    made = campaign_of(ada, rows=rows, qualification_pass=1.0)
    where = f"/c/{made.slug}"
    marked(reader.get(f"{where}/practice/"))
    practised = Assignment.objects.get()
    marked(press(reader, practised, "a2", **HTMX))
    marked(reader.get(f"{where}/practice/", {"answered": str(practised.pk)}))
    assert reader.get(f"{where}/practice/").status_code == 302
    marked(reader.get(f"{where}/qualification/"))
    reader.post(f"{where}/qualification/")
    marked(reader.get(f"{where}/qualification/"))
    press(reader, Assignment.objects.get(query__arm="qualification"), "skip")
    marked(reader.get(f"{where}/qualification/"), 403)
    add_member(campaign=made, user=User.objects.create_user("ruth"), role="owner")
    marked(reader.get(f"{where}/qualification/"), 403)
    marked(press(reader, Assignment.objects.filter(state="skipped")[0], "a2", **HTMX), 409)
    Annotator.objects.update(disqualified_at=None, qualified_at=practised.shown_at)
    marked(reader.get(f"{where}/qualification/"))


def test_an_empty_queue_for_every_reason(ada: User, ben: User, reader: Client) -> None:
    made = make_campaign(people=(ada, ben), rows=[greek(0)], overlap=2)
    Campaign.objects.update(name="Ουρανός")
    where = f"/c/{made.slug}/"
    started = Round.objects.create(campaign=made, number=1, trigger="test")
    assert "empty-preparing" in marked(reader.get(where))
    fail_round(round_id=started.pk, error="out of memory")
    assert "empty-failed" in marked(reader.get(where))
    started.delete()
    ask(made)
    answer(lease(made, ada), ada)
    assert "empty-others" in marked(reader.get(where))
    Query.objects.update(withdrawn=True)
    assert "empty-done" in marked(reader.get(where))
    for state in ("paused", "finished"):
        Campaign.objects.update(state=state)
        assert f"empty-{state}" in marked(reader.get(where))


def test_an_empty_queue_while_others_answer(ada: User, ben: User, reader: Client) -> None:
    made = make_campaign(people=(ada, ben), rows=[greek(0)])
    Campaign.objects.update(name="Ουρανός")
    ask(made)
    lease(made, ben)
    assert "empty-leased" in marked(reader.get(f"/c/{made.slug}/"))


def test_signing_in_on_its_page_and_in_place(ada: User, reader: Client) -> None:
    made = campaign_of(ada)
    reader.logout()
    marked(reader.get("/signin/"))
    wrong = {"username": "ada", "password": "1"}
    marked(reader.post("/signin/", wrong))
    marked(reader.post("/signin/", {}))
    marked(reader.get(f"/c/{made.slug}/", **HTMX), 401)
    marked(reader.post("/signin/here/", wrong), 422)
    marked(reader.post("/signin/here/", {"username": "ada", "password": "ada"}))


def test_what_is_refused(ada: User, reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = campaign_of(ada)
    marked(reader.get("/γ/"), 404)
    for headers in ({}, HTMX):
        marked(reader.get("/c/7/", **headers), 404)
        marked(reader.post(f"/c/{made.slug}/undo/", **headers), 409)
        marked(reader.post(f"/c/{made.slug}/guidelines/", **headers), 422)
        marked(reader.post(f"/c/{made.slug}/ahead/", **headers), 422)
        marked(reader.get(f"/c/{made.slug}/mine/", {"before": "1"}, **headers), 422)
    open_one = lease(made, ada)
    marked(reader.post(f"/a/{open_one.pk}/answer/", **HTMX), 422)
    marked(reader.post(f"/a/{open_one.pk}/change/", **HTMX), 422)
    marked(reader.get(f"/a/{open_one.pk}/change/"), 409)
    press(reader, open_one, "a2", **HTMX)
    key = "00000000-0000-4000-8000-000000000000"
    marked(press(reader, open_one, "a1", submission_key=key, **HTMX), 409)
    for state in ("paused", "finished"):
        Campaign.objects.update(state=state)
        marked(reader.post(f"/c/{made.slug}/undo/"), 409)
    monkeypatch.setattr(
        selectors, "my_campaigns", lambda **_: (_ for _ in ()).throw(PermissionDenied)
    )
    marked(reader.get("/"), 403)
    careful = Client(enforce_csrf_checks=True, HTTP_ACCEPT_LANGUAGE=LEFT_TO_RIGHT)
    marked(careful.post("/signin/"), 403)


def test_a_crash(ada: User, reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "my_campaigns", None)
    reader.raise_request_exception = False
    marked(reader.get("/"), 500)


# --- which language -----------------------------------------------------------------------


def root(reply: Any) -> str:
    found = re.search(r"<html[^>]*>", reply.content.decode())
    assert found is not None
    return found[0]


def test_the_browser_decides_until_somebody_chooses(as_ada: Client) -> None:
    def page(asked: str) -> str:
        return root(as_ada.get("/", HTTP_ACCEPT_LANGUAGE=asked))

    assert page("") == page("fr, xx;q=0.9") == '<html lang="en" dir="ltr">'
    assert page("de-CH, en;q=0.5") == '<html lang="de" dir="ltr">'
    reply = as_ada.post("/language/", {"language": "en", "next": "/keys/"})
    assert (reply.status_code, reply["Location"]) == (302, "/keys/")
    assert page("de") == '<html lang="en" dir="ltr">'
    as_ada.post("/language/", {"language": "de", "next": "/"})
    assert page("en") == '<html lang="de" dir="ltr">'


def test_the_choice_is_kept_for_long_and_out_of_reach_of_scripts(as_ada: Client) -> None:
    kept = as_ada.post("/language/", {"language": "de"}).cookies["django_language"]
    assert (kept["httponly"], kept["samesite"]) == (True, "Lax")
    assert kept["max-age"] == 365 * 24 * 3600


def test_a_choice_needs_the_token_and_leads_nowhere_else(ada: User) -> None:
    careful = Client(enforce_csrf_checks=True)
    assert careful.post("/language/", {"language": "de"}).status_code == 403
    away = Client().post("/language/", {"language": "de", "next": "https://evil.example/"})
    assert away["Location"] == "/"


@pytest.mark.parametrize("language", ["xx", "", "de\r\nX: y", "../../etc"])
def test_no_other_language_can_be_chosen(as_ada: Client, language: str) -> None:
    reply = as_ada.post("/language/", {"language": language})
    assert "django_language" not in reply.cookies
    assert root(as_ada.get("/")) == '<html lang="en" dir="ltr">'


def test_the_select_offers_languages_by_their_own_names(as_ada: Client) -> None:
    page = as_ada.get("/keys/?next=/", HTTP_ACCEPT_LANGUAGE="de").content.decode()
    assert '<option value="de" lang="de" dir="auto" selected>Deutsch</option>' in page
    assert '<option value="en" lang="en" dir="auto">English</option>' in page
    assert '<input type="hidden" name="next" value="/keys/?next=/">' in page
    assert "Sprache" in page


def test_with_one_language_there_is_nothing_to_choose(as_ada: Client, settings: Any) -> None:
    settings.LANGUAGES = [("en", "English")]
    assert "/language/" not in as_ada.get("/").content.decode()


def test_caches_keep_languages_apart(campaign: Campaign, as_ada: Client) -> None:
    for path in ("/", "/signin/", f"/c/{campaign.slug}/", "/keys/"):
        reply = as_ada.get(path, HTTP_ACCEPT_LANGUAGE="de")
        assert {"Accept-Language", "Cookie"} <= set(reply["Vary"].split(", ")), path
        assert reply["Content-Language"] == "de"


def test_the_direction_follows_the_language(as_ada: Client, settings: Any) -> None:
    speak(settings, RIGHT_TO_LEFT)
    page = as_ada.get("/", HTTP_ACCEPT_LANGUAGE=RIGHT_TO_LEFT)
    assert root(page) == '<html lang="he" dir="rtl">'
    assert outside(page.content.decode()) == []


def test_what_researchers_and_scripts_read_is_english(campaign: Campaign, as_ruth: Client) -> None:
    as_ruth.post("/language/", {"language": "de"})
    for path in ("/admin/", f"/c/{campaign.slug}/progress/"):
        page = as_ruth.get(path, HTTP_ACCEPT_LANGUAGE="de")
        assert page["Content-Language"] == "en"
        assert 'lang="en' in root(page)
    refused = as_ruth.get("/api/campaigns/nothing/", HTTP_ACCEPT_LANGUAGE="de")
    assert refused.json()["title"].lower() == "not found"
    assert root(as_ruth.get("/")) == '<html lang="de" dir="ltr">'  # English ended with its page


def test_german_from_the_first_page_to_an_error(campaign: Campaign, as_ada: Client) -> None:
    as_ada.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    assert "Meine Kampagnen" in as_ada.get("/").content.decode()
    page = as_ada.get(f"/c/{campaign.slug}/").content.decode()
    assert "Welche Antwort ist besser?" in page
    assert "A ist deutlich besser" in page
    shown = Assignment.objects.get()
    refused = press(as_ada, shown, "flag", **HTMX).content.decode()
    assert "Sagen Sie in einigen Worten, was nicht stimmt" in refused
    press(as_ada, shown, "a2")
    assert "A besser als B, deutlich" in as_ada.get(f"/c/{campaign.slug}/mine/").content.decode()


# --- words of ours, and of others ---------------------------------------------------------


def scale_shown(client: Client, campaign: Campaign) -> list[str]:
    page = client.get(f"/c/{campaign.slug}/", HTTP_ACCEPT_LANGUAGE="de").content.decode()
    words = re.findall(r'name="rate-A-0"[^>]*> <span dir="auto">([^<]+)<', page)
    return [*words, *re.findall(r'"row-label"[^>]*><bdi>(\w+)<', page)[:1]]


def test_words_of_a_scale_are_translated_unless_a_campaign_chose_its_own(
    ada: User, as_ada: Client
) -> None:
    usual = campaign_of(ada, form="rate")
    ours = ["sehr schlecht", "schlecht", "mittelmäßig", "gut", "ausgezeichnet", "insgesamt"]
    assert scale_shown(as_ada, usual) == ours
    options = {"labels": ["poor", "good"], "aspects": ["tone"]}
    own = campaign_of(ada, slug="own", form="rate", form_options={"rate": options})
    assert scale_shown(as_ada, own) == ["poor", "good", "tone"]


def test_what_is_stored_does_not_depend_on_the_language(ada: User) -> None:
    made = campaign_of(ada, form="rate")
    with translation.override("de"):
        fields = {"rate-A-0": "3", "rate-B-0": "1"}
        said = answer(lease(made, ada), ada, "submit", **fields)
    assert list(said.details["rate"]["ratings"]) == ["overall"]


@pytest.mark.parametrize("aspect", ["100 % true", "%(value)s", "%s"])
def test_an_aspect_may_have_a_percent_sign(ada: User, as_ada: Client, aspect: str) -> None:
    made = campaign_of(ada, form="rate", form_options={"rate": {"aspects": [aspect]}})
    as_ada.get(f"/c/{made.slug}/")
    refused = press(as_ada, Assignment.objects.get(), "submit", **{"rate-A-0": "77"})
    assert refused.status_code == 422
    assert f"A, {aspect}: “77” is not on the scale" in refused.content.decode()
