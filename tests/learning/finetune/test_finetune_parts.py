"""Work on a large file that is stopped goes on, is what it would have been, and leaves nothing."""

import fcntl
import json

import pytest

from learning.errors import BadFile, ConfigError
from learning.finetune import score_parts
from learning.finetune.score_parts import DONE, write


def items(count):
    return "".join(
        json.dumps({"id": str(n), "prompt": f"Question {n}?", "responses": [{"text": "x" * n}]})
        + "\n"
        for n in range(count)
    )


class Worker:
    """Computes how long the responses are; stops when it was asked so often."""

    def __init__(self, stop_at=None):
        self.parts, self.stop_at = [], stop_at

    def __call__(self, part):
        if len(self.parts) == self.stop_at:
            raise KeyboardInterrupt
        self.parts.append(len(part))
        return [len(item.responses[0]) + 0.1 for item in part]


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(score_parts, "AT_ONCE", 4)
    path = tmp_path / "items.jsonl"
    path.write_text(items(18))
    return path


def run(file, worker, **bound):
    return write(
        file, out_of(file), {"model": "m", **bound}, worker, lambda row, n: {**row, "n": n}
    )


def out_of(file):
    return file.with_name("out.jsonl")


def parts_of(file):
    return file.with_name("out.jsonl.parts")


def stopped(file, at=2, **bound):
    with pytest.raises(KeyboardInterrupt):
        run(file, Worker(stop_at=at), **bound)
    assert not out_of(file).exists()
    assert [path.name for path in parts_of(file).iterdir()] == [DONE]


def lengths(file):
    return [json.loads(line)["n"] for line in out_of(file).read_text().splitlines()]


WANTED = [n + 0.1 for n in range(18)]


def test_nothing_is_left_beside_what_is_whole(file):
    worker = Worker()
    assert run(file, worker) == 18
    assert worker.parts == [4, 4, 4, 4, 2]
    assert lengths(file) == WANTED
    assert not parts_of(file).exists()


def test_what_was_computed_is_not_computed_again(file, capsys):
    stopped(file)
    worker = Worker()
    run(file, worker)
    assert worker.parts == [4, 4, 2]
    assert lengths(file) == WANTED
    assert "8 items are done already" in capsys.readouterr().err
    assert not parts_of(file).exists()


def test_a_stop_may_come_twice(file):
    stopped(file)
    stopped(file, at=1)
    worker = Worker()
    run(file, worker)
    assert worker.parts == [4, 2]
    assert lengths(file) == WANTED


@pytest.mark.parametrize(
    "cut", [b"[0.1, 1.1, 2.1", b"\0\0\0\0\n[1]\n", b"[4.1, 5.1]"], ids=["torn", "zeros", "no end"]
)
def test_a_part_that_was_cut_off_is_computed_again(file, cut):
    stopped(file)
    with (parts_of(file) / DONE).open("ab") as kept:
        kept.write(cut)
    worker = Worker()
    run(file, worker)
    assert worker.parts == [4, 4, 2]
    assert lengths(file) == WANTED


def test_a_head_that_was_cut_off_begins_anew(file):
    stopped(file)
    (parts_of(file) / DONE).write_bytes(b'{"model": "m"')
    worker = Worker()
    run(file, worker)
    assert worker.parts == [4, 4, 4, 4, 2]
    assert lengths(file) == WANTED


def test_what_is_bound_to_another_model_is_not_used(file, capsys):
    stopped(file)
    worker = Worker()
    run(file, worker, model="other")
    assert worker.parts == [4, 4, 4, 4, 2]
    assert "begun anew" in capsys.readouterr().err


def test_what_is_bound_to_another_file_is_not_used(file):
    stopped(file)
    file.write_text(file.read_text().replace("Question 1?", "Question 2?"))
    worker = Worker()
    run(file, worker)
    assert worker.parts == [4, 4, 4, 4, 2]


def test_a_bad_line_is_named_before_anything_is_computed(file):
    file.write_text(file.read_text() + '{"prompt": 3}\n')
    worker = Worker()
    with pytest.raises(BadFile, match="line 19, responses"):
        run(file, worker)
    assert worker.parts == []
    assert not parts_of(file).exists()


def test_work_that_failed_at_once_leaves_nothing(file):
    with pytest.raises(KeyboardInterrupt):
        run(file, Worker(stop_at=0))
    assert not parts_of(file).exists()


def test_two_runs_do_not_write_one_file(file):
    stopped(file)
    with (parts_of(file) / DONE).open("rb") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another run is writing"):
            run(file, Worker())
    assert run(file, Worker()) == 18


def test_a_folder_that_is_not_there_is_named(file):
    with pytest.raises(ConfigError, match=r"absent/out\.jsonl cannot be written: No such file"):
        write(file, file.parent / "absent" / "out.jsonl", {}, Worker(), lambda row, _: row)


def test_a_full_disk_is_named_and_what_was_done_is_kept(file, monkeypatch):
    appended = []

    def full(stream, text):
        if len(appended) == 2:
            raise OSError(28, "No space left on device")
        appended.append(text)
        append(stream, text)

    append = score_parts._append
    monkeypatch.setattr(score_parts, "_append", full)
    with pytest.raises(ConfigError, match="cannot be written: No space left"):
        run(file, Worker())
    monkeypatch.setattr(score_parts, "_append", append)
    worker = Worker()
    run(file, worker)
    assert worker.parts == [4, 4, 4, 2]
    assert lengths(file) == WANTED


def test_the_file_itself_is_not_written_over(file):
    with pytest.raises(ConfigError, match="another file"):
        write(file, file, {}, Worker(), lambda row, _: row)
