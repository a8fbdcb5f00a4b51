"""`python -m learning judge-report`: a whole report from a file, and files that are none."""

import gzip
import json

import numpy as np
import pytest

from learning.__main__ import main
from learning.judges.bias import position
from learning.judges.labelled import read
from learning.judges.report import bias_report, told


def item(number, rng, *, people=3):
    """Long responses win with the judge, short ones with people; gpt-4 wrote every other one."""
    long = "word " * int(rng.integers(20, 60))
    first_long = bool(rng.random() < 0.5)
    texts = [long, "brief"] if first_long else ["brief", long]
    likes_long = rng.random(people) < 0.35
    choices = [int(not first_long) if one else int(first_long) for one in likes_long]
    said = [{"annotator": f"p{n}", "kind": "human", "choice": c} for n, c in enumerate(choices)]
    judge = int(not first_long) if rng.random() < 0.9 else int(first_long)
    said.append({"annotator": "gpt-4", "kind": "llm", "choice": judge})
    return {
        "id": f"t:{number}",
        "subset": ["easy", "hard"][number % 2],
        "group": f"g{number // 4}",
        "prompt": "Say something.",
        "responses": [
            {"text": text, "model": ["gpt-3.5-turbo", "bloom-7b"][(place + number) % 2]}
            for place, text in enumerate(texts)
        ],
        "annotations": said,
    }


def write(path, rows):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    rng = np.random.default_rng(2)
    place = tmp_path_factory.mktemp("report") / "both.jsonl.gz"
    return write(place, [item(number, rng) for number in range(200)])


def test_a_report_from_file_to_figures(file, tmp_path, capsys):
    out = tmp_path / "report.json"
    assert main(["judge-report", str(file), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    made = json.loads(out.read_text())["judges"]
    assert [one["judge"] for one in made] == ["gpt-4"]
    found = made[0]
    assert found["raw"]["n"] == 200
    assert found["raw"]["agreement"]["value"] < 0.5  # it likes what people do not
    assert found["calibrated"]["ece"] < found["raw"]["ece"]
    length = found["controls"][0]
    assert (length["name"], length["judge"] > 0 > length["people"]) == ("length", True)
    assert length["difference"]["low"] > 1
    assert found["self_preference"]["questions"] == 200
    assert {tag["tag"] for tag in found["tags"]} == {"easy", "hard"}
    assert 0.4 < found["two_people_agree"] < 0.7
    assert "gpt-4: 200 questions" in printed
    assert "DBG" in printed
    assert "only known where both display orders" in printed


def test_the_same_seed_gives_the_same_report(file, tmp_path):
    made = []
    for name in ("a", "b"):
        out = tmp_path / f"{name}.json"
        assert main(["judge-report", str(file), "--out", str(out), "--seed", "4"]) == 0
        made.append(out.read_text())
    assert made[0] == made[1]


def test_what_a_file_says(tmp_path):
    row = item(0, np.random.default_rng(0))
    row["annotations"] = [
        {"annotator": "a", "choice": 0},
        {"annotator": "b", "kind": "human", "choice": "tie"},
        {"annotator": "c", "kind": "human", "choice": None},
        {"annotator": "j", "kind": "llm", "choice": 1},
        {"kind": "llm", "choice": "tie"},
    ]
    alone = {**row, "annotations": row["annotations"][:2]}
    three = {**row, "responses": [{"text": "x"}] * 3}
    place = write(tmp_path / "f.jsonl", [row, "", alone, three])
    j, unnamed = read(place)
    assert (j.judge, j.said, j.people, j.alike) == ("j", [0.0], [0.75], [0.0])
    assert (unnamed.judge, unnamed.said) == ("unnamed", [0.5])
    assert j.groups == ["g0"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["{"], "line 1: expected a JSON object"),
        (["[]"], "line 1: expected a JSON object, got list"),
        ([{"responses": "x"}], "must be lists"),
        ([{"responses": [1, 2]}], "lists of objects"),
        ([{"responses": [{"text": "x"}, {"text": "y"}]}], "no pair was judged"),
        ([{**item(0, np.random.default_rng(0)), "prompt": 3}], "line 1: expected a prompt"),
    ],
)
def test_files_that_are_none_are_named(tmp_path, capsys, rows, said):
    place = write(tmp_path / "bad.jsonl", rows)
    assert main(["judge-report", str(place)]) == 2
    assert said in capsys.readouterr().err


def test_a_choice_that_is_none_is_named(tmp_path, capsys):
    row = item(0, np.random.default_rng(0))
    row["annotations"][3]["choice"] = 2
    assert main(["judge-report", str(write(tmp_path / "b.jsonl", [row]))]) == 2
    assert "annotations[3].choice: expected 0, 1, 'tie' or null" in capsys.readouterr().err


def test_commands_that_cannot_be_done(file, tmp_path, capsys):
    assert main(["judge-report", str(tmp_path / "nowhere")]) == 2
    assert main(["judge-report", str(file), "--judge", "gpt-5"]) == 2
    assert "it has gpt-4" in capsys.readouterr().err
    assert main(["judge-report", str(file), "--out", str(tmp_path / "no" / "r.json")]) == 2


@pytest.mark.parametrize(
    ("authors", "judge", "people"),
    [(("gpt-4", "bloom-7b"), 0.9, 0.75), (("bloom-7b", "gpt-4"), 0.1, 0.25)],
)
def test_own_kin_is_followed_to_its_place(authors, judge, people):
    found = bias_report(
        "gpt-4o",
        np.array([0.9]),
        np.array([0.75]),
        prompts=["?"],
        responses=[("a", "b")],
        clusters=["1"],
        rng=np.random.default_rng(0),
        authors=[authors],
    ).self_preference
    assert (found.judge, found.people) == (pytest.approx(judge), pytest.approx(people))
    assert found.dbg.value == pytest.approx(judge - people)


def test_a_small_report_says_what_it_cannot_tell(capsys):
    rng = np.random.default_rng(1)
    side = position([[1, 0], [1, 1]], rng=rng)
    found = bias_report(
        "house",
        np.array([0.9, 0.2]),
        np.array([1.0, 0.0]),
        prompts=["?", "?"],
        responses=[("a", "b"), ("c", "d")],
        clusters=["1", "2"],
        rng=rng,
        position=side,
    )
    assert found.position == side
    assert (found.controls, found.self_preference, found.tags) == ((), None, ())
    assert [note.partition(":")[0] for note in found.notes] == ["controls", "self-preference"]
    assert json.dumps(found.to_json())
    assert any("shown first is chosen 75.0%" in line for line in told(found))
