"""Questions with their answers out of the database, a batch at a time: plain tuples, no models.

A thread of its own reads one batch ahead. One cursor on the server goes through the queries;
members and answers come with each as one value. Prompts, texts and items of a batch take three more
queries. The size of a batch follows the length of its texts, so that memory stays bounded.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections

from annotator.models import Campaign
from annotator.querysets import TESTS

from .ahead import ahead
from .base import NOTHING, Asked, Item, Prompt, Question, Said, Text
from .options import ExportOptions
from .quick import loads

KNOWN = ("gold", *TESTS)  # arms whose answer was known
FEWEST, MOST = 50, 1000  # queries in a batch
CHARACTERS = 4_000_000  # of text in a batch, about
EXTRA = 10  # where an answer's `extra` is in what `QUERIES` brings
Names = dict[int, tuple[str, str]]
Tree = Callable[[str], str]

QUERIES = """
SELECT q.id, q.item_id, q.prompt_id, r.number, q.arm, q.acquisition, q.score, q.propensity,
       mr.number, ARRAY(SELECT response_id FROM annotator_queryresponse m WHERE m.query_id = q.id),
       (SELECT json_agg(json_build_array(
            a.id, a.query_id, a.annotator_id, a.via, a.outcome, a.tiers, a.acceptable, a.strength,
            a.rationale, a.details, a.extra::text, a.late, a.display_order, a.guidelines_version,
            to_char(a.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
            a.active_ms, a.submission_key) ORDER BY a.id)::text
        FROM annotator_annotation a WHERE a.query_id = q.id AND {standing})
FROM annotator_query q
JOIN annotator_prompt p ON p.id = q.prompt_id
LEFT JOIN annotator_round r ON r.id = q.round_id
LEFT JOIN annotator_modelversion v ON v.id = q.model_version_id
LEFT JOIN annotator_round mr ON mr.id = v.round_id
WHERE q.campaign_id = %s {only}
ORDER BY q.item_id NULLS LAST, q.id
"""
COUNT = """
SELECT count(*) FROM annotator_query q JOIN annotator_prompt p ON p.id = q.prompt_id
WHERE q.campaign_id = %s {only}
"""
CURRENT = """a.outcome <> 'undone' AND NOT EXISTS (
    SELECT 1 FROM annotator_annotation later WHERE later.supersedes_id = a.id)"""
COUNTED = """(a.assignment_id IS NULL OR EXISTS (
    SELECT 1 FROM annotator_slot s WHERE s.annotation_id = a.id))"""
JUDGES = "a.outcome IN ('preference', 'tie', 'neither', 'other')"

TEXTS = """
SELECT id, prompt_id, text, model, parent_id, extra::text, digest FROM annotator_response
WHERE id = ANY(%s::bigint[]) OR parent_id = ANY(%s::bigint[]) ORDER BY id
"""
BARE = TEXTS.replace("text, model,", "'', '',")
PROMPTS = """
SELECT id, digest, content::text, context, is_holdout FROM annotator_prompt
WHERE id = ANY(%s::bigint[])
"""
ITEMS = """
SELECT i.id, i.external_id, i.task, i.source, i."group", i.extra::text,
       ARRAY(SELECT response_id FROM annotator_itemresponse p WHERE p.item_id = i.id
             ORDER BY position),
       ARRAY(SELECT position FROM annotator_itemresponse p WHERE p.item_id = i.id ORDER BY position)
FROM annotator_item i WHERE i.id = ANY(%s::bigint[])
"""
GROUPS = """
SELECT prompt_id, min("group") FROM annotator_item
WHERE campaign_id = %s AND "group" <> '' AND prompt_id = ANY(%s::bigint[]) GROUP BY prompt_id
"""


class _Found(NamedTuple):
    """A query that has answers."""

    asked: Asked
    members: list[int]
    answers: list[Said]


class Loader:
    """Reads the questions of one campaign by the options on what is in.

    Attributes:
        bare: Without texts: for what is counted and not written.
        tree: The root of a group of prompts, where a split has to keep groups together.
    """

    def __init__(
        self,
        campaign: Campaign,
        options: ExportOptions,
        *,
        bare: bool = False,
        tree: Tree | None = None,
    ) -> None:
        self.campaign, self.options, self.bare, self.tree = campaign, options, bare, tree
        self.connection = connections[DEFAULT_DB_ALIAS]
        self.names = self._names()
        self.size = 500

    def _names(self) -> Names:
        found = self.campaign.annotators.order_by("pk").values_list("pk", "pseudonym", "kind")
        if self.options.annotators == "numbers":
            return {pk: (f"annotator-{n}", kind) for n, (pk, _, kind) in enumerate(found, start=1)}
        return {pk: (name, kind) for pk, name, kind in found}

    def _only(self) -> tuple[str, list[Any]]:
        """Which queries: a condition and its values."""
        only, values = "", []
        if not self.options.include_holdout:
            only += " AND NOT p.is_holdout"
        out = [] if self.options.include_gold else [*KNOWN]
        out += [] if self.options.include_repeats else ["repeat"]
        if out:
            only, values = f"{only} AND q.arm <> ALL(%s)", [out]
        return only, values

    def _standing(self) -> str:
        """Which answers: as `AnnotationQuerySet.standing`, with what the options add."""
        judged = JUDGES if self.options.include_late else f"({JUDGES} AND {COUNTED})"
        if self.options.include_skips:
            judged = f"({judged} OR a.outcome IN ('skip', 'flag'))"
        return f"{CURRENT} AND {judged}"

    def estimate(self) -> int:
        """How many queries there are, answered or not."""
        only, values = self._only()
        with self.connection.cursor() as cursor:
            cursor.execute(COUNT.format(only=only), [self.campaign.pk, *values])
            number: int = cursor.fetchone()[0]
        return number

    def __iter__(self) -> Iterator[Question]:
        """Items in order, then queries that belong to no item."""
        self.connection.inc_thread_sharing()  # the reader's thread has it for itself
        try:
            for batch in ahead(_Batch(self, found) for found in self._batches()):
                yield from batch.questions()
        finally:
            self.connection.dec_thread_sharing()

    def _batches(self) -> Iterator[list[_Found]]:
        """Queries in batches that never tear an item apart."""
        batch: list[_Found] = []
        for row in self._rows():
            found = self._found(row)
            if found is None:
                continue
            item = found.asked.item_id
            if len(batch) >= self.size and (item is None or item != batch[-1].asked.item_id):
                yield batch
                batch = []
            batch.append(found)
        if batch:
            yield batch

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        only, values = self._only()
        asked = QUERIES.format(standing=self._standing(), only=only)
        with closing(self.connection.chunked_cursor()) as cursor:
            cursor.execute(asked, [self.campaign.pk, *values])
            while rows := cursor.fetchmany(1000):
                yield from rows

    def _found(self, row: tuple[Any, ...]) -> _Found | None:
        answers = row[10]
        if answers is None:
            return None
        names, said = self.names, []
        for one in loads(answers):
            one[EXTRA] = NOTHING if one[EXTRA] == "{}" else json.loads(one[EXTRA])
            one[3:3] = names[one[2]]
            said.append(Said._make(one))
        return _Found(Asked._make(row[:9]), row[9], said)

    def adapt(self, characters: int, queries: int) -> None:
        """Choose the size of the next batch by the length of this one's texts."""
        wanted = int(CHARACTERS * queries / max(characters, 1))
        self.size = min(max(wanted, FEWEST), MOST, 2 * self.size)


def _array(pks: Iterable[int]) -> str:
    """Ids as PostgreSQL writes an array: adapting a list one by one takes longer than the query."""
    return f"{{{','.join(map(str, sorted(pks)))}}}"


class _Batch:
    """What belongs to some queries."""

    def __init__(self, loader: Loader, found: list[_Found]) -> None:
        self.loader, self.found = loader, found
        self.items: dict[int, Item] = {}
        self.places: dict[int, dict[int, int]] = {}  # position of each response of an item
        self.repeated: dict[int, list[int]] = {}  # responses of items that have one twice
        self.texts: dict[int, Text] = {}
        self.edits: dict[int, list[Text]] = defaultdict(list)  # by the id of their original
        self.digests: dict[int, str] = {}
        self.prompts: dict[int, Prompt] = {}
        self.groups: dict[int, str] = {}  # the name of the group that a prompt is in, if any
        with loader.connection.cursor() as cursor:
            self._load(cursor)

    def _load(self, cursor: Any) -> None:
        wanted = {pk for found in self.found for pk in found.members}
        listed = _array(wanted)
        cursor.execute(BARE if self.loader.bare else TEXTS, [listed, listed])
        characters = 0
        for pk, prompt, text, model, parent, extra, digest in cursor.fetchall():
            characters += len(text)
            made = Text._make(
                (pk, prompt, text, model, parent, NOTHING if extra == "{}" else json.loads(extra))
            )
            if pk in wanted:
                self.texts[pk], self.digests[pk] = made, digest
            if parent in wanted:
                self.edits[parent].append(made)
        if not self.loader.bare:
            self.loader.adapt(characters, len(self.found))
        prompts = {found.asked.prompt_id for found in self.found}
        prompts |= {text.prompt_id for text in self.texts.values()}
        cursor.execute(PROMPTS, [_array(prompts)])
        for pk, digest, content, context, is_holdout in cursor.fetchall():
            self.prompts[pk] = Prompt(pk, digest, loads(content), context, is_holdout)
        items = {found.asked.item_id for found in self.found if found.asked.item_id}
        cursor.execute(ITEMS, [_array(items)])
        for pk, name, task, source, group, extra, responses, positions in cursor.fetchall():
            known = NOTHING if extra == "{}" else json.loads(extra)
            self.items[pk] = Item(pk, name, task, source, group, known)
            self.places[pk] = dict(zip(responses, positions, strict=True))
            if len(self.places[pk]) < len(responses):
                self.repeated[pk] = responses
        if self.loader.tree is not None:
            cursor.execute(GROUPS, [self.loader.campaign.pk, _array(prompts)])
            self.groups = {pk: self.loader.tree(name) for pk, name in cursor.fetchall()}

    def questions(self) -> Iterator[Question]:
        """Queries about the same responses of an item taken together; others by themselves."""
        by_item: dict[int, list[_Found]] = {}
        for found in self.found:
            if found.asked.item_id is not None:
                by_item.setdefault(found.asked.item_id, []).append(found)
        for pk, same in by_item.items():
            for name, shown, about in self._of_item(pk, same):
                if made := self._made(name, self.items[pk], shown, about):
                    yield made
        for found in self.found:
            if found.asked.item_id is None:
                shown = sorted(found.members)
                if made := self._made(self._name(found, shown), None, shown, [found]):
                    yield made

    def _name(self, found: _Found, shown: list[int]) -> str:
        """Of a question that belongs to no item: by what it is about."""
        name = "-".join(self.digests[pk][:8] for pk in shown)
        return f"{self.prompts[found.asked.prompt_id].digest[:16]}:{name}"

    def _of_item(self, pk: int, found: list[_Found]) -> list[tuple[str, list[int], list[_Found]]]:
        """Name, responses and queries of each question about an item or a part of it."""
        name, places = self.items[pk].external_id, self.places[pk]
        if len(found) == 1 and len(found[0].members) == len(places):  # the usual case, at once
            return [(name, sorted(places, key=places.__getitem__), found)]
        by_set: dict[tuple[int, ...], list[_Found]] = {}
        for one in found:
            shown = tuple(sorted(one.members, key=places.__getitem__))
            by_set.setdefault(shown, []).append(one)
        return [
            (
                name if len(shown) == len(places) else f"{name}#{_numbers(shown, places)}",
                list(shown),
                same,
            )
            for shown, same in by_set.items()
        ]

    def _made(
        self, name: str, item: Item | None, shown: list[int], found: list[_Found]
    ) -> Question | None:
        """The question; None where another prompt of it is held out, and that stays here."""
        texts, prompt = self.texts, self.prompts[found[0].asked.prompt_id]
        responses = [texts[pk] for pk in shown]
        prompts: dict[int, Prompt] = {}
        for text in responses:
            if text.prompt_id != prompt.pk:
                prompts = {one.prompt_id: self.prompts[one.prompt_id] for one in responses}
                held = any(one.is_holdout for one in prompts.values())
                if held and not self.loader.options.include_holdout:
                    return None
                break
        made = Question(
            name,
            prompt,
            item,
            responses,
            found[0].answers if len(found) == 1 else [a for one in found for a in one.answers],
            [one.asked for one in found],
            [edit for pk in shown for edit in self.edits[pk]] if self.edits else [],
            prompts,
        )
        if item is not None and item.pk in self.repeated and name == item.external_id:
            made.repeated = [texts[pk] for pk in self.repeated[item.pk]]
        if self.loader.tree is not None:
            own = prompts or {prompt.pk: prompt}
            made.groups = {pk: self.groups.get(pk, one.digest) for pk, one in own.items()}
        return made


def _numbers(shown: Iterable[int], places: Mapping[int, int]) -> str:
    return "-".join(str(places[pk]) for pk in shown)
