"""`python -m learning`: whole commands on the demo's answers, and what is refused."""

import json
import runpy
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from learning.__main__ import main
from learning.acquisition import METHODS
from learning.replay import command
from tests.learning.replayed import line, write

ROOT = Path(__file__).parents[2]
ANSWERED = ROOT / "annotator" / "demo" / "everyday_answered.jsonl"
QUICK = ["--encoder", "hashed", "--labels", "48", "--batch", "16", "--seeds", "2"]


def steps_without_time(path):
    made = json.loads(path.read_text())
    for run in made["runs"]:
        for step in run["steps"]:
            del step["seconds"], step["select_seconds"]
    return made["runs"]


def replay(out, *more, file=ANSWERED, acquisition="entropy"):
    given = ["replay", str(file), "--acquisition", acquisition, "--out", str(out), *QUICK, *more]
    return main(given)


def test_a_replay_from_file_to_results_table_and_picture(tmp_path, capsys):
    out, plot, cache = tmp_path / "r.json", tmp_path / "c.svg", tmp_path / "features"
    assert replay(out, "--plot", str(plot), "--features-cache", str(cache)) == 0
    made = json.loads(out.read_text())
    assert {(r["file"], r["acquisition"], r["seed"]) for r in made["runs"]} == {
        ("everyday_answered", name, seed) for name in ("random", "entropy") for seed in (0, 1)
    }
    assert [s["labels"] for s in made["runs"][0]["steps"]] == [16, 32, 48]
    assert made["settings"]["folds"] == "group"
    assert made["settings"]["encoder"].startswith("hashed:")
    assert made["settings"]["acquisition"]["entropy"]["screen"] == 4.0
    assert made["files"][0]["pairs"] > 50
    assert len(made["files"][0]["sha256"]) == 64
    assert made["failed"] == []
    assert len(ET.parse(plot).getroot()) > 5  # noqa: S314 - our own
    told = capsys.readouterr()
    assert "everyday_answered, 2 seeds" in told.out
    assert "4 of 4 runs" in told.err
    assert list(cache.rglob("*.vectors.npy"))


def test_the_same_command_gives_the_same_results_with_more_processes(tmp_path):
    one, two = tmp_path / "1.json", tmp_path / "2.json"
    assert replay(one, "--workers", "0") == 0
    assert replay(two, "--workers", "2") == 0
    assert steps_without_time(one) == steps_without_time(two)


def test_planted_answers_are_others_than_the_files_and_easier(tmp_path):
    real, known = tmp_path / "1.json", tmp_path / "2.json"
    replay(real, "--folds", "items", "--workers", "0")
    replay(known, "--folds", "items", "--planted", "--planted-sd", "4", "--workers", "0")
    assert steps_without_time(real) != steps_without_time(known)
    assert json.loads(known.read_text())["settings"]["planted_sd"] == 4

    def last(path):
        return json.loads(path.read_text())["summary"][0]["final_accuracy"]

    assert last(known) > last(real)


