"""The comparison of frozen and fine-tuned encoders: leak-free folds, kept cells, paired figures."""

import json

import numpy as np
import pytest

from learning.__main__ import main
from learning.errors import NotEnoughData
from learning.finetune import compare
from learning.finetune.compare_cells import Cell, heads_alone, load, save, split
from learning.finetune.compare_report import as_csv, as_json, pays_from, rows, table
from learning.metrics import Estimate
from learning.replay.corpus import read
from learning.replay.worlds import Encoding, embed
from tests.learning.finetune.rewards import reward_folder


def item(n):
    rng = np.random.default_rng(n)
    good, bad = ("clear " * int(rng.integers(2, 6)), "mud " * int(rng.integers(2, 6)))
    texts = [f"{good}{n}", f"{bad}{n}"]
    return {
        "id": f"t:{n}", "source": "t", "task": "pairwise", "group": f"g{n // 3}",
        "prompt": f"Question {n // 3}?", "responses": [{"text": t} for t in texts],
        "annotations": [
            {"annotator": str(k), "kind": "human", "choice": int(rng.random() < 0.2)}
            for k in range(1 + n % 2)
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("compare") / "answers.jsonl"
    path.write_text("".join(json.dumps(item(n)) + "\n" for n in range(90)))
    return path


def test_folds_keep_groups_whole_and_labels_are_nested(file):
    corpus = read(file)
    tested = []
    for fold in range(5):
        drawn = split(corpus, fold, folds=5, seed=1)
        assert not set(drawn.train_group) & set(drawn.test_group)
        pairs = {tuple(pair) for pair in drawn.train.pairs}
        assert len(pairs) == len(drawn.train)  # one label a pair
        tested += list(drawn.test_group)
        again = split(corpus, fold, folds=5, seed=1)
        assert np.array_equal(again.train.pairs, drawn.train.pairs)
    assert len(set(tested)) == 30
    assert len(tested) == len(corpus.answers.outcome)  # every answer is tested on once


def test_fewer_test_pairs_are_a_part_of_all(file):
    corpus = read(file)
    every, few = (split(corpus, 0, folds=5, seed=0, test_pairs=n) for n in (0, 6))
    assert {tuple(p) for p in few.test.pairs} < {tuple(p) for p in every.test.pairs}
    assert len({tuple(p) for p in few.test.pairs}) == 6
    with pytest.raises(NotEnoughData, match="too few for 40 folds"):
        split(corpus, 0, folds=40, seed=0)


def test_comparisons_of_one_ranking_weigh_what_they_weigh_in_a_campaign(tmp_path):
    """A ranking of four states six pairs; as six people they would outvote what it knows."""
    path = tmp_path / "ranked.jsonl"
    ranked = [
        {**item(n), "responses": [{"text": f"{n} {k}"} for k in range(4)],
         "annotations": [{"kind": "human", "ranking": [1, 2, 3, 4]}]}
        for n in range(0, 45, 3)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in [*ranked, item(99)]))
    corpus = read(path)
    trains = [split(corpus, fold, folds=4, seed=0).train for fold in range(4)]
    for train in trains:
        of_ranking = train.left < 4 * len(ranked)
        assert np.all(train.weight == np.where(of_ranking, 1 / 3, 1.0))
    assert any(1.0 in train.weight for train in trains)


def command(file, base, out, *more):
    plan = json.dumps({"epochs": 1, "folds": 1, "batch": 16, "lora_rank": 2})
    given = ["--labels", "20,1000", "--folds", "3", "--max-tokens", "32", "--plan", plan]
    return main(["finetune", str(file), "--base", base, "--out", str(out), *given, *more])


@pytest.mark.timeout(300)
def test_a_comparison_from_file_to_table_goes_on_where_it_was_stopped(
    file, tmp_path, capsys, monkeypatch
):
    base = f"hf:{reward_folder(tmp_path / 'base', decoder=False)}"
    out, table_file = tmp_path / "f.json", tmp_path / "f.csv"
    real, calls = compare.fine_tuned, []

    def stopped(*given, **more):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given, **more)

    monkeypatch.setattr(compare, "fine_tuned", stopped)
    with pytest.raises(KeyboardInterrupt):
        command(file, base, out)
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "f.json.cells").glob("*.npz")}
    assert len(kept) == 4 + 2
    assert command(file, base, out, "--csv", str(table_file)) == 0
    assert all(p.stat().st_mtime_ns == then for p, then in kept.items())
    made = json.loads(out.read_text())
    found = {(row["method"], row["labels"]): row for row in made["rows"]}
    assert set(found) == {(m, n) for m in ("surface", "frozen", "full", "lora") for n in (20, 60)}
    row = found["lora", 60]
    assert [one["prompts"] for one in row["gate"]] == [10, 10, 10]
    assert "at least 30" in row["gate"][0]["reason"]
    assert row["answers"] == found["frozen", 60]["answers"] == 135
    assert row["folds"] == 3
    assert row["accuracy"][1] <= row["accuracy"][0] <= row["accuracy"][2]
    assert row["gain"][0] == pytest.approx(
        found["frozen", 60]["log_loss"][0] - row["log_loss"][0], abs=2e-5
    )
    assert set(made["pays_from"]["answers"]) == {"surface", "full", "lora"}
    assert made["settings"]["plans"]["lora"]["lora_rank"] == 2
    told = capsys.readouterr()
    assert "| answers | 60 | lora |" in told.out
    assert len(table_file.read_text().splitlines()) == 9


