"""Taking in a file in a browser: by keyboard, with a script and without, a worker at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, Campaign, Import, Item
from annotator.services.campaigns import create_campaign
from tests.e2e.axe import violations
from tests.e2e.shown import as_person
from tests.foreign import SAMPLES, as_lines
from tests.worker.test_importing import work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


@pytest.fixture
def sea(ruth: User, settings: Any, tmp_path: Path) -> Campaign:
    settings.MEDIA_ROOT = tmp_path / "media"
    return create_campaign(slug="sea", name="Sea", owner=ruth, guidelines="Be fair.")


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    path = tmp_path / "votes.jsonl"
    bad = {**SAMPLES["multipref"][0], "comparison_id": "c2", "completion_b": 7}
    path.write_bytes(as_lines([*SAMPLES["multipref"], bad]).getvalue())
    return path


def until_there(page: Any, words: str) -> None:
    page.wait_for_function(
        "(words) => document.getElementById('import')?.innerText.includes(words)", arg=words
    )


def test_a_file_is_taken_in_by_keyboard(
    page: Any, live_server: Any, ruth: User, sea: Campaign, votes: Path
) -> None:
    as_person(page.context, ruth, live_server.url)
    page.goto(f"{live_server.url}/admin/annotator/campaign/{sea.pk}/change/")
    page.get_by_role("link", name="Import items").press("Enter")
    page.set_input_files("#id_file", votes)
    page.get_by_role("button", name="Look at it").press("Enter")
    until_there(page, "is being looked at")
    work(Import.objects.get())
    until_there(page, "waits to be confirmed")  # by itself
    shown = page.inner_text("#import")
    for said in ("MultiPref", "1 row cannot be used", "expected text, got a number"):
        assert said in shown
    assert "w1: A better than B" in shown
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download these rows").press("Enter")
    assert saved.value.suggested_filename == "votes.jsonl.rejects.jsonl"
    page.get_by_label("Record the answers").press(" ")
    page.get_by_label("Leave bad rows out").press(" ")
    page.get_by_role("button", name="Import", exact=True).press("Enter")
    until_there(page, "is being stored")
    work(Import.objects.get())
    until_there(page, "2 rows read: 1 new items")
    assert (Item.objects.count(), Annotation.objects.count()) == (1, 3)


def test_without_a_script_a_link_looks_again_and_a_button_cancels(
    browser: Any, live_server: Any, ruth: User, sea: Campaign, votes: Path
) -> None:
    context = browser.new_context(java_script_enabled=False)
    as_person(context, ruth, live_server.url)
    page = context.new_page()
    page.goto(f"{live_server.url}/admin/annotator/import/into/{sea.pk}/")
    page.set_input_files("#id_file", votes)
    page.click("text=Look at it")
    work(Import.objects.get())
    page.click("text=Look again")
    assert "waits to be confirmed" in page.inner_text("#import")
    page.click("text=Discard")
    assert Import.objects.get().state == "cancelled"
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_can_be_used_by_everybody(
    browser: Any, live_server: Any, ruth: User, sea: Campaign, votes: Path, theme: str
) -> None:
    context = browser.new_context(bypass_csp=True, reduced_motion="reduce", color_scheme=theme)
    as_person(context, ruth, live_server.url)
    page = context.new_page()
    where = f"{live_server.url}/admin/annotator/import"
    page.goto(f"{where}/into/{sea.pk}/")
    assert violations(page, "#content") == []
    page.set_input_files("#id_file", votes)
    page.click("text=Look at it")
    assert violations(page, "#content") == []
    work(Import.objects.get())
    until_there(page, "waits to be confirmed")
    assert violations(page, "#content") == []
    for path in (f"into/{sea.pk}/", f"{Import.objects.get().pk}/"):
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto(f"{where}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    context.close()
