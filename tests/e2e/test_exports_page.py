"""Choosing and comparing exports in a real browser: axe, phones, keyboard, a page that polls."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Job, Snapshot
from annotator.services.campaigns import add_member
from tests.annotator.acts import answer, lease
from tests.campaigns import ask, make_campaign
from tests.e2e.axe import check, walk
from tests.e2e.shown import as_person
from worker import child, jobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


@pytest.fixture
def figures(page: Any, live_server: Any, ada: User, ruth: User) -> Any:
    """The researcher's page, with one answer to take away."""
    made = make_campaign(people=(ada,))
    add_member(campaign=made, user=ruth, role="owner")
    ask(made)
    answer(lease(made, ada), ada)
    as_person(page.context, ruth, live_server.url)
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{live_server.url}/c/{made.slug}/progress/")
    return page


def build() -> None:
    for job in Job.objects.filter(state="queued", kind="snapshot"):
        claimed = jobs.claim(job.pk)
        assert claimed is not None
        child.main(claimed.id, claimed.attempt)


def test_options_stay_as_they_were_while_the_page_refreshes_itself(figures: Any) -> None:
    figures.select_option("select[name=format]", "native")
    figures.click("text=Make the export")
    figures.wait_for_selector("#exports >> text=queued")
    figures.click("summary:has-text('Options')")
    figures.select_option("select[name=ties]", "both")
    figures.fill("input[name=license]", "cc0-1.0")
    build()
    figures.wait_for_selector("#exports a[href*=download]", timeout=15_000)  # it polls
    assert figures.input_value("select[name=ties]") == "both"
    assert figures.input_value("input[name=license]") == "cc0-1.0"
    check(figures, "exports with their options")


def test_what_was_refused_and_what_was_compared_can_be_read_by_everybody(figures: Any) -> None:
    for _ in range(2):
        figures.click("text=Make the export")
        figures.wait_for_load_state("networkidle")
    build()
    figures.reload()
    figures.click("text=compare with the one before")
    figures.wait_for_selector("text=rows are the same")
    check(figures, "compared exports")
    walk(figures)
    figures.go_back()
    figures.click("summary:has-text('Options')")
    figures.select_option("select[name=ties]", "both")
    figures.click("text=Make the export")
    figures.wait_for_selector("text=Native does not heed ties")
    assert figures.input_value("select[name=ties]") == "both"
    check(figures, "an export that cannot be made")
    assert Snapshot.objects.count() == 2
