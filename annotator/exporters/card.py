"""The card of a dataset: what it is, how it was made, and what to beware of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .base import Columns, Format

SIZES = (
    *((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")),
    *((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M")),
)
PLAIN = {"string": "string", "integer": "int64", "number": "float64", "boolean": "bool"}


def card(kind: Format, manifest: Mapping[str, Any], columns: Columns, name: str) -> str:
    """README.md of a `datasets` folder, with the front matter that the hub reads."""
    files = {path: about for path, about in manifest["files"].items() if path.startswith("data/")}
    splits = {path.split("/")[1].split("-")[0]: about for path, about in files.items()}
    return "\n".join(
        [
            "---",
            *_front(manifest, columns, name, splits),
            "---",
            "",
            f"# {name}",
            "",
            f"{kind.title}: {kind.summary}",
            "",
            *_made(manifest),
            "",
        ]
    )


def _front(
    manifest: Mapping[str, Any], columns: Columns, name: str, splits: Mapping[str, Any]
) -> list[str]:
    size = next((said for most, said in SIZES if manifest["rows"] < most), "n>100M")
    lines = [
        f"license: {json.dumps(manifest['options']['license'])}",
        f"pretty_name: {json.dumps(name, ensure_ascii=False)}",
        f"size_categories:\n- {size}",
        "tags:\n- preference\n- human-feedback",
        "configs:\n- config_name: default\n  data_files:",
    ]
    for split in splits:
        lines.append(f"  - split: {split}\n    path: data/{split}-*")
    lines.append("dataset_info:\n  features:")
    for column, type_ in columns.items():
        lines += _feature(column, type_, "  ")
    lines.append("  splits:")
    for split, about in splits.items():
        lines.append(f"  - name: {split}\n    num_bytes: {about['bytes']}")
        lines.append(f"    num_examples: {about['rows']}")
    return lines


def _feature(name: str, kind: Any, pad: str) -> list[str]:
    lines = [f"{pad}- name: {json.dumps(name, ensure_ascii=False)}"]
    return lines + _typed(kind, pad + "  ")


def _typed(kind: Any, pad: str) -> list[str]:
    if isinstance(kind, list):
        inner = kind[0]
        if isinstance(inner, str):
            return [f"{pad}list: {PLAIN[inner]}"]
        nested = _fields(inner, pad) if isinstance(inner, dict) else _typed(inner, pad + "  ")
        return [f"{pad}list:", *nested]
    if isinstance(kind, dict):
        return [f"{pad}struct:", *_fields(kind, pad)]
    return [f"{pad}dtype: {PLAIN[kind]}"]


def _fields(kind: Mapping[str, Any], pad: str) -> list[str]:
    return [line for name, one in kind.items() for line in _feature(name, one, pad)]


def _made(manifest: Mapping[str, Any]) -> list[str]:
    counts, options = manifest["counts"], manifest["options"]
    agreement = manifest.get("mean_agreement")
    lines = [
        "## How it was made",
        "",
        f"- {counts['answers']:,} answers to {counts['questions']:,} questions by "
        f"{counts['people']:,} people and {counts['judges']:,} judges, under guidelines "
        f"{_versions(manifest['guidelines_versions'])}.",
        f"- Consensus: `{manifest['consensus']}`. Ties: `{options['ties']}`. Neither good enough: "
        f"`{options['neither']}`. Edits: `{options['edits']}`. Judges: `{options['judges']}`.",
    ]
    if agreement is not None:
        lines.append(f"- Mean agreement behind a row: {agreement:.1%}.")
    if options["test_share"]:
        lines.append(
            "- `test` has other prompts than `train`; what an import grouped stays together."
        )
    lines.append(f"- Written by Tiebreak {manifest['code_version']}.")
    if manifest["left_out"]:
        lines += ["", "## What gave no row", ""]
        lines += [f"- {n:,} {why}" for why, n in manifest["left_out"].items()]
    lines += ["", "## Beware", ""]
    lines += [f"- {said}" for said in manifest["warnings"]]
    lines += [
        "- Answers are judgements of those who gave them, under these guidelines, and no facts.",
        "- A model may have chosen the questions: their texts are no random sample of prompts.",
    ]
    if options["license"] == "unknown":
        lines.append("- Nobody has said under which licence the texts may be used.")
    return lines


def _versions(numbers: list[int]) -> str:
    return "version " + ", ".join(map(str, numbers)) if numbers else "that nobody wrote"
