"""Uploaded pictures on pages: who may fetch one, how it is cached, and what showing it costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from annotator.models import Campaign, GoldAnswer
from annotator.services.campaigns import add_member, publish_guidelines
from tests.annotator.acts import lease
from tests.annotator.conftest import signed_in
from tests.campaigns import ask, item, known, make_campaign
from tests.drawn import drawn, put

pytestmark = pytest.mark.django_db

FILES = {"a.png": drawn(), "charts/b.jpg": drawn("JPEG", shade=2)}
TEXTS = ["![a chart](picture:a.png)", "![another](picture:charts/b.jpg) ![gone](picture:c.png)"]


@pytest.fixture(autouse=True)
def _own_store(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def shown(ada: User) -> Campaign:
    """Running, ada annotates; its responses and guidelines show pictures."""
    made = make_campaign(people=(ada,))
    put(made, FILES)
    for prompt in made.prompts.all():
        for response, text in zip(prompt.responses.order_by("pk"), TEXTS, strict=True):
            response.text = text
            response.save()
    ask(made)
    return made


def where(campaign: Campaign, name: str = "a.png") -> str:
    return f"/c/{campaign.slug}/pictures/{campaign.pictures.get(name=name).sha256}/"


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


# --- fetching ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "media_type", "said"),
    [("a.png", "image/png", "a.png"), ("charts/b.jpg", "image/jpeg", "b.jpg")],
)
def test_an_annotator_gets_the_file_and_may_keep_it(
    shown: Campaign, as_ada: Client, name: str, media_type: str, said: str
) -> None:
    answer = as_ada.get(where(shown, name))
    assert answer.status_code == 200
    assert body(answer) == FILES[name]
    assert answer["Content-Type"] == media_type
    assert answer["Content-Length"] == str(len(FILES[name]))
    assert answer["Content-Disposition"] == f'inline; filename="{said}"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "private, max-age=31536000, immutable"
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    again = as_ada.get(where(shown, name), HTTP_IF_NONE_MATCH=answer["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", answer["ETag"])


def test_a_picture_costs_three_queries(
    shown: Campaign, as_ada: Client, django_assert_num_queries: Any
) -> None:
    path = where(shown)
    with django_assert_num_queries(3):
        body(as_ada.get(path))


@pytest.mark.parametrize("role", ["owner", "researcher", "viewer"])
def test_everybody_of_the_campaign_may_see_it(shown: Campaign, sam: User, role: str) -> None:
    add_member(campaign=shown, user=sam, role=role)
    assert body(signed_in(sam).get(where(shown))) == FILES["a.png"]


def test_people_of_other_campaigns_and_strangers_get_nothing(
    shown: Campaign, ben: User, as_ben: Client, as_sam: Client
) -> None:
    other = make_campaign("moon", people=(ben,))
    sha256 = shown.pictures.get(name="a.png").sha256
    for client in (as_ben, as_sam):
        for path in (where(shown), f"/c/{other.slug}/pictures/{sha256}/"):
            assert client.get(path).status_code == 404
            assert client.get(path, HTTP_IF_NONE_MATCH=f'"{sha256}"').status_code == 404
    answer = Client().get(where(shown))
    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/signin/")


def test_a_draft_is_for_those_who_make_it(shown: Campaign, ada: User, ruth: User) -> None:
    Campaign.objects.update(state="draft")
    assert signed_in(ada).get(where(shown)).status_code == 404
    assert body(signed_in(ruth).get(where(shown))) == FILES["a.png"]


def test_who_has_left_the_campaign_gets_nothing(shown: Campaign, ada: User, as_ada: Client) -> None:
    shown.memberships.filter(user=ada).delete()
    assert as_ada.get(where(shown)).status_code == 404


def test_nothing_is_changed_by_address(shown: Campaign, as_ada: Client) -> None:
    assert as_ada.post(where(shown)).status_code == 405
    for path in ("/media/pictures/", f"/media/{shown.pictures.all()[0].path}"):
        assert as_ada.get(path).status_code == 404
    for sha256 in ("0" * 64, "x", "..%2F..%2Fsecret_key"):
        assert as_ada.get(f"/c/{shown.slug}/pictures/{sha256}/").status_code == 404


def test_a_file_that_is_gone_is_no_server_error(shown: Campaign, as_ada: Client) -> None:
    default_storage.delete(shown.pictures.get(name="a.png").path)
    assert as_ada.get(where(shown)).status_code == 404


# --- on the page -------------------------------------------------------------------------


def test_the_workspace_shows_them_and_words_for_what_is_missing(
    shown: Campaign, as_ada: Client
) -> None:
    html = as_ada.get(f"/c/{shown.slug}/").content.decode()
    for name, words in (("a.png", "a chart"), ("charts/b.jpg", "another")):
        assert f'<img src="{where(shown, name)}" alt="{words}" width="60" height="40"' in html
    assert '<span class="broken-picture">gone <small>This picture could not be' in html


def test_showing_pictures_costs_one_query(shown: Campaign, ada: User, as_ada: Client) -> None:
    lease(shown, ada)

    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            as_ada.get(f"/c/{shown.slug}/")
        return len(captured)

    count()
    with_them = count()
    for prompt in shown.prompts.all():
        prompt.responses.update(text="plain")
    assert with_them == count() + 1


def pages(campaign: Campaign, client: Client) -> Iterator[str]:
    """Every other page that shows texts."""
    yield client.get(f"/c/{campaign.slug}/guidelines/").content.decode()
    assignment = lease(campaign, campaign.annotators.get().user)  # type: ignore[arg-type]
    fields = {"choice": "a2", "submission_key": str(assignment.submission_key)}
    client.post(f"/a/{assignment.pk}/answer/", fields)
    yield client.get(f"/a/{assignment.pk}/change/").content.decode()


def test_guidelines_and_corrections_show_them(shown: Campaign, as_ada: Client) -> None:
    publish_guidelines(campaign=shown, text=f"# Read\n\n{TEXTS[0]}")
    shown.annotators.update(guidelines_read=9)
    for html in pages(shown, as_ada):
        assert f'<img src="{where(shown)}"' in html


def test_practice_shows_them_in_question_and_explanation(ada: User, as_ada: Client) -> None:
    made = make_campaign(people=(ada,), rows=[item(1), known(1, "practice", choice=0)])
    put(made, FILES)
    GoldAnswer.objects.update(explanation=TEXTS[0])
    made.prompts.update(content=[{"role": "user", "content": TEXTS[1]}])
    page = as_ada.get(f"/c/{made.slug}/practice/")
    assert where(made, "charts/b.jpg") in page.content.decode()
    assignment = made.annotators.get().assignments.get()
    fields = {"choice": "a2", "submission_key": str(assignment.submission_key)}
    answer = as_ada.post(f"/a/{assignment.pk}/answer/", fields, follow=True)
    assert f'<img src="{where(made)}"' in answer.content.decode()


def test_a_page_never_shows_a_picture_of_another_campaign(
    shown: Campaign, ben: User, as_ben: Client
) -> None:
    other = make_campaign("moon", people=(ben,))
    other.prompts.update(content=TEXTS[0])
    ask(other)
    html = as_ben.get("/c/moon/").content.decode()
    assert "/pictures/" not in html
    assert "This picture could not be loaded." in html
