"""The commands: what they say, and that a refused one leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models import Count

from annotator.catalogue import DEFAULT_ACQUISITION
from annotator.models import Campaign, GoldAnswer, Item, Job
from tests.annotator.acts import answer, lease
from tests.campaigns import item, lines
from tests.drawn import drawn, packed, with_exif

pytestmark = pytest.mark.django_db


def run(*arguments: Any) -> str:
    """Run a command; returns what it printed."""
    out = io.StringIO()
    call_command(*map(str, arguments), stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "items.jsonl.gz"
    path.write_bytes(gzip.compress(lines([item(1), item(2)]).getvalue()))
    return path


def test_import_creates_the_campaign_when_asked(file: Path) -> None:
    assert "2 new items" in run("import_items", "sea", file, "--create")
    assert "2 known already" in run("import_items", "sea", file)
    made = Campaign.objects.get()
    assert (made.slug, made.acquisition, made.head) == ("sea", DEFAULT_ACQUISITION, "auto")


def test_import_creates_a_campaign_of_the_form_wanted(tmp_path: Path) -> None:
    several = [{"text": f"Answer {n}", "model": f"model-{n}"} for n in range(4)]
    path = tmp_path / "items.jsonl"
    path.write_bytes(lines([item(1, task="listwise", responses=several)]).getvalue())
    run("import_items", "sea", path, "--create", "--form", "rank")
    assert Campaign.objects.get().form == "rank"
    with pytest.raises(CommandError, match="has the form rank, not rate"):
        run("import_items", "sea", path, "--form", "rate")
    with pytest.raises(CommandError, match="invalid choice: 'guess'"):
        run("import_items", "moon", path, "--create", "--form", "guess")


def test_pictures_come_before_the_items_that_show_them_or_neither_comes(
    tmp_path: Path, settings: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(drawn())
    (tmp_path / "b.zip").write_bytes(packed({"home.jpg": with_exif(gps=True)}))
    path = tmp_path / "items.jsonl"
    path.write_bytes(lines([item(1, prompt="![x](picture:a.png)")]).getvalue())
    with pytest.raises(CommandError, match=r"the picture 'a\.png' is not known"):
        run("import_items", "sea", path, "--create")
    both = ["--pictures", tmp_path / "in", "--pictures", tmp_path / "b.zip"]
    with pytest.raises(CommandError, match=r"pictures: .*\n  home\.jpg: says where it was taken"):
        run("import_items", "sea", path, "--create", *both)
    with pytest.raises(CommandError, match=r"pictures: .*none: No such file"):
        run("import_items", "sea", path, "--create", "--pictures", tmp_path / "none")
    assert not Campaign.objects.exists()
    said = run("import_items", "sea", path, "--create", *both, "--keep-location")
    assert "2 new pictures, 0 known already" in said
    assert "1 new items" in said


def test_a_preview_shows_how_rows_are_read_and_stores_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("Q;one;two;best\nWhy blue?;Air.;Paint.;1\nWhy green?;Leaves.;Paint.\n")
    columns = ["prompt=Q", "response_1=one", "response_2=two", "choice=best"]
    asked = [part for column in columns for part in ("--column", column)]
    said = run("import_items", "sea", path, "--create", "--preview", *asked)
    assert "read as A table with columns of your own (table), CSV" in said
    assert "2 rows: 1 new items, 0 known already, 1 answers, 1 bad rows" in said
    assert "line 3, field '(row)': expected 4 cells, as the first line has, got 3" in said
    for line in ("prompt: Why blue?", "A: Air.", "somebody: A better than B"):
        assert line in said
    assert not Campaign.objects.exists()
    said = run("import_items", "sea", path, "--create", "--keep-good", "--history", *asked)
    assert "read as A table with columns of your own (table)" in said
    assert "1 new items" in said
    assert "1 annotations recorded" in said


def test_a_file_that_no_format_knows_is_refused_with_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"Q": "why", "A": "because"}\n')
    with pytest.raises(CommandError, match="no known format has these fields: Q, A; expected one"):
        run("import_items", "sea", path, "--create")
    with pytest.raises(CommandError, match="expected FIELD=COLUMN"):
        run("import_items", "sea", path, "--create", "--column", "prompt")
    with pytest.raises(CommandError, match="HF_HUB_OFFLINE is set"):
        run("import_items", "sea", "hf:owner/name", "--create")


def test_an_unknown_campaign_is_named_with_those_that_are_known(
    file: Path, campaign: Campaign
) -> None:
    with pytest.raises(CommandError, match=r"no campaign 'sea' \(known: sky\)"):
        run("import_items", "sea", file)


def test_a_missing_file_a_folder_and_a_bad_slug_are_refused(tmp_path: Path, file: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        run("import_items", "sea", tmp_path / "nothing.jsonl", "--create")
    with pytest.raises(CommandError, match="Is a directory"):
        run("import_items", "sea", tmp_path, "--create")
    with pytest.raises(CommandError, match="valid"):
        run("import_items", "not a slug", file, "--create")
    assert not Campaign.objects.exists()


def test_a_refused_file_leaves_no_campaign(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(lines([item(1), item(2, prompt="")]).getvalue())
    with pytest.raises(CommandError, match="line 2"):
        run("import_items", "sea", bad, "--create")
    assert not Campaign.objects.exists()


def test_keep_good_writes_the_rejects_beside_the_file(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(lines([item(1), item(2, prompt="")]).getvalue())
    said = run("import_items", "sea", bad, "--create", "--keep-good")
    assert "1 bad rows written to" in said
    rejects = (tmp_path / "bad.jsonl.rejects.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in rejects] == [2]
    assert Item.objects.count() == 1


def test_export_writes_rows_and_their_provenance(
    campaign: Campaign, ada: User, tmp_path: Path
) -> None:
    out = tmp_path / "pairs.jsonl"
    with pytest.raises(CommandError, match="nothing to export"):
        run("export", "sky", "--format", "trl-preference", "--out", out)
    answer(lease(campaign, ada), ada)
    assert "1 rows" in run("export", "sky", "--format", "trl-preference", "--out", out)
    assert set(json.loads(out.read_text())) == {"prompt", "chosen", "rejected"}
    with pytest.raises(CommandError, match="no campaign 'sea'"):
        run("export", "sea", "--format", "native", "--out", out)
    with pytest.raises(CommandError, match="invalid choice"):
        run("export", "sky", "--format", "csv", "--out", out)
    with pytest.raises(CommandError, match="No such file"):
        run("export", "sky", "--format", "native", "--out", tmp_path / "no" / "x.jsonl")


def test_the_demo_is_seeded_once(settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    run("seed_demo")
    stored = (tmp_path / "demo.json").read_text()
    campaign = Campaign.objects.get(slug="everyday")
    assert (campaign.state, campaign.items.count(), campaign.rounds.count()) == ("running", 450, 1)
    assert set(Campaign.objects.values_list("form", flat=True)) == set(Campaign.Form.values)
    keys = GoldAnswer.objects.values_list("campaign__slug", "purpose").annotate(n=Count("pk"))
    assert {purpose: n for _, purpose, n in keys} == {"practice": 3, "qualification": 3, "gold": 7}
    assert {slug for slug, _, _ in keys} == {"everyday-trained"}
    items = Item.objects.count()
    assert campaign.acquisition == DEFAULT_ACQUISITION
    assert Job.objects.filter(kind="card").exists()  # it came with answers
    assert campaign.queries.filter(arm="imported").count() == 112
    assert Campaign.objects.get(slug="charts").pictures.count() == 12
    run("seed_demo")
    assert (tmp_path / "demo.json").read_text() == stored
    assert Item.objects.count() == items
    for person in (json.loads(stored)[role] for role in ("annotator", "researcher")):
        assert User.objects.get(username=person["username"]).check_password(person["password"])


def test_the_demo_never_touches_somebody_else(settings: Any, tmp_path: Path, ada: User) -> None:
    settings.VAR_DIR = tmp_path
    with pytest.raises(CommandError, match="a user 'ada' who was not made by the demo"):
        run("seed_demo")
    ada.refresh_from_db()
    assert ada.check_password("ada")
    assert not Campaign.objects.exists()