def test_options_and_second_names_reach_the_functions(tmp_path):
    out = tmp_path / "r.json"
    config = json.dumps({"entropy:bare": {"screen": 0, "per_prompt": 0}})
    several = {"acquisition": "entropy,entropy:bare"}
    assert replay(out, "--config", config, "--workers", "0", **several) == 0
    made = json.loads(out.read_text())
    assert made["settings"]["acquisition"]["entropy:bare"]["screen"] == 0
    assert [s["acquisition"] for s in made["summary"]] == ["random", "entropy", "entropy:bare"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--acquisition", "psychic"], "unknown acquisition 'psychic'"),
        (["--config", '{"entropy": {"scren": 1}}'], "no option 'scren'"),
        (["--config", '{"dopt": {}}'], "'dopt', which is not replayed"),
        (["--config", "[1]"], "object of objects"),
        (["--seeds", "0"], "--seeds"),
        (["--labels", "0"], "labels must be at least 1"),
        (["--start", "49"], "start is 49"),
        (["--encoder", "oracle"], "unknown encoder"),
        (["--plot", "nowhere/c.svg"], "no folder nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(tmp_path, capsys, given, said):
    assert replay(tmp_path / "r.json", *given) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "r.json").exists()


def test_a_bad_file_is_named(tmp_path, capsys):
    bad = write(tmp_path / "bad.jsonl", [line("a", [0]), line("b", [7])])
    assert replay(tmp_path / "r.json", file=bad) == 2
    assert "bad.jsonl, line 2, annotations[0].choice" in capsys.readouterr().err


def test_files_of_equal_names_are_told_apart_by_their_folders(tmp_path):
    paths = [tmp_path / folder / "same.jsonl" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        write(path, [line("a", [0])])
    assert [corpus.name for corpus in command.read_all(paths)] == [str(path) for path in paths]
    assert command.read_all(paths[:1])[0].name == "same"


def test_a_failed_run_is_in_the_results_and_in_the_exit_status(tmp_path, monkeypatch):
    from learning.replay.parallel import Failure

    def one_fails(worlds, todo, *, workers, progress):
        made = real(worlds, todo, workers=0, progress=progress)
        made[-1] = Failure(made[-1].file, made[-1].acquisition, made[-1].seed, "Oops: broken")
        return made

    real = command.run_all
    monkeypatch.setattr(command, "run_all", one_fails)
    out = tmp_path / "r.json"
    assert replay(out) == 1
    made = json.loads(out.read_text())
    assert [(f["acquisition"], f["seed"], f["error"]) for f in made["failed"]] == [
        ("entropy", 1, "Oops: broken")
    ]
    assert [s["seeds"] for s in made["summary"]] == [2, 1]


def test_an_encoder_card_from_a_file(tmp_path, capsys):
    out = tmp_path / "card.json"
    assert main(["encoder-card", str(ANSWERED), "--out", str(out), "--encoder", "hashed"]) == 0
    card = json.loads(out.read_text())
    wanted = {"accuracy", "log_loss", "surface_accuracy", "majority_accuracy", "labels", "sentence"}
    assert wanted <= card.keys()
    assert 0.4 < card["accuracy"] < 0.9
    assert card["labels"] > 100
    assert card["sentence"] in capsys.readouterr().out
    assert card["settings"]["encoder"].startswith("hashed:")


def test_a_card_can_try_whether_a_function_pays(tmp_path, capsys):
    out = tmp_path / "card.json"
    asked = ["encoder-card", str(ANSWERED), "--out", str(out), "--encoder", "hashed"]
    assert main([*asked, "--payoff", "dopt"]) == 0
    paid = json.loads(out.read_text())["payoff"]
    assert paid["acquisition"] == "dopt"
    assert capsys.readouterr().out.endswith(f"{paid['sentence']}\n")
    for name, said in [("random", "draws at random itself"), ("dpot", "unknown acquisition")]:
        assert main([*asked, "--payoff", name]) != 0
        assert said in capsys.readouterr().err


def test_the_catalogue_is_sorted_json_and_the_same_in_a_file(tmp_path, capsys):
    assert main(["catalogue"]) == 0
    told = capsys.readouterr().out
    assert main(["catalogue", "--out", str(tmp_path / "c.json")]) == 0
    assert (tmp_path / "c.json").read_text(encoding="utf-8") == told
    read = json.loads(told)
    assert {"random", "entropy"} <= {entry["name"] for entry in read["acquisition"]}
    assert told == json.dumps(read, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_module_runs_and_lists_its_commands():
    called = [sys.executable, "-m", "learning"]
    help_text = subprocess.run(
        [*called, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert {"replay", "encoder-card", "catalogue"} <= set(help_text.split())
    wrong = subprocess.run([*called, "fly"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert wrong.returncode == 2
    assert "invalid choice" in wrong.stderr


def test_all_functions_and_a_variant_of_one():
    arms = command.read_arms("all,dopt:early", {"dopt:early": {"after": 16}})
    assert [arm.label for arm in arms] == [*METHODS, "dopt:early"]
    assert arms[-1].config == {"after": 16}


def test_a_command_that_is_interrupted_says_so_without_a_traceback(monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupted)
    given = ["replay", str(ANSWERED), "--acquisition", "random", "--out", "r.json"]
    monkeypatch.setattr(sys, "argv", ["learning", *given])
    monkeypatch.delitem(sys.modules, "learning.__main__")  # runpy warns of a module it has read
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("learning", run_name="__main__")
    assert ended.value.code == 130
    assert capsys.readouterr().err == "stopped\n"
