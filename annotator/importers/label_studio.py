"""Label Studio's JSON: tasks with pairwise, ranker, rating, choices and text results."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from annotator.importers.base import (
    OUTCOMES,
    STRONGEST,
    Importer,
    Made,
    Misfit,
    Raw,
    Reading,
    finished,
    one_by_one,
)
from annotator.importers.chats import as_prompt, chat
from annotator.importers.columns import Columns, choice_of, columns_of
from annotator.importers.fields import expected, get, listed, mapped, missing, number, rest

USED = ("id", "data", "annotations", "predictions", "drafts", "updated_by", "annotators")
ITEM_TEXT = ("text", "body", "html", "title", "content")
RANK = re.compile(r"rank[-_ ]?(\d{1,3})")  # a bucket that says which rank it is
NUMBERED = re.compile(r"[-_ .]\d{1,2}$")
# Who somebody is by name or address is not kept.
NO_PSEUDONYM = ("model_version", "id", "created_username", "updated_by", "last_created_by")
OUTCOME = [[name] for name in OUTCOMES]
REST_OF_LIST = "_"  # bucket of what nobody moved


def _recognises(row: Raw) -> bool:
    return isinstance(row.get("data"), dict) and bool({"annotations", "predictions"} & set(row))


def _convert(row: Raw, how: Reading) -> Made:
    data = mapped(get(row, "data", "an object"), "data")
    columns, responses, used = _responses(data, how)
    if "prompt" not in columns.named:
        raise missing("data.prompt", "a field of that name, or prompt=FIELD")
    at_prompt = columns.named["prompt"]
    prompt = get(data, at_prompt, "text or messages", "data.")
    if isinstance(prompt, list):
        prompt = as_prompt(chat(prompt, f"data.{at_prompt}"))
    elif not isinstance(prompt, str):
        raise expected(f"data.{at_prompt}", "text or messages", prompt)
    said = []
    for kind in ("annotations", "predictions"):
        for n, one in enumerate(listed(row.get(kind) or [], kind)):
            at = f"{kind}[{n}]"
            if not mapped(one, at).get("was_cancelled"):
                said.append(_annotation(one, at, columns, kind))
    more = rest(data, at_prompt, *used, "id", *_repeated(data))
    native = {
        "id": _name(row, data),
        "prompt": prompt,
        "responses": responses,
        "annotations": said,
        "meta": rest(row, *USED) | rest({"data": more}),
    }
    names = {"id": "id", "prompt": f"data.{at_prompt}", "responses": "data"}
    for n, name in enumerate(columns.responses):
        where = f"data.{name}" if name in data else f"data.{used[0]}[{n}]"
        names |= {f"responses[{n}].text": where, f"responses[{n}]": where}
    return finished(native, "label-studio", names)


def _responses(data: Raw, how: Reading) -> tuple[Columns, list[dict[str, Any]], list[str]]:
    """Two fields of the task, or a list of items in one field."""
    columns = columns_of(data, how.columns)
    if len(columns.responses) > 1:
        for name in columns.responses:
            if not isinstance(data.get(name), str):
                raise expected(f"data.{name}", "text", data.get(name))
        texts = [{"text": data[name]} for name in columns.responses]
        return columns, texts, list(columns.responses)
    items_in = next((key for key, value in data.items() if _is_items(value)), None)
    if items_in is None:
        raise missing("data.answer1", "two fields with responses, or a list of items with ids")
    items = data[items_in]
    named = {key: column for key, column in columns.named.items() if column != items_in}
    ids = [str(item["id"]) for item in items]
    texts = [{"text": _item_text(item, f"data.{items_in}[{n}]")} for n, item in enumerate(items)]
    return Columns(named, ids, [None] * len(ids)), texts, [items_in]


def _name(row: Raw, data: Raw) -> str:
    """The task's number; the id in its data where the task has none yet."""
    name = data.get("id") if row.get("id") is None else row["id"]
    return str(name) if isinstance(name, str | int) else ""


def _repeated(data: Raw) -> list[str]:
    """Lists of items that say again what stands in fields of their own."""
    return [
        key
        for key, value in data.items()
        if _is_items(value) and all(str(item["id"]) in data for item in value)
    ]


def _is_items(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(item, dict) and "id" in item for item in value)
    )


def _item_text(item: Raw, at: str) -> str:
    found = next((item[key] for key in ITEM_TEXT if isinstance(item.get(key), str)), None)
    if found is None:
        raise missing(f"{at}.text", f"one of {', '.join(ITEM_TEXT)}")
    return str(found)


def _annotation(one: dict[str, Any], at: str, columns: Columns, kind: str) -> dict[str, Any]:
    results = listed(get(one, "result", "a list", f"{at}."), f"{at}.result")
    found: dict[str, Any] = {"choice": None, **_who(one, kind, results)}
    if one.get("lead_time") is not None:
        found["time_s"] = number(one["lead_time"], f"{at}.lead_time", 0, 1e9)
    more = rest(one, "result", "completed_by", "lead_time", "was_cancelled", *NO_PSEUDONYM)
    answer = _Answer(columns, found)
    for n, result in enumerate(results):
        answer.add(mapped(result, f"{at}.result[{n}]"), f"{at}.result[{n}].value")
    if answer.ratings:
        found["ratings"] = {**found.get("ratings", {}), **answer.ratings}
    if answer.ours and "strength" in found:
        found["strength_max"] = STRONGEST
    if answer.left:
        more["result"] = answer.left
    return found | ({"meta": more} if more else {})