@pytest.mark.timeout(300)
def test_processes_share_the_cells_and_change_no_figure(file, tmp_path, capsys):
    base = f"hf:{reward_folder(tmp_path / 'base', decoder=False)}"
    alone, shared = tmp_path / "alone.json", tmp_path / "shared.json"
    for out, workers in ((alone, "0"), (shared, "2")):
        assert command(file, base, out, "--methods", "frozen,full", "--workers", workers) == 0
    first, second = (json.loads(out.read_text()) for out in (alone, shared))
    for row in (*first["rows"], *second["rows"]):
        row.pop("seconds")
    assert second == first
    names = [sorted(p.name for p in out.with_name(f"{out.name}.cells").iterdir())
             for out in (alone, shared)]  # fmt: skip
    assert names[0] == names[1]
    assert len(names[0]) == 2 * 2 * 3


def test_an_error_in_a_process_is_told_as_it_is(file, tmp_path, capsys):
    out = tmp_path / "f.json"
    assert command(file, "hashed", out, "--methods", "full", "--workers", "2") == 2
    assert "'hashed' counts words" in capsys.readouterr().err
    assert not out.exists()


def test_what_cannot_be_compared_is_refused(file, tmp_path, capsys):
    def refused(*more):
        assert command(file, "hashed", tmp_path / "f.json", *more) == 2
        return capsys.readouterr().err

    assert "no method 'magic'" in refused("--methods", "magic")
    assert "whole numbers" in refused("--labels", "few")
    assert "at least 1" in refused("--labels", "0")
    assert "--folds" in refused("--folds", "1")
    assert "--only-folds" in refused("--only-folds", "9")
    assert "--workers" in refused("--workers", "-1")
    assert "no folder" in refused("--csv", str(tmp_path / "absent" / "f.csv"))
    assert "'hashed' counts words" in refused("--methods", "full")


def test_a_cell_knows_how_much_longer_the_winner_was(file):
    corpus = read(file)
    raw = embed(corpus, Encoding("hashed"), str)
    drawn = split(corpus, 0, folds=5, seed=0)
    cell = heads_alone("surface", corpus, raw, drawn, 40)
    test = drawn.test
    won = np.where(test.outcome == 1, test.left, test.right)
    lost = np.where(test.outcome == 1, test.right, test.left)
    long = np.log1p([len(text) for text in corpus.texts])
    np.testing.assert_allclose(cell.gap, long[won] - long[lost], atol=1e-6)


def cells(p, labels=50):
    group = np.arange(len(p)) // 2
    gap = np.random.default_rng(5).normal(size=len(p))
    return [Cell(np.asarray(p), group, gap, 1.0, labels, {})]


