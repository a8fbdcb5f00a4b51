"""Snapshots: the same bytes of the same answers, whole or nothing, cancelled without a trace."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from annotator.errors import InvalidInput
from annotator.exporters import FORMATS, ExportOptions
from annotator.models import Campaign, Job, Snapshot
from annotator.services import export_files
from annotator.services import jobs as people
from annotator.services.differences import compare
from annotator.services.export_files import export_to_file, write_files
from annotator.services.snapshots import (
    build_snapshot,
    cancel_snapshot,
    find_part,
    parts,
    request_snapshot,
    tidy,
    under_way,
)
from tests.annotator.acts import answer, lease
from tests.campaigns import ask, item, load, make_campaign
from worker import child, jobs

CHAT = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def answered(ada: User, ben: User) -> Campaign:
    """Pairs, a chat, a ranking, an edit with reasons and marks, by two people and from a file."""
    marks = {"annotator": "w", "kind": "human", "ratings": {"clarity": [3, 1]}, "choice": 0}
    campaign = make_campaign(prompts=4, people=(ada, ben), overlap=2)
    load(
        campaign,
        [item(20, prompt=CHAT, annotations=[marks]), item(21, annotations=[_edit()])],
        history=True,
    )
    ask(campaign)
    for person in (ada, ben):
        while (assignment := lease(campaign, person)) is not None:
            first = assignment.display_order[0] == min(assignment.display_order)
            answer(assignment, person, "a3" if first else "b3", rationale="ünï")
    return campaign


def _edit() -> dict[str, Any]:
    made = {"response": 0, "text": "Because of scattering, as Rayleigh found.", "reasons": ["tone"]}
    return {"annotator": "w", "kind": "human", "choice": 0, "edit": made}


def build(snapshot: Snapshot) -> Snapshot:
    """Let a worker build it."""
    job = Job.objects.get(key=f"snapshot:{snapshot.pk}")
    claimed = jobs.claim(job.pk)
    assert claimed is not None
    child.main(claimed.id, claimed.attempt)
    snapshot.refresh_from_db()
    return snapshot


def taken(campaign: Campaign, name: str = "trl-preference", **more: Any) -> Snapshot:
    container = more.pop("container", "")
    options = ExportOptions.checked(more)
    asked = request_snapshot(
        campaign=campaign, format_name=name, options=options, user=None, container=container
    )
    return build(asked)


def content(snapshot: Snapshot, part: str = "") -> bytes:
    path = find_part(snapshot=snapshot, part=part).path
    assert path is not None
    return path.read_bytes()


# --- bytes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["jsonl", "jsonl.gz", "json", "parquet", "datasets"])
def test_the_same_answers_give_the_same_bytes(answered: Campaign, container: str) -> None:
    first, second = (taken(answered, container=container, test_share=0.3) for _ in range(2))
    assert first.state == second.state == "ready"
    assert first.path != second.path
    for part in parts(first):
        assert content(first, part) == content(second, part), part
    for name, about in first.manifest["files"].items():
        data = content(first, name)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (about["bytes"], about["sha256"])


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_can_be_taken(answered: Campaign, name: str) -> None:
    snapshot = taken(answered, name)
    assert snapshot.state == "ready", snapshot.error
    assert snapshot.rows
    beside = {"argilla": ["settings.json"], "label-studio": ["config.xml"]}.get(name, [])
    assert parts(snapshot)[1:] == [*sorted([*beside, "provenance.jsonl"]), "manifest.json"]


def test_containers_hold_the_same_rows(answered: Campaign) -> None:
    lines = [json.loads(line) for line in content(taken(answered)).splitlines()]
    packed = gzip.decompress(content(taken(answered, container="jsonl.gz")))
    assert [json.loads(line) for line in packed.splitlines()] == lines
    assert json.loads(content(taken(answered, container="json"))) == lines
    table = pyarrow.parquet.read_table(io.BytesIO(content(taken(answered, container="parquet"))))
    assert table.to_pylist() == lines
    archive = zipfile.ZipFile(io.BytesIO(content(taken(answered, container="datasets"))))
    assert archive.namelist() == ["README.md", "data/train-00000-of-00001.parquet"]


def test_a_column_without_a_value_keeps_its_type(answered: Campaign) -> None:
    snapshot = taken(answered, "ranking", container="parquet", consensus="majority")
    table = pyarrow.parquet.read_table(io.BytesIO(content(snapshot)))
    assert table.column("annotator_id").null_count == table.num_rows
    assert str(table.schema.field("annotator_id").type) == "string"


@pytest.mark.parametrize("name", ["native", "argilla", "label-studio"])
def test_trees_do_not_go_into_tables(answered: Campaign, name: str) -> None:
    with pytest.raises(InvalidInput, match="trees that no table holds; expected one of jsonl"):
        taken(answered, name, container="parquet")


def test_a_container_that_is_unknown_is_named(answered: Campaign) -> None:
    with pytest.raises(InvalidInput, match=r"expected one of jsonl, jsonl\.gz, json, parquet"):
        taken(answered, container="csv")


# --- what the manifest says ---------------------------------------------------------------


def test_the_manifest_says_what_decided_the_bytes(answered: Campaign) -> None:
    said = taken(answered, margin="strength").manifest
    assert said["options"]["margin"] == "strength"
    assert said["options"]["consensus"] == said["consensus"] == "majority"
    assert said["counts"]["people"] == 3
    assert said["counts"]["answers"] == 2 * 6 + 2
    assert said["rows"] == said["files"]["data.jsonl"]["rows"]
    assert "Only" in said["warnings"][0]
    assert said["newest_answer"] > "2026"
    assert {"code_version", "guidelines_version", "model_round", "left_out"} <= set(said)


def test_held_out_rows_are_warned_of(answered: Campaign) -> None:
    answered.prompts.update(is_holdout=True)
    failed = taken(answered)
    assert failed.state == "failed"
    assert "no standing answers outside the holdout" in failed.error
    said = taken(answered, include_holdout=True).manifest
    assert said["counts"]["holdout_rows"] == said["rows"]
    assert "never train on them" in said["warnings"][0]


def test_an_empty_export_says_what_was_looked_at(campaign: Campaign, ada: User) -> None:
    answer(lease(campaign, ada), ada, "tie")
    failed = taken(campaign)
    assert failed.state == "failed"
    assert "1 questions were looked at and gave no row (1 ties)" in failed.error
    assert not list(under_way().iterdir())


# --- cancelled, killed --------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)  # progress goes over a connection of its own
def test_a_cancelled_export_stops_and_leaves_nothing(
    answered: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_files, "EVERY", -1.0)  # progress at every question
    assert taken(answered, "native").state == "ready"
    asked = request_snapshot(
        campaign=answered, format_name="native", options=ExportOptions(), user=None
    )
    claimed = jobs.claim(Job.objects.get(key=f"snapshot:{asked.pk}").pk)
    assert claimed is not None
    told: list[int] = []

    def progress(self: jobs.RunningJob, done: int, total: int, message: str = "") -> None:
        told.append(done)
        if done == 2:
            assert cancel_snapshot(snapshot=asked)
        real(self, done, total, message)

    real = jobs.RunningJob.progress
    monkeypatch.setattr(jobs.RunningJob, "progress", progress)
    child.main(claimed.id, claimed.attempt)
    asked.refresh_from_db()
    assert told == [1, 2]
    assert (asked.state, asked.error) == ("cancelled", people.CANCELLED)
    assert not list(under_way().iterdir())
    assert not cancel_snapshot(snapshot=asked)  # a repeat changes nothing


def test_progress_speaks_of_questions_and_rows(
    answered: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_files, "EVERY", -1.0)
    asked = request_snapshot(
        campaign=answered, format_name="native", options=ExportOptions(), user=None
    )
    told: list[tuple[int, int]] = []
    build_snapshot(snapshot=asked, progress=lambda done, rows: told.append((done, rows)))
    assert told == [(n, n - 1) for n in range(1, 7)]


def test_what_a_killed_worker_left_is_removed(answered: Campaign) -> None:
    asked = request_snapshot(
        campaign=answered, format_name="native", options=ExportOptions(), user=None
    )
    for name in (f"{asked.pk}.aaaa", "00000000-0000-4000-8000-000000000000.bbbb"):
        (under_way() / name).mkdir(parents=True)
    tidy()
    assert [path.name for path in under_way().iterdir()] == [f"{asked.pk}.aaaa"]
    cancel_snapshot(snapshot=asked)
    tidy()
    assert not list(under_way().iterdir())


# --- what lies between two ----------------------------------------------------------------


def test_two_snapshots_are_compared_by_row(campaign: Campaign, ada: User, ben: User) -> None:
    answer(lease(campaign, ada), ada, "a1")
    answer(lease(campaign, ada), ada, "a1")
    old = taken(campaign, "native")
    answer(lease(campaign, ben), ben, "b2")
    said = [{"annotator": "w", "kind": "human", "choice": 1}]
    load(campaign, [item(0, annotations=said)], history=True)
    new = taken(campaign, "native", annotators="numbers")
    found = compare(old=old, new=new)
    assert (found.added, found.removed, found.changed) == (1, 0, 2)
    assert found.examples["added"] == ["toy:2"]
    assert found.options["annotators"] == ("pseudonyms", "numbers")
    back = compare(old=new, new=old)
    assert (back.added, back.removed, back.examples["removed"]) == (0, 1, ["toy:2"])
    assert compare(old=new, new=new).nothing


def test_rows_of_one_question_are_told_apart(answered: Campaign) -> None:
    old, new = taken(answered, "ranking"), taken(answered, "ranking", consensus="majority")
    found = compare(old=old, new=new)
    assert found.examples["removed"][0] == "toy:0/2"
    assert found.options["consensus"] == ("all", "majority")


def test_other_formats_are_not_compared(answered: Campaign) -> None:
    with pytest.raises(InvalidInput, match="different formats have nothing to compare"):
        compare(old=taken(answered), new=taken(answered, "native"))


def test_files_and_snapshots_are_compared_by_command(
    answered: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, options in (("a", ExportOptions()), ("b", ExportOptions(margin="strength"))):
        export_to_file(
            campaign=answered, format_name="trl-preference", out=tmp_path / name, options=options
        )
    call_command("compare_exports", str(tmp_path / "a"), str(tmp_path / "b"))
    assert "removed: 0\nchanged: 7" in capsys.readouterr().out
    old, new = taken(answered), taken(answered, edits="out")
    call_command("compare_exports", str(old.pk), str(new.pk))
    said = capsys.readouterr().out
    assert "edits: in -> out" in said
    assert "removed: 1\n  toy:21/2" in said


# --- files --------------------------------------------------------------------------------


def test_a_test_file_and_settings_stand_beside_the_data(answered: Campaign, tmp_path: Path) -> None:
    out = tmp_path / "data.json"
    options = ExportOptions(test_share=0.4)
    export_to_file(campaign=answered, format_name="argilla", out=out, options=options)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "data.json",
        "data.json.provenance.jsonl",
        "data.json.settings.json",
        "data.test.json",
    ]
    assert json.loads((tmp_path / "data.test.json").read_text())


def test_a_datasets_folder_is_loaded_by_datasets(
    answered: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "set"
    manifest = export_to_file(
        campaign=answered,
        format_name="reward-pairs",
        out=out,
        container="datasets",
        options=ExportOptions(test_share=0.4, license="cc-by-4.0"),
    )
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "test"}
    assert loaded["train"].num_rows + loaded["test"].num_rows == manifest["rows"]
    first = loaded["train"][0]
    assert first["chosen"][0]["role"] == "user" or first["chosen"][0]["role"] == "assistant"
    assert not set(map(str, loaded["train"]["prompt"])) & set(map(str, loaded["test"]["prompt"]))
    card = (out / "README.md").read_text()
    assert 'license: "cc-by-4.0"' in card
    assert "## Beware" in card


def test_a_folder_that_is_there_already_is_not_written_into(
    answered: Campaign, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    out.mkdir()
    with pytest.raises(InvalidInput, match="File exists"):
        export_to_file(
            campaign=answered,
            format_name="sft",
            out=out,
            container="datasets",
            options=ExportOptions(),
        )


def test_write_files_tells_the_container_of_the_format(answered: Campaign, tmp_path: Path) -> None:
    manifest = write_files(
        campaign=answered, format_name="argilla", options=ExportOptions(), folder=tmp_path
    )
    assert manifest["container"] == "json"
    assert set(manifest["files"]) == {"data.json", "provenance.jsonl", "settings.json"}
