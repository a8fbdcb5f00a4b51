"""What leaves the system: rows of each format, with the provenance of every row beside it.

Defaults: standing answers of people (not skipped, flagged, taken back, or beyond the overlap);
holdout prompts stay here unless asked for, and so do checks of people: practice, tests, gold and
repeats. What formats do is in `annotator.exporters`.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.db import connection
from django.db.models import CharField, Count, F, Func, Max

from annotator.errors import InvalidInput
from annotator.exporters import FORMATS, SELECTION, Context, ExportOptions, Format, Question
from annotator.exporters.consensus import counted, marks, pairs, votes
from annotator.exporters.loading import Loader
from annotator.exporters.options import AUTO
from annotator.exporters.quick import dumps
from annotator.exporters.reliability import Answers
from annotator.models import Annotation, Campaign, CurationReport, Item, QueryResponse
from annotator.services.curation import checked_names, excluded_ids, newest_report
from annotator.services.imports import draw_lot
from annotator.services.pictures import Known

__all__ = ["FORMATS", "Export", "ExportOptions", "prepare", "rows"]

Row = dict[str, Any]
TRAIN, TEST = "train", "test"
USUAL = ExportOptions()


def rows(
    *, campaign: Campaign, format_name: str, options: ExportOptions = USUAL
) -> Iterator[tuple[Row, Row]]:
    """Yield (row, provenance) in a stable order; memory of one batch at a time.

    Raises:
        InvalidInput: the format is not known, or cannot heed an option.
    """
    export = prepare(campaign=campaign, format_name=format_name, options=options)
    for _, row, about in export.rows():
        yield row, about


@dataclass
class Export:
    """One export about to be written.

    Attributes:
        context: What the format has to know; it also counts what gave no row.
        report: What the checks found of which rows are left out, if any.
        excluded: The questions that this takes.
    """

    campaign: Campaign
    format: Format
    context: Context
    report: CurationReport | None = None
    excluded: frozenset[str] = frozenset()

    @property
    def options(self) -> ExportOptions:
        """With the format's own consensus in place of `auto`."""
        return self.context.options

    @property
    def splits(self) -> tuple[str, ...]:
        """The files that rows go to; one without a name where there is no split."""
        return (TRAIN, TEST) if self.options.test_share else ("",)

    def rows(
        self, seen: Callable[[Question], None] = lambda question: None
    ) -> Iterator[tuple[Question, Row, Row]]:
        """Yield question, row and provenance; every question is shown to `seen`, also without."""
        once = _Once() if self.options.duplicates == "first" else None
        tree = _group_tree(self.campaign) if self.options.test_share else None
        make, context, pictures = self.format.make, self.context, Known(self.campaign)
        for question in Loader(self.campaign, self.options, tree=tree):
            if question.id in self.excluded:
                context.left_out["questions that a check found"] += 1
                continue
            if tree is not None and not self._put(question):
                continue
            seen(question)
            about = None
            for row, own in make(question, context):
                if once is not None and not once.first(dumps(row)):
                    context.left_out["duplicates"] += 1
                    continue
                if about is None:
                    about = provenance(question) | _pictures(question, pictures)
                yield question, row, about | own

    def _put(self, question: Question) -> bool:
        """Say which split a question is in; False where it would be in both."""
        found = {
            self._split(prompt.is_holdout, question.groups[pk])
            for pk, prompt in (question.prompts or {question.prompt.pk: question.prompt}).items()
        }
        if len(found) > 1:
            self.context.left_out["pairs across prompts that the split tears apart"] += 1
            return False
        question.split = found.pop()
        return True

    def _split(self, is_holdout: bool, group: str) -> str:
        """By group alone, so that it is the same in every export; the holdout is never in train."""
        lot = draw_lot(seed=self.campaign.seed, prompt_digest=f"split:{group}")
        return TEST if is_holdout or lot < self.options.test_share else TRAIN


def prepare(*, campaign: Campaign, format_name: str, options: ExportOptions) -> Export:
    """Check what is wanted, and find out what the format has to know before the first row.

    Raises:
        InvalidInput: the format is not known, or cannot heed an option.
    """
    kind = checked_format(format_name, options)
    if options.consensus == AUTO:
        options = replace(options, consensus=kind.consensus)
    context = Context(options, chat=_has_chats(campaign))
    if "aspects" in kind.needs:
        context.aspects = _aspects(campaign)
    if "most" in kind.needs:
        context.most = _most(campaign)
    if options.consensus == "reliability":
        context.skill = _skill(campaign, context, by_itself=kind.name == "trl-unpaired")
    if not (names := left_out_names(options)):
        return Export(campaign, kind, context)
    report = newest_report(campaign)
    return Export(campaign, kind, context, report, frozenset(excluded_ids(report, names)))


def estimate(*, campaign: Campaign, options: ExportOptions) -> int:
    """About how many questions there will be, for progress."""
    return Loader(campaign, options).estimate()


def checked_format(name: str, options: ExportOptions) -> Format:
    """The format, if it is known and heeds everything that was chosen.

    Raises:
        InvalidInput: it is not, or does not, or a check is not known.
    """
    if name not in FORMATS:
        raise InvalidInput(f"format {name!r} is not known; expected one of {', '.join(FORMATS)}")
    kind = FORMATS[name]
    vain = sorted(set(options.changed()) - SELECTION - kind.heeds)
    if vain:
        raise InvalidInput(f"{name} does not heed {', '.join(vain)}: leave that at its default")
    left_out_names(options)
    return kind


