"""The client fits the OpenAPI document: what it calls exists, what exists it can call and hold."""

from __future__ import annotations

import ast
import inspect
from dataclasses import MISSING, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from drf_spectacular.generators import SchemaGenerator

import tiebreak.client
from tiebreak import client
from tiebreak.client import encoders, exports, imports, record, results, settings
from tiebreak.client.record import Record

FOLDER = Path(tiebreak.client.__file__).parent
VERBS = ("GET ", "POST ", "PUT ", "PATCH ", "DELETE ")
COMPONENTS: dict[type, str] = {
    results.CampaignInfo: "Campaign",
    results.Guidelines: "Guidelines",
    results.Member: "Member",
    results.RowProblem: "ProblemOfRow",
    results.ImportReport: "ImportReport",
    results.Item: "Item",
    results.Query: "Query",
    results.Annotation: "Annotation",
    results.Annotator: "Annotator",
    results.Round: "Round",
    results.ModelVersion: "Model",
    results.SlotCounts: "SlotCounts",
    results.EncoderCard: "Card",
    results.Metrics: "Metrics",
    results.Recorded: "Recorded",
    results.Delivery: "Delivery",
    results.Difference: "Difference",
    client.Assignment: "Assignment",
    client.Import: "Import",
    client.Export: "Snapshot",
    client.Webhook: "NewWebhook",
    client.Encoder: "Encoder",
    client.TrainingEstimate: "Estimate",
    client.Judge: "Judge",
    client.JudgeCall: "JudgeCall",
    client.Judgement: "Judgement",
    client.JudgeReport: "JudgeReport",
    results.Route: "Route",
}
UNDESCRIBED = {results.ItemResponse, results.QueryResponse, results.AskedResponse, results.FormPart}
JSON: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    datetime: "string",
    Decimal: "string",
    dict: "object",
    list: "array",
    tuple: "array",
    NoneType: "null",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator().get_schema(public=True)
    return made


def called() -> set[str]:
    """Every operation that is named in the client's code."""
    found = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and text.startswith(VERBS) and text.endswith("/"):
                found.add(text)
    return found


def described(document: dict[str, Any]) -> set[str]:
    return {
        f"{verb.upper()} {path.removeprefix('/api')}"
        for path, operations in document["paths"].items()
        for verb in operations
    }


def test_what_it_calls_exists_and_what_exists_it_can_call(document: dict[str, Any]) -> None:
    assert called() == described(document)


def test_creating_calls_get_a_key_of_their_own(document: dict[str, Any]) -> None:
    """Each operation that takes an `Idempotency-Key` is called in a way that sends one."""
    keyed = {
        f"POST {path.removeprefix('/api')}"
        for path, operations in document["paths"].items()
        for one in operations.get("post", {}).get("parameters", [])
        if one["name"] == "Idempotency-Key"
    }
    source = "\n".join(path.read_text() for path in FOLDER.glob("*.py"))
    created = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            uses = {n.func.attr for n in ast.walk(node) if _is_method(n)}
            uses |= {n.func.id for n in ast.walk(node) if _is_function(n)}
            named = {
                n.value
                for n in ast.walk(node)
                if isinstance(n, ast.Constant) and str(n.value).startswith("POST ")
            }
            created |= named if {"create", "new_key"} & uses else set()
    assert created == keyed


