"""Figures of a language model come with items or later, are checked, and change no item."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from annotator.errors import ImportRejected
from annotator.models import Campaign, Import, Item, Prompt
from annotator.services import intake
from annotator.services.campaigns import create_campaign
from annotator.services.imports import check_items, import_items
from tests.campaigns import item, lines, load

pytestmark = pytest.mark.django_db

FIGURES: dict[str, Any] = {
    "model": "tiny:0123",
    "log_likelihood": [-12.5, -3],
    "per_token": [-1.25, None],
    "tokens": [10, 0],
    "cut": [False, True],
    "entropy": 40.5,
    "entropy_per_token": 2.25,
    "entropy_error": None,
    "samples": 8,
    "max_new_tokens": 64,
    "seed": 0,
    "unfinished": 8,
}


@pytest.fixture
def draft() -> Campaign:
    return create_campaign(slug="pool", name="Pool")


def told(number: int = 1, meta: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return item(number, meta={**(meta or {}), "language_features": FIGURES | changes})


def kept(number: int = 1) -> Any:
    return Item.objects.get(external_id=f"toy:{number}").extra.get("meta")


def test_figures_come_with_new_items(draft: Campaign) -> None:
    report = load(draft, [told(1, {"tags": ["a"]}), item(2)])
    assert (report.items, report.language_features) == (2, 1)
    assert "1 got language-model features" in str(report)
    assert kept(1) == {"tags": ["a"], "language_features": FIGURES}
    assert kept(2) is None


@pytest.mark.parametrize("meta", [None, {}, {"tags": ["a"]}])
def test_figures_may_come_later_and_twice_is_once(
    draft: Campaign, meta: dict[str, Any] | None
) -> None:
    load(draft, [item(1) if meta is None else item(1, meta=meta), item(2)])
    before = Item.objects.values("pk", "digest", "prompt").order_by("pk")
    first = list(before)
    report = load(draft, [told(1, meta), item(2)])
    assert (report.items, report.unchanged, report.language_features) == (0, 2, 1)
    assert list(before) == first
    assert kept(1) == {**(meta or {}), "language_features": FIGURES}
    again = load(draft, [told(1, meta), item(2)])
    assert (again.items, again.unchanged, again.language_features) == (0, 2, 0)


def test_a_file_without_figures_takes_none_away(draft: Campaign) -> None:
    load(draft, [told(1)])
    assert load(draft, [item(1)]).unchanged == 1
    assert kept(1) == {"language_features": FIGURES}


def test_newer_figures_take_the_place_of_older_ones(draft: Campaign) -> None:
    load(draft, [told(1)])
    report = load(draft, [told(1, model="larger:4567", entropy_per_token=1.5), told(2)])
    assert (report.items, report.unchanged, report.language_features) == (1, 1, 2)
    assert kept(1)["language_features"]["model"] == "larger:4567"


def test_figures_change_no_content(draft: Campaign) -> None:
    load(draft, [item(1)])
    with pytest.raises(ImportRejected, match="imported before with different content"):
        load(draft, [told(1, {"tags": ["new"]})])
    with pytest.raises(ImportRejected, match="imported before with different content"):
        load(draft, [told(1) | {"prompt": "another"}])
    assert kept(1) is None


def test_figures_of_another_campaign_stay_there(draft: Campaign) -> None:
    other = create_campaign(slug="other", name="Other")
    load(draft, [item(1)])
    load(other, [item(1)])
    load(other, [told(1)])
    assert [one.extra.get("meta") for one in draft.items.all()] == [None]


@pytest.mark.parametrize(
    ("change", "field", "expectation"),
    [
        ({"model": None}, "model", "expected the model's name"),
        ({"model": " "}, "model", "expected the model's name"),
        ({"model": "m" * 301}, "model", "up to 300 characters"),
        ({"entropy_per_token": -0.5}, "entropy_per_token", "0 or more, or null, got -0.5"),
        ({"entropy_per_token": "2.5"}, "entropy_per_token", "got text '2.5'"),
        ({"entropy_per_token": True}, "entropy_per_token", "got true/false"),
        ({"entropy_per_token": 10**400}, "entropy_per_token", "0 or more, or null, got 1000"),
        ({"samples": 2.5}, "samples", "a whole number, got 2.5"),
        ({"log_likelihood": [-1.0]}, "log_likelihood", "a list of 2 values, one a response, got 1"),
        ({"log_likelihood": -1.0}, "log_likelihood", "a list of 2 values"),
        ({"log_likelihood": [-1.0, 0.5]}, "log_likelihood[1]", "nats, 0 or less, or null, got 0.5"),
        ({"tokens": [1, "2"]}, "tokens[1]", "a whole number, got text '2'"),
        ({"cut": [0, True]}, "cut[0]", "true or false, got 0"),
        ({"entropy_pertoken": 2.0}, "entropy_pertoken", "is not known; expected model, entropy"),
    ],
)
def test_figures_that_are_none_are_named_and_nothing_is_stored(
    draft: Campaign, change: dict[str, Any], field: str, expectation: str
) -> None:
    load(draft, [item(0), item(1)])
    with pytest.raises(ImportRejected) as caught:
        load(draft, [told(0), told(1, **change), told(2)])
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (2, f"meta.language_features.{field}")
    assert expectation in problem.message
    assert (kept(0), kept(1), Prompt.objects.count()) == (None, None, 2)


def test_a_model_without_a_name_is_named(draft: Campaign) -> None:
    nameless = {name: value for name, value in FIGURES.items() if name != "model"}
    with pytest.raises(ImportRejected, match=r"features\.model': is missing; expected the model's"):
        load(draft, [item(1, meta={"language_features": nameless})])


def test_figures_are_an_object(draft: Campaign) -> None:
    with pytest.raises(ImportRejected, match=r"features': expected an object, got a list"):
        load(draft, [item(1, meta={"language_features": [1.5]})])


def test_not_a_number_is_named(draft: Campaign) -> None:
    raw = json.dumps(told(1)).replace("2.25", "NaN")
    with pytest.raises(ImportRejected, match="line 1"):
        import_items(campaign=draft, stream=io.BytesIO(raw.encode()))
    assert not Item.objects.exists()


def test_good_rows_are_kept_where_that_is_asked_for(draft: Campaign) -> None:
    load(draft, [item(0), item(1)])
    report = load(draft, [told(0), told(1, entropy=-1)], keep_good=True)
    assert (report.unchanged, report.language_features, report.rejected) == (1, 1, 1)
    assert (kept(0), kept(1)) == ({"language_features": FIGURES}, None)


def test_a_look_says_what_would_come_and_stores_nothing(draft: Campaign) -> None:
    load(draft, [item(1)])
    report, _ = check_items(campaign=draft, stream=lines([told(1), told(2)]))
    assert (report.items, report.unchanged, report.language_features) == (1, 1, 2)
    assert kept(1) is None


def test_an_import_by_a_worker_counts_them(draft: Campaign) -> None:
    made = Import.objects.create(campaign=draft, name="x", state=Import.State.STORING)
    report = load(draft, [told(1)])
    intake.record_done(made=made, report=report, rejects=io.StringIO())
    made.refresh_from_db()
    assert made.counts["language_features"] == 1