def left_out_names(options: ExportOptions) -> list[str]:
    """The checks whose rows stay out.

    Raises:
        InvalidInput: there is no check of that name.
    """
    return checked_names(name.strip() for name in options.leave_out.split(",") if name.strip())


def _has_chats(campaign: Campaign) -> bool:
    kind = Func(F("content"), function="jsonb_typeof", output_field=CharField())
    return campaign.prompts.annotate(kind=kind).filter(kind="array").exists()


def _aspects(campaign: Campaign) -> tuple[str, ...]:
    """What was rated, here or before an import."""
    table = Annotation._meta.db_table
    found: set[str] = set()
    for where in ("details->'rate'->'ratings'", "extra->'ratings'"):
        query = (
            f"SELECT DISTINCT jsonb_object_keys({where}) FROM {table} "  # noqa: S608 - our words
            f"WHERE campaign_id = %s AND jsonb_typeof({where}) = 'object'"
        )
        with connection.cursor() as cursor:
            cursor.execute(query, [campaign.pk])
            found |= {name for (name,) in cursor.fetchall()}
    return tuple(sorted(found - {"acceptable"}))


def _most(campaign: Campaign) -> int:
    """Responses of the largest question."""
    sizes = (
        QueryResponse.objects.filter(query__campaign=campaign)
        .order_by()
        .values("query_id")
        .annotate(n=Count("pk"))
    )
    return max(sizes.aggregate(most=Max("n"))["most"] or 2, 1)


def _skill(campaign: Campaign, context: Context, *, by_itself: bool) -> dict[int, float]:
    """How reliable everybody is, by what they say about the same pairs or the same responses."""
    answers = Answers()
    for question in Loader(campaign, context.options, bare=True):
        if len(question.answers) < 2:
            continue
        said = counted(question, context)
        if by_itself:
            good = [(one, weight, marks(one, context)) for one, weight in said]
            for pk in question.ids:
                answers.add(
                    [(o.annotator_id, 1 if g[pk] else -1, w) for o, w, g in good if pk in g]
                )
            continue
        for left, right, edited in pairs(question, context):
            found = votes(said, left, right, context, edited=edited)
            answers.add(
                [(v.said.annotator_id, v.side, v.weight) for v in found if v.side is not None]
            )
    return answers.skill()


def _group_tree(campaign: Campaign) -> Callable[[str], str]:
    """The root of a group: groups that share a prompt are one."""
    shared = (
        Item.objects.filter(campaign=campaign)
        .exclude(group="")
        .order_by()
        .values("prompt_id")
        .annotate(n=Count("group", distinct=True))
        .filter(n__gt=1)
        .values("prompt_id")
    )
    above: dict[str, str] = {}

    def root(name: str) -> str:
        while name in above:
            name = above[name]
        return name

    first: dict[int, str] = {}
    rows = Item.objects.filter(campaign=campaign, prompt_id__in=shared).exclude(group="")
    for prompt, group in rows.order_by("prompt_id", "group").values_list("prompt_id", "group"):
        one, other = root(first.setdefault(prompt, group)), root(group)
        if one != other:
            above[max(one, other)] = min(one, other)
    return root


class _Once:
    """Which rows came already: eight bytes a row in an open table, which may take one for another
    once in about 10^13 rows."""

    def __init__(self) -> None:
        self.table, self.used = array("Q", bytes(8 * 1024)), 0

    def first(self, row: bytes) -> bool:
        """Whether this row is new; it is known from now on."""
        key = int.from_bytes(hashlib.blake2b(row, digest_size=8).digest(), "big") or 1
        if not self._put(self.table, key):
            return False
        self.used += 1
        if 2 * self.used > len(self.table):
            larger = array("Q", bytes(16 * len(self.table)))
            for known in self.table:
                if known:
                    self._put(larger, known)
            self.table = larger
        return True

    @staticmethod
    def _put(table: array[int], key: int) -> bool:
        last = len(table) - 1
        place = key & last
        while table[place]:
            if table[place] == key:
                return False
            place = (place + 1) & last
        table[place] = key
        return True


def _pictures(question: Question, known: Any) -> Row:
    """Checksums of the pictures that a question shows; most show none, and cost nothing."""
    prompt = question.prompt
    content = prompt.content if isinstance(prompt.content, str) else str(prompt.content)
    texts = [*question.responses, *question.edits]
    for text in (content, prompt.context, *[one.text for one in texts]):
        if "picture:" in text:
            found: Row = known.shown(prompt, texts)
            return found
    return {}


def provenance(question: Question) -> Row:
    """Where the rows of a question come from."""
    return {
        "id": question.id,
        "prompt_digest": question.prompt.digest,
        "holdout": question.is_holdout,
        **({"split": question.split} if question.split else {}),
        "models": [response.model or None for response in question.responses],
        "queries": [
            {
                "query": query.pk,
                "round": query.round,
                "arm": query.arm,
                "acquisition": query.acquisition or None,
                "score": query.score,
                "propensity": query.propensity,
                "model_version": query.model_round,
            }
            for query in question.queries
        ],
        "annotations": [
            {
                "annotation": said.pk,
                "query": said.query_id,
                "annotator": said.annotator,
                "kind": said.kind,
                "outcome": said.outcome,
                "strength": said.strength,
                "display_order": said.display_order,
                "guidelines_version": said.guidelines_version,
                "late": said.late,
                "recorded_at": said.recorded_at,
            }
            for said in question.answers
        ],
    }
