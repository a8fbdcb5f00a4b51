"""The checks before an export, on the answers as an export sees them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from django.core.files.storage import default_storage
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from annotator.exporters import Context, ExportOptions, Question
from annotator.exporters.consensus import AHEAD, BEHIND, LEVEL, Vote, counted, pairs, votes
from annotator.exporters.loading import Loader
from annotator.models import Campaign
from annotator.services.curation import let_go, record_report
from learning import curation as checks
from learning import heads
from learning.curation import Finding
from learning.features import assemble
from learning.line import with_line
from worker import beliefs, fitting, space, store
from worker.grouping import groups
from worker.jobs import PermanentFailure, RunningJob
from worker.space import Space
from worker.store import Ints

OPTIONS: Final = ExportOptions(consensus="majority")
LONGEST: Final = 20_000  # characters of a prompt that are compared with others
STEPS: Final = 9
Floats = NDArray[np.float64]


@dataclass
class Rows:
    """Pairs that people compared, one row each; the response that won is the first.

    Attributes:
        ids: Of the questions, in order.
        asked: The prompt of each question.
        said: Digests of the responses of each question.
        question: Of each row, by its place in ``ids``.
        prompt, first, second: Ids in the database.
        votes: For the first, for the second, level: three a row.
        decided: Whether more than half are for the first.
        strength: Mean signed strength for the first; NaN where nobody compared them.
        models: Who wrote the first and the second, two a row.
        lengths: Characters, two a row.
    """

    ids: list[str] = field(default_factory=list)
    asked: array[int] = field(default_factory=lambda: array("q"))
    said: list[tuple[str, ...]] = field(default_factory=list)
    question: array[int] = field(default_factory=lambda: array("q"))
    prompt: array[int] = field(default_factory=lambda: array("q"))
    first: array[int] = field(default_factory=lambda: array("q"))
    second: array[int] = field(default_factory=lambda: array("q"))
    votes: array[int] = field(default_factory=lambda: array("q"))
    decided: array[int] = field(default_factory=lambda: array("b"))
    strength: array[float] = field(default_factory=lambda: array("d"))
    models: list[str] = field(default_factory=list)
    lengths: array[int] = field(default_factory=lambda: array("q"))

    def add(self, question: Question, context: Context) -> None:
        """Every pair of a question about which somebody said something."""
        self.ids.append(question.id)
        self.asked.append(question.prompt.pk)
        self.said.append(tuple(_digest(text.text) for text in question.responses))
        answers = counted(question, context)
        for left, right, edited in pairs(question, context):
            found = votes(answers, left, right, context, edited=edited)
            said = Counter(vote.side for vote in found)
            if not said[AHEAD] + said[BEHIND] or left.text == right.text:
                continue
            won, lost, for_, against = left, right, said[AHEAD], said[BEHIND]
            if against > for_:
                won, lost, for_, against = right, left, against, for_
            self.question.append(len(self.ids) - 1)
            self.prompt.append(question.prompt.pk)
            self.first.append(won.pk)
            self.second.append(lost.pk)
            self.votes.extend((for_, against, said[LEVEL]))
            self.decided.append(2 * for_ > len(found))
            self.strength.append(_strength(found, AHEAD if won is left else BEHIND))
            self.models += [won.model, lost.model]
            self.lengths.extend((len(won.text), len(lost.text)))

    def tally(self) -> Ints:
        """Votes, shape ``(n, 3)``."""
        return np.array(self.votes, np.int64).reshape(-1, 3)


def _strength(found: list[Vote], side: int) -> float:
    signed = [vote.side * side * vote.strength for vote in found if vote.side is not None]
    return sum(signed) / len(signed) if signed else float("nan")


def _digest(text: str) -> str:
    return hashlib.blake2b(" ".join(text.split()).encode(), digest_size=12).hexdigest()


def run(job: RunningJob) -> None:
    """Make all checks and store what they found."""
    campaign = Campaign.objects.get(pk=job.arguments["campaign"])
    seen = store.count_annotations(campaign)
    job.progress(0, STEPS, "reading the answers")
    rows = gather(campaign)
    made = Checks(job, campaign, rows)
    with threadpool_limits(1):
        findings = made.all()
    with job.fence():
        record_report(
            campaign=campaign,
            questions=len(rows.ids),
            annotations_seen=seen,
            against=str(job.arguments.get("against", "")),
            findings=[stored(one, rows, made.prompts, made.left_out[one.name]) for one in findings],
            left_out=made.left_out,
        )
    let_go(job.arguments)


def gather(campaign: Campaign) -> Rows:
    """What an export with the usual options would hold, as columns."""
    rows, context = Rows(), Context(OPTIONS)
    for question in Loader(campaign, OPTIONS):
        rows.add(question, context)
    return rows


class Checks:
    """The checks of one campaign.

    Attributes:
        prompts: Ids of the prompts that were compared with each other.
        left_out: Questions that leaving out takes, by check.
    """

    def __init__(self, job: RunningJob, campaign: Campaign, rows: Rows) -> None:
        self.job, self.campaign, self.rows = job, campaign, rows
        self.decided = np.flatnonzero(np.array(rows.decided, bool))
        self.prompt = np.array(rows.prompt, np.int64)
        self.group = groups(campaign, self.prompt)
        self.prompts: list[int] = []
        self.left_out: dict[str, list[str]] = {}
        self.step = 0

    def all(self) -> list[Finding]:
        """In the order in which they are shown."""
        found = [self._duplicates(), self._source(), self._length()]
        contradictions = self._contradictions()
        features = self._space()
        found += [self._margin(features), contradictions]
        found.append(self._label_errors(features, contradictions))
        if self.job.arguments.get("file"):
            found.append(self._contamination(str(self.job.arguments["file"])))
        for one in found:
            self.left_out.setdefault(one.name, dropped(one, self.rows))
        return found

    def _say(self, what: str) -> None:
        self.step += 1
        self.job.progress(self.step, STEPS, what)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self.campaign.seed)

    def _of_decided(self, finding: Finding) -> Finding:
        """The same finding about the numbers of all rows."""
        return renumbered(finding, self.decided)

    def _of_questions(self, finding: Finding) -> Finding:
        """A finding about whole questions: examples are their first rows, where they have any."""
        self.left_out[finding.name] = [self.rows.ids[at] for at in finding.drop.tolist()]
        numbers, question = np.arange(len(self.rows.ids)), np.array(self.rows.question, np.int64)
        first = np.searchsorted(question, numbers)
        return renumbered(finding, np.where(np.isin(numbers, question), first, -1))

    def _duplicates(self) -> Finding:
        self._say("comparing prompts")
        with_rows = set(self.rows.asked)
        texts, held = [], []
        listed = self.campaign.prompts.order_by("pk").values_list(
            "pk", "content", "context", "is_holdout"
        )
        for pk, content, context, is_holdout in listed.iterator(chunk_size=2000):
            if pk in with_rows or is_holdout:
                self.prompts.append(pk)
                texts.append(_prompt_text(content, context))
                held.append(is_holdout)
        ids = np.array(self.prompts, np.int64)
        found = checks.duplicates(
            texts,
            np.array(held, bool),
            groups(self.campaign, ids),
            np.searchsorted(ids, np.array(self.rows.asked, np.int64)),
            self.rows.said,
        )
        return self._of_questions(found)

    def _source(self) -> Finding:
        self._say("trying the models' names")
        names = np.array(self.rows.models, object).reshape(-1, 2)[self.decided]
        group = self.group[self.decided]
        return self._of_decided(
            checks.source(names[:, 0].tolist(), names[:, 1].tolist(), group, rng=self._rng())
        )

    def _length(self) -> Finding:
        self._say("comparing lengths")
        size = np.array(self.rows.lengths, np.int64).reshape(-1, 2)[self.decided]
        group = self.group[self.decided]
        return self._of_decided(checks.length(size[:, 0], size[:, 1], group, rng=self._rng()))

    def _contradictions(self) -> Finding:
        self._say("looking for contradictions")
        sides = np.stack([self.rows.first, self.rows.second], axis=1).astype(np.int64)
        tally = self.rows.tally()[:, :2]
        return checks.contradictions(sides.reshape(-1, 2), tally, self.group, rng=self._rng())

    def _space(self) -> Space | None:
        """Features, if there is anything to compute them of."""
        self._say("embedding")
        if not len(self.decided):
            return None
        try:
            return space.load(
                self.campaign, progress=lambda done, n: self.job.progress(done, n, "embedding")
            )
        except PermanentFailure:  # nothing left to ask: then there is no model either
            return None

    def _places(self, found: Space, rows: Ints) -> Ints:
        """Rows of the features for the two responses of these rows."""
        first = found.index.rows(np.array(self.rows.first, np.int64)[rows])
        second = found.index.rows(np.array(self.rows.second, np.int64)[rows])
        return np.stack([first, second], axis=1)

    def _margin(self, found: Space | None) -> Finding:
        self._say("looking at margins")
        n = len(self.decided)
        margins, score = np.full(n, np.nan), None
        if found is not None:
            margins, score = self._rewards(found)
        strength = np.array(self.rows.strength, np.float64)[self.decided]
        return self._of_decided(checks.margin(margins, strength, score))

    def _rewards(self, found: Space) -> tuple[Floats, Floats | None]:
        """Margin of every decided row by the newest model, and whether the chosen one is good
        enough, where the model knows of that."""
        margins, score = np.full(len(self.decided), np.nan), None
        newest = self.campaign.model_versions.filter(kind="all", encoder_key=found.encoder_key)
        version = newest.order_by("-round__number").first()
        loaded = beliefs.load(version, ids=found.index.ids) if version is not None else None
        if loaded is None:
            return margins, score
        belief, scaling = loaded
        if len(scaling.mean) != found.width or belief.width not in (found.width, found.width + 1):
            return margins, score
        phi: NDArray[Any] = assemble(found.embedded, found.index.surface, scaling)
        phi = with_line(phi) if belief.width > found.width else phi
        places = self._places(found, self.decided)
        known = (places >= 0).all(axis=1)
        mu, _ = belief.margin(phi, places[known])
        margins[known] = mu
        if belief.width > found.width:
            line = np.full(int(known.sum()), len(found.index.ids), np.int64)
            score = np.full(len(margins), np.nan)
            good = belief.margin(phi, np.stack([places[known, 0], line], axis=1))
            score[known] = belief.preference(*good)
        return margins, score

    def _label_errors(self, found: Space | None, contradictions: Finding) -> Finding:
        self._say("looking for choices that look wrong")
        given = np.full(len(self.decided), 0.5)
        if found is not None:
            places = self._places(found, self.decided)
            known = (places >= 0).all(axis=1) & (places[:, 0] != places[:, 1])
            given[known] = checks.winner_probabilities(
                found.phi,
                places[known],
                self.group[self.decided][known],
                head=heads.get(fitting.head_name(self.campaign, found)),
                rng=self._rng(),
                recurring=heads.recurring(found.trainable),
            )
        agreement = contradictions.figures["agreement"]["value"]
        return self._of_decided(
            checks.label_errors(
                given,
                self.rows.tally()[self.decided, :2],
                self.group[self.decided],
                agreement=float("nan") if agreement is None else agreement,
                rng=self._rng(),
            )
        )

    def _contamination(self, stored_as: str) -> Finding:
        self._say("comparing with the file")
        suffix = ".gz" if stored_as.endswith(".gz") else ""
        name = str(self.job.arguments.get("against", "file"))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / (name if name.endswith(suffix) else f"{name}{suffix}")
            with default_storage.open(stored_as) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
            found = checks.contamination(self._texts(), checks.read_documents(path))
        return self._of_questions(found)

    def _texts(self) -> Iterator[str]:
        """Everything that a question holds, in the order of `rows.ids`."""
        ids = iter(self.rows.ids)
        wanted = next(ids, None)
        for question in Loader(self.campaign, OPTIONS):
            if question.id == wanted:  # answers that came meanwhile are none of this report
                own = [*(question.prompts or {0: question.prompt}).values()]
                texts = [_prompt_text(prompt.content, prompt.context, None) for prompt in own]
                yield "\n".join([*texts, *(text.text for text in question.responses)])
                wanted = next(ids, None)


def _prompt_text(content: Any, context: str, most: int | None = LONGEST) -> str:
    turns = content if isinstance(content, list) else [{"content": content}]
    said = "\n".join(str(turn.get("content", "")) for turn in turns)
    return f"{said}\n{context}"[:most]


def renumbered(finding: Finding, numbers: Ints) -> Finding:
    """The same finding with other numbers of its rows; those of no row (-1) are left out."""
    examples = tuple(
        checks.Example(int(numbers[one.row]), one.score, one.note, one.other)
        for one in finding.examples
        if numbers[one.row] >= 0
    )
    drop = numbers[finding.drop]
    return Finding(
        name=finding.name,
        rows=finding.rows,
        of=finding.of,
        sentence=finding.sentence,
        examples=examples,
        drop=drop[drop >= 0],
        figures=finding.figures,
    )


def dropped(finding: Finding, rows: Rows) -> list[str]:
    """Questions that leaving out takes: those of which more than half of the rows go."""
    question = np.array(rows.question, np.int64)
    gone = np.bincount(question[finding.drop], minlength=len(rows.ids))
    size = np.bincount(question, minlength=len(rows.ids))
    return [rows.ids[at] for at in np.flatnonzero(2 * gone > size).tolist()]


def stored(finding: Finding, rows: Rows, prompts: list[int], left_out: list[str]) -> dict[str, Any]:
    """A finding ready for JSON; texts are looked up when it is shown."""
    tally = rows.tally()
    return {
        "name": finding.name,
        "rows": finding.rows,
        "of": finding.of,
        "sentence": finding.sentence,
        "figures": finding.figures,
        "leaves_out": len(left_out),
        "examples": [
            {
                "question": rows.ids[rows.question[one.row]],
                "prompt": rows.prompt[one.row],
                "chosen": rows.first[one.row],
                "rejected": rows.second[one.row],
                "votes": tally[one.row].tolist(),
                "score": one.score,
                "note": one.note,
                "other": prompts[one.other] if one.other >= 0 else None,
            }
            for one in finding.examples
        ],
    }
