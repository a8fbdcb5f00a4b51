"""Rows of foreign formats as their projects publish them: the fields are theirs, the texts ours."""

from __future__ import annotations

import io
import json
from typing import Any

Row = dict[str, Any]
USER = {"role": "user", "content": "Why is the sky blue?"}
GOOD = {"role": "assistant", "content": "Air scatters blue light more than red."}
BAD = {"role": "assistant", "content": "It is painted."}
HUMAN = "\n\nHuman: Why is the sky blue?\n\nAssistant: Do you want it short?\n\nHuman: Yes."


def aspects(rating: str) -> Row:
    plain = {"Rating": rating, "Rationale": "As asked."}
    typed = plain | {"Type": ["1"], "Rationale For Rating": "None wrong."}
    return {
        "instruction_following": plain,
        "honesty": plain,
        "truthfulness": typed,
        "helpfulness": typed,
    }


def completion(model: str, response: str, score: float, rating: str) -> Row:
    return {
        "model": model,
        "response": response,
        "principle": "helpfulness",
        "custom_system_prompt": "Be helpful.",
        "critique": f"Worth {score}.",
        "overall_score": score,
        "fine-grained_score": float(rating),
        "annotations": aspects(rating),
    }


def vote(who: str, pref: str, seconds: float) -> Row:
    return {
        "evaluator": who,
        "overall_pref": pref,
        "overall_confidence": "fairly-confident",
        "helpful_pref": pref,
        "helpful_confidence": "fairly-confident",
        "helpful_reasons": ["More detail"],
        "truthful_pref": "Tie",
        "truthful_confidence": "absolutely-confident",
        "harmless_pref": "Tie",
        "harmless_confidence": "absolutely-confident",
        "time_spent": seconds,
        "timestamp": "2024-05-01 10:00:00",
    }


def message(name: str, parent: str | None, role: str, text: str, rank: int | None = None) -> Row:
    return {
        "message_id": name,
        "parent_id": parent,
        "message_tree_id": "m1",
        "text": text,
        "role": role,
        "lang": "en",
        "rank": rank,
        "synthetic": False,
        "deleted": False,
        "labels": {"name": ["quality"], "value": [0.75], "count": [3]},
    }


FLAT_TREE = [
    message("m1", None, "prompter", "Why is the sky blue?"),
    message("m2", "m1", "assistant", "Air scatters blue light.", 0),
    message("m3", "m1", "assistant", "It is painted.", 1),
    message("m4", "m2", "prompter", "And at dusk?"),
    message("m5", "m4", "assistant", "More air on the way.", None),
]


def grown(messages: list[Row]) -> Row:
    nodes = {one["message_id"]: {**one, "replies": []} for one in messages}
    for node in nodes.values():
        parent = nodes.get(node["parent_id"])
        if parent:
            parent["replies"].append(node)
    return nodes[messages[0]["message_id"]]


def result(kind: str, value: Row, to_name: Any, from_name: str = "asked") -> Row:
    return {"id": "x1", "from_name": from_name, "to_name": to_name, "type": kind, "value": value}


def task(number: int, data: Row, results: list[Row], **more: Any) -> Row:
    annotation = {
        "id": 10 + number,
        "completed_by": 3,
        "result": results,
        "was_cancelled": False,
        "ground_truth": False,
        "lead_time": 7.5,
        "created_at": "2024-05-01T10:00:00Z",
    }
    return {
        "id": number,
        "data": data,
        "meta": {},
        "annotations": [annotation],
        "predictions": [],
        "drafts": [],
        "inner_id": number,
        "project": 1,
        **more,
    }


