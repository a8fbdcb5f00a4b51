"""Exports on the campaign's page: chosen in a plain form, refused in words, cancelled, compared."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.models import Campaign, Job, Snapshot
from tests.annotator.acts import answer, lease
from worker import child, jobs


def build() -> None:
    for job in Job.objects.filter(state="queued", kind="snapshot"):
        claimed = jobs.claim(job.pk)
        assert claimed is not None
        child.main(claimed.id, claimed.attempt)


def ask(client: Client, **fields: Any) -> Any:
    return client.post("/c/sky/exports/", {"format": "native", **fields})


def page(client: Client) -> str:
    return client.get("/c/sky/progress/").content.decode()


def test_the_form_shows_every_option_with_its_default(as_ruth: Client, campaign: Campaign) -> None:
    shown = page(as_ruth)
    for name in ("format", "container", "consensus", "ties", "judges", "test_share", "license"):
        assert f'name="{name}"' in shown
    assert 'value="0.5"' in shown  # what a judge weighs
    assert "<script>" not in shown


def test_an_export_is_made_as_chosen(as_ruth: Client, campaign: Campaign, ada: User) -> None:
    answer(lease(campaign, ada), ada)
    reply = ask(
        as_ruth, format="trl-preference", container="parquet", margin="strength", include_gold="on",
        minimum_answers="1", judge_weight="0.5",
    )  # fmt: skip
    assert reply["Location"] == "/c/sky/progress/#exports"
    made = Snapshot.objects.get()
    assert (made.format, made.container) == ("trl-preference", "parquet")
    assert (made.options["margin"], made.options["include_gold"]) == ("strength", True)
    build()
    shown = page(as_ruth)
    assert "?part=data.parquet" in shown
    assert "Only 1 rows" in shown
    made.refresh_from_db()
    assert made.sha256[:12] in shown


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"minimum_agreement": "7"}, "less than or equal to 1"),
        ({"format": "csv"}, "not one of the available choices"),
        ({"ties": "both"}, "Native does not heed ties"),
        ({"container": "parquet"}, "trees that no table holds"),
    ],
    ids=["range", "format", "not-heeded", "container"],
)
def test_what_cannot_be_made_is_refused_in_words(
    as_ruth: Client, campaign: Campaign, fields: dict[str, str], said: str
) -> None:
    reply = ask(as_ruth, **fields)
    assert reply.status_code == 422
    shown = reply.content.decode()
    assert said in shown
    assert 'action="/c/sky/exports/"' in shown  # what was chosen is still there
    assert not Snapshot.objects.exists()


def test_an_empty_export_says_why_on_the_page(as_ruth: Client, campaign: Campaign) -> None:
    ask(as_ruth)
    build()
    assert "nothing to export as &#x27;native&#x27;" in page(as_ruth)


def test_held_out_rows_are_warned_of_on_the_page(
    as_ruth: Client, campaign: Campaign, ada: User
) -> None:
    answer(lease(campaign, ada), ada)
    campaign.prompts.update(is_holdout=True)
    ask(as_ruth, include_holdout="on")
    build()
    assert "1 of 1 rows are of held-out prompts: never train on them" in page(as_ruth)


def test_an_export_that_waits_can_be_cancelled_once(as_ruth: Client, campaign: Campaign) -> None:
    ask(as_ruth)
    made = Snapshot.objects.get()
    where = f"/c/sky/exports/{made.pk}/cancel/"
    assert where in page(as_ruth)
    for _ in range(2):
        assert as_ruth.post(where).status_code == 302
    made.refresh_from_db()
    assert made.state == "cancelled"
    assert Job.objects.get(kind="snapshot").state == "cancelled"
    assert where not in page(as_ruth)
    assert as_ruth.get(where).status_code == 405


def test_progress_of_a_worker_is_shown(as_ruth: Client, campaign: Campaign) -> None:
    ask(as_ruth)
    Job.objects.update(state="running", message="2,000 of about 9,000 questions, 1,998 rows")
    assert "2,000 of about 9,000 questions" in page(as_ruth)


def test_two_exports_are_compared(as_ruth: Client, campaign: Campaign, ada: User) -> None:
    answer(lease(campaign, ada), ada)
    ask(as_ruth)
    answer(lease(campaign, ada), ada)
    ask(as_ruth, annotators="numbers")
    build()
    new, old = Snapshot.objects.all()
    where = f"/c/sky/exports/{old.pk}/{new.pk}/"
    assert where in page(as_ruth)
    shown = as_ruth.get(where).content.decode()
    assert "annotators" in shown
    assert "numbers" in shown
    same = as_ruth.get(f"/c/sky/exports/{new.pk}/{new.pk}/").content.decode()
    assert "rows are the same" in same


def test_annotators_and_strangers_neither_cancel_nor_compare(
    as_ruth: Client, as_ada: Client, as_sam: Client, campaign: Campaign
) -> None:
    ask(as_ruth)
    made = Snapshot.objects.get()
    for client in (as_ada, as_sam):
        assert ask(client).status_code == 404
        assert client.post(f"/c/sky/exports/{made.pk}/cancel/").status_code == 404
        assert client.get(f"/c/sky/exports/{made.pk}/{made.pk}/").status_code == 404
    made.refresh_from_db()
    assert made.state == "queued"