def test_differences_are_paired_and_tell_from_when_it_pays():
    rng = np.random.default_rng(0)
    base = rng.uniform(0.2, 0.9, 300)
    better = np.clip(base + 0.05, 0, 1)
    found = rows(
        "f",
        {
            ("frozen", 50): cells(base), ("full", 50): cells(base * 0.9),
            ("frozen", 99): cells(base, 99), ("full", 99): cells(better, 99),
            ("lora", 99): cells(rng.permutation(base), 99),
        },
    )  # fmt: skip
    by = {(row.method, row.labels): row for row in found}
    assert by["full", 99].gain.value == pytest.approx(np.log(better / base).mean())
    assert by["full", 99].gain.low > 0
    assert by["full", 50].gain.high < 0
    assert np.isnan(by["frozen", 50].gain.value)
    assert pays_from(found) == {"f": {"full": 99, "lora": None}}
    assert "gain over frozen" in table(found)
    assert "| 0 of 1 |" in table(found)
    assert by["full", 50].promoted == 0
    assert "not better on the holdout" in by["full", 50].gate[0].reason
    assert by["frozen", 50].promoted is None
    assert as_json(by["frozen", 50])["gain"] == [None, None, None]
    assert as_csv(found).startswith("file,method,labels,accuracy,accuracy_low,accuracy_high,")


def test_the_gate_says_of_each_fold_what_it_would_say_in_a_campaign():
    rng = np.random.default_rng(1)
    right = rng.random((2, 300)) < 0.7
    gap = rng.normal(size=(2, 300))
    shy = [np.where(one, 0.55, 0.45) for one in right]
    sure = [np.where(right[0], 0.7, 0.3), np.where(right[1], 0.4, 0.6)]  # good, and bad
    group = np.arange(300) // 2

    def both(p):
        return [Cell(one, group, gap[fold], 1.0, 50, {}) for fold, one in enumerate(p)]

    found = rows("f", {("frozen", 50): both(shy), ("full", 50): both(sure)})[1]
    assert [one.promoted for one in found.gate] == [True, False]
    assert found.promoted == 1
    loss = found.gate[0].log_loss
    assert loss.new == pytest.approx(-np.log(sure[0]).mean())
    assert loss.old == pytest.approx(-np.log(shy[0]).mean())
    assert found.gate[0].prompts == 150
    assert "| 1 of 2 |" in table([found])
    assert as_csv([found]).splitlines()[1].endswith(",1")
    assert len(as_json(found)["gate"]) == 2


def test_a_gain_that_is_lost_again_with_more_labels_does_not_count():
    good, bad = Estimate(0.1, 0.05, 0.2), Estimate(0.1, -0.05, 0.2)
    made = rows("f", {("full", 10): cells(np.full(20, 0.6), 10)})[0]
    from dataclasses import replace

    found = [replace(made, labels=n, gain=g) for n, g in ((10, good), (20, bad), (30, good))]
    assert pays_from(found) == {"f": {"full": 30}}


def test_cells_of_another_version_are_computed_again(file, tmp_path, monkeypatch, capsys):
    given = (file, "hashed", tmp_path / "out.json", "--methods", "frozen")
    command(*given)
    capsys.readouterr()
    command(*given)
    assert "frozen, " not in capsys.readouterr().err
    monkeypatch.setattr(compare, "our_version", lambda: "another")
    command(*given)
    assert capsys.readouterr().err.count("frozen, ") == 6  # two counts in three folds


def test_a_damaged_cell_is_computed_again(tmp_path):
    path = tmp_path / "cell.npz"
    assert load(path) is None
    gap = np.array([-0.5, 0.25])
    cell = Cell(np.array([0.25, 0.5]), np.array([0, 1]), gap, 2.5, 7, {"epochs": 2})
    save(cell, path)
    kept = load(path)
    assert kept is not None
    assert np.array_equal(kept.winner, cell.winner)
    assert np.array_equal(kept.gap, gap)
    assert (kept.seconds, kept.labels, kept.record) == (2.5, 7, {"epochs": 2})
    path.write_bytes(path.read_bytes()[:50])
    assert load(path) is None