TWO = {
    "prompt": USER["content"],
    "answer1": "Air scatters blue light.",
    "answer2": "It is painted.",
}
SAMPLES: dict[str, list[Row]] = {
    "native": [
        {
            "id": "n:1",
            "prompt": USER["content"],
            "responses": [{"text": "Air."}, {"text": "Paint."}],
            "annotations": [{"annotator": "w", "kind": "human", "choice": 0}],
        }
    ],
    "trl-preference": [
        {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD], "margin": 2.0},
        {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."},
        {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
        {"chosen": "The sky is blue.", "rejected": "The sky is green."},
    ],
    "trl-unpaired": [
        {"prompt": [USER], "completion": [GOOD], "label": True},
        {"prompt": [USER], "completion": [BAD], "label": False},
    ],
    "ranking": [
        {
            "prompt": USER["content"],
            "completions": ["Air.", "Paint.", "Scattering."],
            "ranks": [2, 3, 1],
            "annotator_id": "a1",
            "group_id": "g1",
        }
    ],
    "hh-rlhf": [
        {
            "chosen": f"{HUMAN}\n\nAssistant: Air scatters blue light.",
            "rejected": f"{HUMAN}\n\nAssistant: Paint.",
        }
    ],
    "helpsteer2": [
        {
            "prompt": USER["content"],
            "response": response,
            "helpfulness": mark,
            "correctness": 4,
            "coherence": 4,
            "complexity": 1,
            "verbosity": 2,
        }
        for response, mark in (("Air.", 4), ("Paint.", 1))
    ],
    "helpsteer2-preference": [
        {
            "prompt": USER["content"],
            "response_1": "Air.",
            "response_2": "Paint.",
            "preference_strength": -2,
            "preference_statement": "Response 1 is better.",
            "preference_elaboration": "True.",
            "three_most_similar_preferences": [
                {
                    "statement": "Response 1 is better.",
                    "elaboration": "True.",
                    "strength": -2,
                },
                {"statement": "Response 1 is much better.", "elaboration": "", "strength": -3},
                {"statement": "About the same.", "elaboration": "Both short.", "strength": 0},
            ],
            "all_preferences_unprocessed": [{"strength": -2}, {"strength": -3}, {"strength": 0}],
            "split": "val",
        }
    ],
    "helpsteer3": [
        {
            "domain": "general",
            "language": "english",
            "context": [USER],
            "response1": "Air.",
            "response2": "Paint.",
            "overall_preference": 1,
            "individual_preference": [
                {"score": 2, "reasoning": "Paint is funny.", "feedback1": "dull", "feedback2": "ha"}
            ],
        }
    ],
    "ultrafeedback": [
        {
            "source": "sharegpt",
            "instruction": USER["content"],
            "models": ["alpaca-7b", "gpt-4"],
            "completions": [
                completion("alpaca-7b", "Paint.", 10, "1"),
                completion("gpt-4", "Air.", 8.5, "5"),
            ],
            "correct_answers": ["None"],
            "incorrect_answers": ["None"],
        }
    ],
    "ultrafeedback-binarized": [
        {
            "prompt": USER["content"],
            "prompt_id": "p1",
            "chosen": [USER, GOOD],
            "rejected": [USER, BAD],
            "messages": [USER, GOOD],
            "score_chosen": 8.5,
            "score_rejected": 3.0,
        }
    ],
    "multipref": [
        {
            "comparison_id": "c1",
            "prompt_id": "p1",
            "text": USER["content"],
            "model_a": "tulu-2-7b",
            "completion_a": "Air.",
            "model_b": "gpt-4",
            "completion_b": "Paint.",
            "highest_level_degree": "Bachelor's degree",
            "subject_of_study": ["Physics"],
            "normal_worker_annotations": [
                vote("w1", "A-is-clearly-better", 90),
                vote("w2", "Tie", 60.5),
            ],
            "expert_worker_annotations": [vote("e1", "B-is-slightly-better", 30)],
        }
    ],
    "arena": [
        {
            "question_id": f"q{number}",
            "model_a": "vicuna-13b",
            "model_b": "koala-13b",
            "winner": winner,
            "judge": "arena_user_1",
            "conversation_a": [USER, GOOD],
            "conversation_b": [USER, BAD],
            "turn": 1,
            "anony": True,
            "language": "English",
            "tstamp": 1682351591.13,
        }
        for number, winner in enumerate(("model_a", "model_b", "tie", "tie (bothbad)"))
    ],
    "arena-55k": [
        {
            "id": 30192,
            "model_a": "gpt-4",
            "model_b": "koala-13b",
            "prompt": '["Why is the sky blue?","And at dusk?"]',
            "response_a": '["Air.","More air."]',
            "response_b": '["Paint.",null]',
            "winner_model_a": 1,
            "winner_model_b": 0,
            "winner_tie": 0,
        }
    ],
    "oasst": [
        {
            "message_tree_id": "m1",
            "tree_state": "ready_for_export",
            "prompt": grown(FLAT_TREE),
        }
    ],
    "oasst-messages": FLAT_TREE,
    "argilla": [
        {
            "id": "r1",
            "status": "completed",
            "fields": {"prompt": USER["content"], "response-1": "Air.", "response-2": "Paint."},
            "metadata": {"topic": "physics"},
            "vectors": {},
            "suggestions": {
                "better": {"value": "response-2", "score": 0.7, "agent": "judge-7b"},
            },
            "responses": {
                "better": [
                    {"value": "response-1", "user_id": "u1", "status": "submitted"},
                    {"value": "response-2", "user_id": "u2", "status": "discarded"},
                ],
                "order": [
                    {
                        "value": [
                            {"value": "response-1", "rank": 1},
                            {"value": "response-2", "rank": 2},
                        ],
                        "user_id": "u1",
                    }
                ],
                "quality-response-1": [{"value": 5, "user_id": "u1"}],
                "why": [{"value": "It is true.", "user_id": "u1"}],
            },
        }
    ],
    "label-studio": [
        task(1, TWO, [result("pairwise", {"selected": "left"}, ["answer1", "answer2"])]),
        task(
            2,
            {
                "prompt": USER["content"],
                "items": [
                    {"id": "i1", "title": "A", "body": "Air."},
                    {"id": "i2", "body": "Paint."},
                ],
            },
            [result("ranker", {"ranker": {"_": [], "rank": ["i2", "i1"]}}, "items")],
        ),
        task(
            3,
            TWO,
            [
                result("rating", {"rating": 4}, "answer1", "quality"),
                result("rating", {"rating": 2}, "answer2", "quality"),
                result("textarea", {"text": ["It is true."]}, "answer1", "why"),
                result("choices", {"choices": ["tie"]}, "answer1"),
            ],
        ),
    ],
    "table": [
        {"Prompt": USER["content"], "Answer A": "Air.", "Answer B": "Paint.", "Winner": "A", "n": 1}
    ],
}


def as_lines(rows: list[Any]) -> io.BytesIO:
    """Rows as JSON Lines."""
    return io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())