def _who(one: Raw, kind: str, results: Sequence[Any]) -> dict[str, Any]:
    """People by number only, or by the pseudonym in our own exports: an address is none."""
    if kind == "predictions":
        return {"annotator": str(one.get("model_version") or "") or None, "kind": "llm"}
    who = one.get("completed_by")
    number_of = who.get("id") if isinstance(who, dict) else who
    meta = results[0].get("meta") if results and isinstance(results[0], dict) else None
    if number_of is None and isinstance(meta, dict) and isinstance(meta.get("annotator"), str):
        return {"annotator": meta["annotator"], "kind": "human"}
    return {"annotator": None if number_of is None else f"user {number_of}", "kind": "human"}


class _Answer:
    """What the results of one annotation say; what no field is for is left."""

    def __init__(self, columns: Columns, found: dict[str, Any]) -> None:
        self.columns, self.found = columns, found
        self.ratings: dict[str, list[Any]] = {}
        self.left: list[Raw] = []
        self.ours = False  # whether it left from here

    def add(self, result: Raw, at: str) -> None:
        """One result, by its type."""
        value = mapped(result.get("value"), at)
        read = READ.get(str(result.get("type")))
        if read is None or not read(self, result, value, at):
            self.left.append(result)

    def pairwise(self, result: Raw, value: Raw, at: str) -> bool:
        """Left and right are the two objects of `to_name`, perhaps called as the fields are."""
        side = value.get("selected")
        if side not in ("left", "right"):
            raise Misfit(f"{at}.selected", f"expected left or right, got {side!r:.40}")
        place = ("left", "right").index(side)
        shown = result.get("to_name")
        names = [str(one) for one in shown] if isinstance(shown, list) else str(shown).split(",")
        if len(names) == 2 and set(names) <= set(self.columns.responses):
            place = self.columns.responses.index(names[place])
        self.found["choice"] = place
        return True

    def ranker(self, result: Raw, value: Raw, at: str) -> bool:
        """One bucket is an order, best first; of several nobody knows which is best."""
        buckets = mapped(value.get("ranker"), f"{at}.ranker")
        moved = {name: ids for name, ids in buckets.items() if name != REST_OF_LIST}
        numbered = all(RANK.fullmatch(name) for name in moved)
        if len(moved) > 1 and not numbered:
            return False
        places: list[int | None] = [None] * len(self.columns.responses)
        for name, ids in moved.items():
            for place, item in enumerate(listed(ids, f"{at}.ranker"), start=1):
                if str(item) not in self.columns.responses:
                    known = ", ".join(self.columns.responses)
                    raise Misfit(f"{at}.ranker", f"expected ids out of {known}; got {item!r:.40}")
                match = RANK.fullmatch(name)
                rank = int(match[1]) if match and numbered else place
                places[self.columns.responses.index(str(item))] = rank
        self.found["ranking"] = places
        return True

    def rating(self, result: Raw, value: Raw, at: str) -> bool:
        """The response in whose name the question ends, or that it is about."""
        key = "number" if result.get("type") == "number" else "rating"
        mark = number(get(value, key, "a number", f"{at}."), f"{at}.{key}", -1e9, 1e9)
        shown, name = str(result.get("to_name")), str(result.get("from_name") or "rating")
        if name == "strength":
            self.found["strength"] = mark
            return True
        aspect, place = name, None
        if shown in self.columns.responses:
            place = self.columns.responses.index(shown)
            aspect = NUMBERED.sub("", name) or name
        for n, column in enumerate(self.columns.responses):
            if name.endswith(column):
                aspect, place = name[: -len(column)].strip("-_ .") or "rating", n
        if place is None:
            return False
        self.ratings.setdefault(aspect, [None] * len(self.columns.responses))[place] = mark
        return True

    def choices(self, result: Raw, value: Raw, at: str) -> bool:
        """A response, a tie or neither."""
        said = listed(value.get("choices"), f"{at}.choices")
        self.ours |= result.get("from_name") == "outcome" and said[:1] in OUTCOME
        if said == ["preference"]:  # our own exports: another result says which
            return True
        try:
            self.found |= choice_of(said[0], self.columns, [], at) if len(said) == 1 else {}
        except Misfit:
            return False
        return len(said) == 1

    def textarea(self, result: Raw, value: Raw, at: str) -> bool:
        """A reason, or the rewrite of a response."""
        said: Sequence[Any] = (
            value["text"] if isinstance(value.get("text"), list) else [value.get("text")]
        )
        if not all(isinstance(one, str) for one in said):
            return False
        about = str(result.get("to_name"))
        if str(result.get("from_name")).startswith("edit") and about in self.columns.responses:
            self.found["edit"] = {
                "response": self.columns.responses.index(about),
                "text": "\n".join(said),
            }
            return True
        if "rationale" in self.found:
            return False
        self.found["rationale"] = "\n".join(said)
        return True


READ: dict[str, Callable[[_Answer, Raw, Raw, str], bool]] = {
    "pairwise": _Answer.pairwise,
    "ranker": _Answer.ranker,
    "rating": _Answer.rating,
    "number": _Answer.rating,
    "choices": _Answer.choices,
    "textarea": _Answer.textarea,
}
IMPORTER = Importer(
    name="label-studio",
    title="Label Studio JSON",
    about="Tasks with data and annotations, as exported in the JSON format. Prompt and responses "
    "are fields of data, guessed or named (prompt=question), or a list of items with ids. "
    "pairwise: left is the first of the two objects. ranker: the order of one bucket, best first, "
    "or buckets rank1, rank2, …; _ is unranked. rating, number: the response in whose name it ends "
    "or that it is about; strength is the strength (1 to 3 where choices called outcome say "
    "preference, as in our exports). choices: a response, tie or neither. textarea: "
    "the reason, or the rewrite of a response where its name begins with edit. Other results stand "
    "in the annotation's meta. People are numbered, cancelled answers left out, predictions are a "
    "model's.",
    recognises=_recognises,
    convert=one_by_one(_convert),
)
