"""Examples in the OpenAPI document and on its page; each is checked against its schema by test."""

from __future__ import annotations

from typing import Any, Final

CAMPAIGN: Final = "/api/campaigns/{slug}/"
ITEM: Final = {
    "id": "q1",
    "prompt": "Why is the sky blue?",
    "responses": [{"text": "Scattering.", "model": "small"}, {"text": "Who knows?"}],
}
ASSIGNMENT: Final = {
    "id": "5e0c1f62-3b9f-4d2e-9d53-0f1a2b3c4d5e",
    "campaign": "everyday",
    "state": "open",
    "forms": [{"name": "compare", "question": "Which response is better?", "help": "…"}],
    "prompt": "Why is the sky blue?",
    "context": "",
    "responses": [
        {"letter": "A", "text": "Scattering."},
        {"letter": "B", "text": "Who knows?"},
    ],
    "answer": {"anyOf": [{"type": "object", "required": ["verdict"]}]},
    "submission_key": "b7a1c9d0-7a55-4f0e-8a3c-2d1e0f9a8b7c",
    "lease_until": "2026-11-26T15:30:00Z",
    "guidelines_version": 1,
}

# What is sent, by method and path.
REQUESTS: Final[dict[tuple[str, str], Any]] = {
    ("post", "/api/campaigns/"): {"slug": "mine", "name": "Mine", "form": "compare", "overlap": 2},
    ("patch", CAMPAIGN): {"acquisition": "dopt", "batch_size": 64},
    ("post", f"{CAMPAIGN}state/"): {"state": "running"},
    ("post", f"{CAMPAIGN}guidelines/"): {"text": "Prefer what is *true*."},
    ("post", f"{CAMPAIGN}members/"): {"user": "ada", "role": "annotator"},
    ("post", f"{CAMPAIGN}items/"): [ITEM],
    ("post", f"{CAMPAIGN}imports/"): {"name": "hf:Anthropic/hh-rlhf"},
    ("post", "/api/imports/{id}/confirm/"): {"keep_good": True, "history": True},
    ("post", f"{CAMPAIGN}next/"): {"after": ASSIGNMENT["id"]},
    ("put", "/api/assignments/{id}/annotation/"): {
        "verdict": "a2",
        "rationale": "clearer",
        "active_ms": 5200,
    },
    ("post", f"{CAMPAIGN}encoders/"): {"method": "lora", "plan": {"epochs": 2}},
    ("post", f"{CAMPAIGN}encoders/estimates/"): {"method": "lora", "plan": {"epochs": 2}},
    ("post", f"{CAMPAIGN}judges/"): {
        "name": "small-judge",
        "base_url": "http://localhost:11434/v1",
        "model": "qwen2.5:7b",
        "key_name": "JUDGE_KEY_LOCAL",
        "price_in": "0.15",
        "price_out": "0.6",
        "spend_limit": "20",
    },
    ("patch", "/api/judges/{id}/"): {"spend_limit": "40"},
    ("post", f"{CAMPAIGN}webhooks/"): {
        "url": "https://example.org/hook",
        "events": ["annotation.recorded"],
    },
    ("patch", "/api/webhooks/{id}/"): {"active": False},
    ("post", f"{CAMPAIGN}exports/"): {
        "format": "trl-preference",
        "container": "parquet",
        "minimum_agreement": 0.6,
        "test_share": 0.1,
    },
}
JUDGE: Final = {
    **REQUESTS["post", f"{CAMPAIGN}judges/"],
    "id": 3,
    "provider": "endpoint",
    "mode": "form",
    "template": {},
    "max_tokens": 800,
    "requests_per_minute": None,
    "tokens_per_minute": None,
    "workers": 4,
    "timeout": 120,
    "history_sample": 0,
    "active": True,
    "trouble": "",
    "troubled_at": None,
    "retry_at": None,
    "asked": 120,
    "failed": 2,
    "spent": "0.0312",
    "measured_from": "2026-11-26T15:02:11Z",
    "created_at": "2026-11-26T15:02:11Z",
}
ENCODER: Final = {
    "id": 4,
    "campaign": "everyday",
    "number": 1,
    "base": "default",
    "base_version": None,
    "method": "lora",
    "plan": {"epochs": 2},
    "state": "not_promoted",
    "detail": "",
    "error": "",
    "reason": "that it is better on the holdout may be chance: log-loss 0.641 against 0.652, "
    "difference -0.031 to +0.010",
    "record": {"seconds": 214.0, "prior_precision": 12.5},
    "gate": {"n": 160, "prompts": 84},
    "in_use": False,
    "key": "reward:…",
    "annotations_seen": 1240,
    "comparisons": 1012,
    "trigger": "asked for by ruth",
    "download": "/api/encoders/4/download/",
    "created_at": "2026-11-26T15:02:11Z",
    "finished_at": "2026-11-26T15:09:30Z",
    "promoted_at": None,
    "rolled_back_at": None,
}
ESTIMATE: Final = {
    "id": 2,
    "campaign": "everyday",
    "method": "lora",
    "plan": {"epochs": 2},
    "state": "done",
    "figures": {
        "labels": 1012,
        "folds": 3,
        "epochs": [2, 2],
        "memory": {"total": 1313427472, "available": 22850526464, "fits": True},
        "duration": {"steps": [190, 190], "tokens": [800000, 800000], "seconds": [720.0, 900.0]},
        "held_out": 84,
        "held_out_needed": 30,
    },
    "error": "",
    "created_at": "2026-11-26T15:02:11Z",
    "finished_at": "2026-11-26T15:02:40Z",
}
# What is answered, by method, path and status.
ANSWERS: Final[dict[tuple[str, str, str], Any]] = {
    ("post", f"{CAMPAIGN}next/", "200"): ASSIGNMENT,
    ("get", "/api/assignments/{id}/", "200"): ASSIGNMENT,
    ("put", "/api/assignments/{id}/annotation/", "200"): {
        "id": 17,
        "outcome": "preference",
        "strength": 2,
        "rationale": "clearer",
        "late": False,
        "recorded_at": "2026-11-26T15:12:04Z",
    },
    ("post", f"{CAMPAIGN}encoders/", "202"): ENCODER,
    ("get", "/api/encoders/{id}/", "200"): ENCODER,
    ("post", f"{CAMPAIGN}encoders/estimates/", "202"): ESTIMATE,
    ("get", "/api/encoder-estimates/{id}/", "200"): ESTIMATE,
    ("post", f"{CAMPAIGN}judges/", "201"): JUDGE,
    ("get", "/api/judges/{id}/", "200"): JUDGE,
    ("post", f"{CAMPAIGN}items/", "201"): {
        "read": 1,
        "items": 1,
        "unchanged": 0,
        "prompts": 1,
        "responses": 2,
        "annotations": 0,
        "gold": 0,
        "language_features": 0,
        "rejected": 0,
        "problems": [],
    },
}


def put_into(document: dict[str, Any]) -> None:
    """Add the examples to an OpenAPI document, at the JSON bodies that they show."""
    for (verb, path), value in REQUESTS.items():
        content = document["paths"][path][verb]["requestBody"]["content"]
        content["application/json"]["example"] = value
    for (verb, path, status), value in ANSWERS.items():
        content = document["paths"][path][verb]["responses"][status]["content"]
        content["application/json"]["example"] = value
