"""Whole replays of routing on small planted worlds and files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from learning.__main__ import main
from learning.errors import ConfigError, NotEnoughData
from learning.replay.worlds import Encoding
from learning.routing.deviation import Deviation
from learning.routing.policies import POLICIES
from learning.routing.replay import command
from learning.routing.replay import session as session_module
from learning.routing.replay.campaign import Run, play
from learning.routing.replay.gains import SHARES, gains, told
from learning.routing.replay.plan import Plan
from learning.routing.replay.session import Session
from learning.routing.replay.statistics import summarise, table
from learning.routing.replay.worlds import planted, read
from tests.learning.replayed import line, write

SMALL = Plan(pool=300, rounds=2)
WORLD = planted(1, 0, pairs=500)


def judged(*choices, **names):
    return [{"kind": "llm", "annotator": name, "choice": c} for name, c in names.items()] + [
        {"kind": "llm", "annotator": "one", "choice": c} for c in choices
    ]


def annotated(path, *, groups=12, pairs=8):
    """Two people and a judge who prefer the longer text, the judge less so in one subset."""
    rng = np.random.default_rng(0)
    rows = []
    for group in range(groups):
        for pair in range(pairs):
            texts = [" ".join(["word"] * int(n)) for n in rng.integers(1, 40, 2)]
            best = int(len(texts[1]) > len(texts[0]))
            people = [best if rng.random() < 0.9 else 1 - best for _ in range(2)]
            said = 1 - best if group % 3 == 0 else best
            rows.append(
                line(
                    f"{group}-{pair}",
                    [*people, *judged(said)],
                    prompt=f"prompt {group}-{pair}",
                    texts=tuple(f"{text} {side}" for side, text in enumerate(texts)),
                    group=f"g{group}",
                    subset="odd" if group % 3 == 0 else "even",
                )
            )
    return write(path, rows)


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_spends_no_more_than_its_budget(name):
    found = play(WORLD, SMALL, name, 60.0, 0)
    assert found.cost <= 60.0 + 1e-9
    assert found.cost == pytest.approx(15.0 if name == "all_judge" else 60.0, abs=1.0)
    assert 0.4 < found.accuracy <= 1.0
    assert found.tested == 100
    if name == "all_human":
        assert (found.people, found.human_share, found.judge_error) == (60, 1.0, None)
    if name == "all_judge":
        assert (found.people, found.human_share) == (0, 0.0)
        assert 0.2 < found.judge_error < 0.5


def test_the_same_seed_gives_the_same_run():
    assert play(WORLD, SMALL, "learned", 60.0, 0) == play(WORLD, SMALL, "learned", 60.0, 0)


def session(policy="learned", *, budget=100.0, rounds=4, train=400, config=None):
    plan = Plan(pool=train, rounds=rounds, config=config or {})
    return Session(WORLD, plan, policy, budget=budget, seed=0, train=np.arange(train))


def heard(some):
    return ~np.isnan(some.signs.probability)


def test_an_arm_knows_only_what_it_paid_for():
    some = session(budget=60.0)
    assert not heard(some).any()
    some.spend()
    people = len(some.asked) + len(some.twice)
    assert people + 0.05 * heard(some).sum() == pytest.approx(some.cost)
    assert some.cost == pytest.approx(60.0, abs=1.0)
    labels = some._labels()
    assert labels.human.sum() == people
    assert heard(some)[labels.question[~labels.human]].all()
    clear = ~some.signs.inconsistent
    assert clear[labels.question[~labels.human]].all()
    assert set(some.twice) <= set(np.flatnonzero(some.audit))
    assert len(set(some.asked)) == len(some.asked)


def test_a_pilot_comes_first_and_is_a_part_of_a_small_budget():
    for budget, more, size in [(100.0, {}, 50), (400.0, {}, 100), (40.0, {}, 30), (9.0, {}, 8)]:
        some = session(budget=budget, **more)
        some._pilot()
        assert heard(some).sum() == len(some.asked) == some.audit.sum() == size
        assert some.cost == pytest.approx(1.05 * size + len(some.twice))
        assert some.cost <= budget
    short = session(config={"learned": {"pilot": 10}})
    short._pilot()
    assert short.audit.sum() == 10


def test_who_answers_alone_has_no_pilot(monkeypatch):
    monkeypatch.setattr(Session, "_pilot", None)
    for name in ("all_human", "all_judge"):
        session(name).spend()


def test_rounds_begin_small_and_spend_everything():
    left, spent = 1.0, []
    for share in Plan(rounds=4).shares:
        spent.append(left * share)
        left -= spent[-1]
    np.testing.assert_allclose(spent, [0.1, 0.2, 0.3, 0.4])
    assert left == pytest.approx(0.0)


def finding(monkeypatch, *told):
    """What the evidence says after the pilot and each round; at last it stays."""
    queue = list(told)

    def find(*given, **more):
        return queue.pop(0) if len(queue) > 1 else queue[0], None

    monkeypatch.setattr(session_module, "find", find)


def test_a_judge_of_another_taste_is_not_asked_again(monkeypatch):
    """What it is not paid for goes to people."""
    finding(monkeypatch, Deviation(), Deviation(kappa=10.0, gain=9.0, doubt=0.9))
    some = session("random_mix")
    some.spend()
    assert heard(some).sum() == 50 + 35  # the pilot, and a tenth of the others in the first round
    assert some.cost == pytest.approx(100.0, abs=1.0)
    assert len(some.asked) + len(some.twice) == pytest.approx(100 - 0.05 * 85, abs=1)


def test_a_doubtful_judge_stays_under_watch_and_may_come_back(monkeypatch):
    doubt = Deviation(kappa=3.0, gain=0.5, doubt=0.5)
    finding(monkeypatch, doubt)
    some = session()
    some.spend()
    assert 50 < heard(some).sum() < 60  # of what people answer, a little is audited with it
    assert (heard(some) == some.audit).all()
    finding(monkeypatch, doubt, doubt, Deviation(doubt=0.3))
    back = session()
    back.spend()
    assert heard(back).sum() > 200


def test_a_judge_that_tells_less_for_its_price_is_not_asked(monkeypatch):
    finding(monkeypatch, Deviation())
    monkeypatch.setattr(session_module, "worth_asking", lambda *given, **more: False)
    some = session()
    some.spend()
    assert heard(some).sum() < 60
    assert (heard(some) == some.audit).all()


def test_second_answers_are_other_peoples():
    session = Session(WORLD, SMALL, "learned", budget=60.0, seed=1, train=np.arange(400))
    answers = WORLD.world.answers
    for place in range(20):
        pair = session.pool[place]
        both = answers.outcome[answers.start[pair] : answers.start[pair + 1]]
        assert sorted(both) == sorted([session.first[place], session.second[place]])


def test_a_weak_spot_makes_the_judge_worse_and_fusion_better():
    world = planted(2, 1, pairs=1200)
    plan = Plan(pool=900, rounds=2)
    names = ("all_human", "all_judge", "random_mix")
    people, judge, both = (play(world, plan, name, 300.0, 0).accuracy for name in names)
    assert judge < people < both


def test_overwriting_is_not_fusion():
    plan = replace(SMALL, learning="overwrite")
    kept = play(WORLD, plan, "random_mix", 60.0, 0)
    assert kept.source == "as it is"
    assert kept.accuracy != play(WORLD, SMALL, "random_mix", 60.0, 0).accuracy


def test_the_planted_judge_errs_where_it_was_told_to():
    world = planted(2, 3, pairs=4000)
    wrong = world.signs.outcome != world.gold
    clear = ~world.signs.inconsistent
    by_tag = [wrong[clear & (world.signs.tags[:, t] == 1)].mean() for t in range(6)]
    assert min(by_tag[:2]) > 0.7 > 0.35 > max(by_tag[2:])
    assert 0.01 < world.signs.inconsistent.mean() < 0.3
    answers = world.world.answers.outcome.reshape(-1, 2)
    assert 0.14 < (answers != world.gold[:, None]).mean() < 0.22


def test_a_file_of_people_and_judges(tmp_path):
    rows = [
        line("a", [0, 0, 1, *judged(one=0, two=0)], subset="s"),
        line("b", [0, 1, *judged(one=1, two=0)], subset="t"),
        line("c", ["tie", 1, *judged(one="tie")], subset="s"),
        line("d", [0]),
    ]
    path = write(tmp_path / "f.jsonl", rows)
    encoding = Encoding("hashed")
    world = read(path, judges=[], encoding=encoding, progress=lambda said: None)
    np.testing.assert_allclose(world.signs.probability[:3], [2.5 / 3, 0.5, 0.5])
    assert np.isnan(world.signs.probability[3])
    assert world.gold.tolist() == [1, 0, 0, 1]
    assert world.tags == ("s", "t")
    assert world.signs.tags.tolist() == [[1, 0], [0, 1], [1, 0], [0, 0]]
    assert world.calls == 2
    alone = read(path, judges=["two"], encoding=encoding, progress=lambda said: None)
    np.testing.assert_allclose(alone.signs.probability, [0.75, 0.75, np.nan, np.nan])
    with pytest.raises(NotEnoughData, match=r"judge 'three'; there are one, two"):
        read(path, judges=["three"], encoding=encoding, progress=lambda said: None)


def test_a_file_without_judges_is_refused(tmp_path):
    path = write(tmp_path / "f.jsonl", [line("a", [0])])
    with pytest.raises(NotEnoughData, match="no judge"):
        read(path, judges=[], encoding=Encoding("hashed"), progress=lambda said: None)


def some(policy, seed, accuracy, *, budget=10.0, **more):
    values = {
        "file": "f", "policy": policy, "budget": budget, "seed": seed, "accuracy": accuracy,
        "log_loss": 0.5, "cost": budget, "human_share": 0.3, "people": 3, "audited": 1,
        "source": "both", "judge_error": 0.2, "tested": 9,
    }  # fmt: skip
    return Run(**{**values, **more})


def test_summaries_by_hand():
    runs = []
    for seed in range(4):
        for budget in (10.0, 100.0):
            runs += [
                some("all_human", seed, 0.7 + 0.01 * seed, budget=budget, judge_error=None),
                some("all_judge", seed, 0.6, budget=budget),
                some("learned", seed, 0.75 + 0.01 * seed if budget > 50 else 0.65, budget=budget,
                     source="people" if seed == 0 else "both"),
            ]  # fmt: skip
    cells, areas = summarise(runs)
    at = {(cell.policy, cell.budget): cell for cell in cells}
    good, bad = at["learned", 100.0], at["learned", 10.0]
    assert good.better_pure == "all_human"
    assert good.delta_best_pure == pytest.approx(0.05)
    assert (good.ci_low, good.ci_high) == pytest.approx((0.05, 0.05))  # the same at every seed
    assert bad.delta_best_pure == pytest.approx(0.65 - 0.715)
    assert bad.ci_low < bad.delta_best_pure < bad.ci_high
    assert (good.seeds, good.fell_back, good.judge_error) == (4, 1, pytest.approx(0.2))
    assert at["all_human", 10.0].judge_error is None
    of = {one.policy: one for one in areas}["learned"]
    assert of.mean_delta == pytest.approx((0.05 - 0.065) / 2)
    assert (of.better, of.worst) == (1, pytest.approx(-0.065))
    shown = table(cells)
    assert "f, 4 seeds" in shown
    assert "79.0%" not in shown
    assert "76.5% +5.0 [+5.0, +5.0]" in shown


def test_the_better_pure_source_is_chosen_by_its_mean_and_not_by_seed():
    """Two coins are not beaten by the best of both: that would be hindsight."""
    runs = []
    for seed in range(4):
        runs += [
            some("all_human", seed, 0.9 if seed % 2 else 0.5),
            some("all_judge", seed, 0.5 if seed % 2 else 0.88),
            some("learned", seed, 0.7),
        ]
    cell = {c.policy: c for c in summarise(runs)[0]}["learned"]
    assert cell.delta_best_pure == pytest.approx(0.0)
    assert summarise(runs[:3])[0][0].ci_low is None


def route(out, *more, policies="random_mix", budgets="30,60"):
    given = ["route", "--policies", policies, "--budgets", budgets, "--out", str(out)]
    return main([*given, "--seeds", "2", "--rounds", "2", "--pool", "80", *more])


def test_a_command_from_file_to_results_and_table(tmp_path, capsys):
    file, out = annotated(tmp_path / "both.jsonl"), tmp_path / "routes.json"
    assert route(out, str(file), "--encoder", "hashed", "--pca", "8") == 0
    made = json.loads(out.read_text())
    wanted = {"accuracy", "cost", "human_share", "delta_best_pure", "ci_low", "ci_high"}
    assert all(wanted <= cell.keys() for cell in made["summary"])
    assert {(c["policy"], c["budget"]) for c in made["summary"]} == {
        (name, budget) for name in ("all_human", "all_judge", "random_mix") for budget in (30, 60)
    }
    assert len(made["runs"]) == 12
    assert {one["policy"] for one in made["areas"]} == {"all_human", "all_judge", "random_mix"}
    assert made["failed"] == []
    assert made["settings"]["learning"] == "both"
    told = capsys.readouterr()
    assert "both, 2 seeds" in told.out
    assert "12 of 12 runs" in told.err


def test_planted_worlds_need_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "planted", lambda weak, seed: planted(weak, seed, pairs=200))
    out = tmp_path / "routes.json"
    config = json.dumps({"learned:bold": {"floor": 1.0, "pilot": 10}})
    assert route(out, "--simulate", "0,1", "--config", config, policies="learned:bold") == 0
    made = json.loads(out.read_text())
    assert {cell["file"] for cell in made["summary"]} == {
        "planted, 0 weak tags", "planted, 1 weak tags"
    }  # fmt: skip
    assert made["settings"]["policies"] == ["all_human", "all_judge", "learned:bold"]


def test_a_failed_run_is_told_and_in_the_exit_status(tmp_path, monkeypatch, capsys):
    def breaks(world, plan, label, budget, seed):
        if label == "random_mix" and seed == 1:
            raise RuntimeError("broken")
        return some(label, seed, 0.5, budget=budget)

    monkeypatch.setattr(command, "planted", lambda weak, seed: WORLD)
    monkeypatch.setattr(command, "play", breaks)
    out = tmp_path / "routes.json"
    assert route(out, "--simulate", "1") == 1
    made = json.loads(out.read_text())
    assert {one["error"] for one in made["failed"]} == {"RuntimeError: broken"}
    assert {c["policy"]: c["seeds"] for c in made["summary"]}["random_mix"] == 1
    assert "FAILED: random_mix" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--policies", "psychic"], "unknown policy 'psychic'"),
        (["--config", '{"random_mix": {"audit": 1}}'], "no option 'audit'"),
        (["--config", '{"learned": {}}'], "'learned', which is not replayed"),
        (["--config", "[1]"], "object of objects"),
        (["--budgets", "ten"], "--budgets must be numbers"),
        (["--budgets", "0"], "--budgets must be positive"),
        (["--seeds", "0"], "--seeds"),
        (["--rounds", "0"], "rounds must be at least 1"),
        (["--simulate", "9"], "from 0 to 6"),
        (["--out", "nowhere/r.json"], "no folder nowhere"),
        ([], "nothing to replay"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(tmp_path, capsys, given, said):
    assert route(tmp_path / "r.json", *given) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


def test_all_policies_and_a_variant_of_one():
    found = command.read_policies("all,learned:bold", {"learned:bold": {"floor": 1}})
    assert found == [*POLICIES, "learned:bold"]
    with pytest.raises(ConfigError, match="floor"):
        command.read_policies("learned", {"learned": {"floor": 2}})


def test_the_gain_model_sends_people_where_a_planted_judge_is_wrong():
    found = gains(planted(2, 3, pairs=900), SMALL, 0, mixes=40)
    assert (found.usable, found.questions) == (True, pytest.approx(720, abs=20))
    assert [one.answers for one in found.bought] == [round(s * found.questions) for s in SHARES]
    assert min(one.gain_low for one in found.tags[:2]) > 0.4
    assert max(one.gain for one in found.tags[2:]) < 0.2
    half = found.bought[-1]
    assert half.log_loss < half.lot_log_loss - 0.05
    assert half.predicted == pytest.approx(half.log_loss, abs=0.15)
    shown = told([found, found])
    assert "planted, 2 weak tags, 2 seeds: gain model, rank correlation" in shown
    assert shown.count("±") == len(SHARES)


def test_gains_are_told_with_the_command(tmp_path, capsys, monkeypatch):
    file, out = annotated(tmp_path / "both.jsonl"), tmp_path / "routes.json"
    assert route(out, str(file), "--encoder", "hashed", "--pca", "8", "--gains") == 0
    made = json.loads(out.read_text())
    assert [one["seed"] for one in made["gains"]] == [0, 1]
    by_tag = sorted(one["gain"] for one in made["gains"][0]["tags"])
    assert by_tag[0] == 0.0  # the judge is wrong in one subset and never in the other
    assert by_tag[1] > 0.9
    assert "both, 2 seeds: gain model" in capsys.readouterr().out

    def broken(*given, **more):
        raise NotEnoughData("nothing that both have answered")

    monkeypatch.setattr(command, "gains", broken)
    assert route(out, str(file), "--encoder", "hashed", "--pca", "8", "--gains") == 1
    assert len(json.loads(out.read_text())["failed"]) == 2
