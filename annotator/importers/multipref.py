"""MultiPref: each pair by two crowd workers and two experts, with aspects and reasons."""

from __future__ import annotations

from typing import Any

from annotator.importers.base import Importer, Made, Misfit, Raw, Reading, finished, one_by_one
from annotator.importers.fields import listed, mapped, number, optional_text, rest, text

GROUPS = ("normal_worker_annotations", "expert_worker_annotations")
VALUES: dict[str, tuple[int | str, int]] = {
    "A-is-clearly-better": (0, 2),
    "A-is-slightly-better": (0, 1),
    "Tie": ("tie", 0),
    "B-is-slightly-better": (1, 1),
    "B-is-clearly-better": (1, 2),
}
USED = ("comparison_id", "prompt_id", "text", "model_a", "completion_a", "model_b", "completion_b")


def _recognises(row: Raw) -> bool:
    return {"comparison_id", "completion_a", "completion_b"} <= set(row)


def _one(said: dict[str, Any], at: str, level: str) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "human", "choice": None}
    if said.get("evaluator") is not None:
        found["annotator"] = str(said["evaluator"])
    overall = said.get("overall_pref")
    if overall is not None:
        if not isinstance(overall, str) or overall not in VALUES:
            known = ", ".join(VALUES)
            raise Misfit(f"{at}.overall_pref", f"expected one of {known}; got {overall!r:.40}")
        found["choice"], found["strength"] = VALUES[overall]
    if said.get("time_spent") is not None:
        found["time_s"] = number(said["time_spent"], f"{at}.time_spent", 0, 1e9)
    more = rest(said, "evaluator", "overall_pref", "time_spent")
    return found | {"meta": {"level": level, **more}}


def _convert(row: Raw, how: Reading) -> Made:
    said = [
        _one(mapped(one, f"{group}[{n}]"), f"{group}[{n}]", group.partition("_")[0])
        for group in GROUPS
        for n, one in enumerate(listed(row.get(group) or [], group))
    ]
    native = {
        "id": text(row, "comparison_id"),
        "group": optional_text(row, "prompt_id"),
        "prompt": text(row, "text"),
        "responses": [
            {"text": text(row, f"completion_{side}"), "model": optional_text(row, f"model_{side}")}
            for side in "ab"
        ],
        "annotations": said,
        "meta": rest(row, *USED, *GROUPS),
    }
    names = {"id": "comparison_id", "group": "prompt_id", "prompt": "text"}
    for n, side in enumerate("ab"):
        names |= {f"responses[{n}].text": f"completion_{side}"}
        names |= {f"responses[{n}].model": f"model_{side}"}
    return finished(native, "multipref", names)


IMPORTER = Importer(
    name="multipref",
    title="MultiPref",
    about="comparison_id, text, completion_a and _b with their models, and the annotations of "
    "workers and experts. Each is one person's answer: clearly better is strength 2, slightly 1, "
    "Tie a tie. Their aspects, confidence and reasons stand in the annotation's meta, with level: "
    "normal or expert.",
    recognises=_recognises,
    convert=one_by_one(_convert),
    strength_max=2,
)