def _is_method(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def test_files_are_read_in_every_way(document: dict[str, Any]) -> None:
    said = document["paths"]["/api/campaigns/{slug}/imports/"]["post"]["parameters"]
    there = {one["name"] for one in said if one["in"] == "query"} - {"filename"}
    given = set(inspect.signature(client.Campaign.request_import).parameters)
    assert given - {"self", "file", "columns", "progress_bar"} == there
    wanted = set(document["components"]["schemas"]["ConfirmationRequest"]["properties"])
    assert set(inspect.signature(client.Import.confirm).parameters) - {"self"} == wanted


@pytest.mark.parametrize(
    "name", ["items", "queries", "annotations", "annotators", "rounds", "models"]
)
def test_lists_take_every_filter(document: dict[str, Any], name: str) -> None:
    said = document["paths"][f"/api/campaigns/{{slug}}/{name}/"]["get"]["parameters"]
    there = {one["name"] for one in said if one["in"] == "query"} - {"cursor", "page_size"}
    assert set(inspect.signature(getattr(Record, name)).parameters) - {"self"} == there


def test_deliveries_take_every_filter(document: dict[str, Any]) -> None:
    said = document["paths"]["/api/webhooks/{id}/deliveries/"]["get"]["parameters"]
    there = {one["name"] for one in said if one["in"] == "query"} - {"cursor", "page_size"}
    assert set(inspect.signature(client.Webhook.deliveries).parameters) - {"self"} == there


def test_judgements_take_every_filter(document: dict[str, Any]) -> None:
    said = document["paths"]["/api/judges/{id}/judgements/"]["get"]["parameters"]
    there = {one["name"] for one in said if one["in"] == "query"} - {"cursor", "page_size"}
    assert set(inspect.signature(client.Judge.judgements).parameters) - {"self"} == there


def test_every_setting_of_a_judge_can_be_given(document: dict[str, Any]) -> None:
    there = set(document["components"]["schemas"]["JudgeRequest"]["properties"])
    assert set(get_type_hints(settings.JudgeSettings)) == there - {"name"}


def test_every_setting_of_a_campaign_can_be_given(document: dict[str, Any]) -> None:
    there = set(document["components"]["schemas"]["CampaignRequest"]["properties"])
    assert set(get_type_hints(settings.CampaignSettings)) == there - {"slug", "name"}


def test_every_option_of_an_export_can_be_given(document: dict[str, Any]) -> None:
    said = set(document["components"]["schemas"]["ExportRequestRequest"]["properties"])
    given = set(get_type_hints(settings.ExportOptions)) | {"format"}
    assert said <= given


@pytest.mark.parametrize("kind", COMPONENTS, ids=lambda kind: kind.__name__)
def test_results_have_the_fields_of_the_document(document: dict[str, Any], kind: type) -> None:
    schemas = document["components"]["schemas"]
    said = schemas[COMPONENTS[kind]]["properties"]
    hints = get_type_hints(kind)
    ours = {
        one.metadata.get("key", one.name): one
        for one in fields(kind)  # type: ignore[arg-type]
        if not one.name.startswith("_")
    }
    # What has a default may be missing, as in the answers of an older site.
    needed = {name for name, one in ours.items() if one.default is MISSING}
    assert needed <= set(said) <= set(ours)
    for name in said:
        wanted, held = types_of(said[name], schemas), json_types(hints[ours[name].name])
        assert not wanted or held == wanted, (name, held, said[name])


@pytest.mark.parametrize(
    ("name", "ended"),
    [
        ("Round", record.ENDED),
        ("Snapshot", exports.ENDED),
        ("Encoder", encoders.ENDED),
        ("Estimate", encoders.MEASURED),
        ("Import", (*imports.ENDED, imports.CHECKED)),
    ],
    ids=str,
)
def test_the_ends_that_are_waited_for_exist(
    document: dict[str, Any], name: str, ended: tuple[str, ...]
) -> None:
    schemas = document["components"]["schemas"]
    states = schemas[name]["properties"]["state"]
    values = states.get("enum") or schemas[states["$ref"].rpartition("/")[2]]["enum"]
    assert set(ended) < set(values)


def test_every_result_is_checked() -> None:
    exported = {getattr(client, name) for name in client.__all__}
    held = {one for one in exported if hasattr(one, "__dataclass_fields__")}
    assert held - {client.Nothing} == set(COMPONENTS) | UNDESCRIBED


def json_types(hint: Any) -> set[str]:
    """The JSON types of a hint."""
    if hint is Any:
        return set()
    if isinstance(hint, UnionType):
        return set().union(*(json_types(one) for one in get_args(hint)))
    origin = get_origin(hint) or hint
    return {JSON.get(origin, "object")}


def types_of(said: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """The JSON types of a schema; none where it does not say."""
    if "$ref" in said:
        return types_of(schemas[said["$ref"].rpartition("/")[2]], schemas)
    if "type" in said:
        kinds = said["type"] if isinstance(said["type"], list) else [said["type"]]
        return set(kinds)
    options = said.get("oneOf") or said.get("anyOf") or []
    found = [types_of(one, schemas) for one in options]
    return set().union(*found) if all(found) else set()
