"""Whether a judge is related to the author of a response, told by their names.

A judge prefers its own responses and those of its kin: whoever was trained on its outputs, or
shares its base. Names are all there is to go by, so the table lists what names say; a name that
it does not know is unknown, which is not the same as unrelated.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

_FAMILIES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    # The first pattern that fits decides. Whoever was made from another one's weights or
    # trained on its outputs, by what its authors say, belongs to both.
    (r"cerebras", ("cerebras",)),
    (r"gpt-?(neo|j\b)|neoxt|pythia|redpajama|eleuther", ("eleuther",)),
    (r"gpt-?4-?all|h2o-?gpt", ("llama", "openai")),
    (r"alpaca|vicuna|koala|wizard-?(lm|math|coder)|pandalm", ("llama", "openai")),
    (r"airoboros|hermes|platypus|mytho|remm|xwin|orca-?2|open-?chat", ("llama", "openai")),
    (r"auto-?j|prometheus|judgelm", ("llama", "openai")),
    (r"r1-distill-qwen", ("deepseek", "qwen")),
    (r"r1-distill-llama", ("deepseek", "llama")),
    (r"deepseek", ("deepseek",)),
    (r"nemotron", ("nvidia", "llama")),
    (r"tulu|tülu", ("allenai", "llama")),
    (r"olmo|allenai", ("allenai",)),
    (r"zephyr|starling", ("mistral", "openai")),
    (r"solar|upstage", ("upstage", "llama")),
    (r"guanaco|oasst.*llama|llama", ("llama",)),
    (r"mistral|mixtral|ministral|magistral|codestral|pixtral", ("mistral",)),
    (r"qwen|qwq|qvq|tongyi", ("qwen",)),
    (r"claude|anthropic", ("anthropic",)),
    (r"gemini|gemma|palm|bard\b|flan|\bt5|\bul2|google|bison", ("google",)),
    (r"command|cohere|\baya\b|c4ai", ("cohere",)),
    (r"\bphi[- \d]|microsoft", ("microsoft", "openai")),
    (r"jurassic|jamba|ai21", ("ai21",)),
    (r"luminous|aleph", ("aleph alpha",)),
    (r"falcon|tiiuae", ("falcon",)),
    (r"stable-?lm|stabilityai", ("stability",)),
    (r"dolly|mpt\b|dbrx|databricks|mosaic", ("databricks",)),
    (r"open-?assistant|oasst", ("openassistant",)),
    (r"starcoder|starchat|bigcode", ("bigcode",)),
    (r"bloom|bigscience", ("bigscience",)),
    (r"\bopt\b|facebook/opt", ("meta opt",)),
    (r"\byi\b|01-ai", ("yi",)),
    (r"glm|zhipu|thudm", ("glm",)),
    (r"kimi|moonshot", ("moonshot",)),
    (r"minimax|abab", ("minimax",)),
    (r"internlm", ("internlm",)),
    (r"baichuan", ("baichuan",)),
    (r"ernie|wenxin", ("baidu",)),
    (r"hunyuan", ("tencent",)),
    (r"granite|\bibm\b", ("ibm",)),
    (r"nova|titan|amazon", ("amazon",)),
    (r"grok|xai\b", ("xai",)),
    (r"gpt|davinci|curie|babbage|openai|\bo[134]\b", ("openai",)),
)
_COMPILED: Final = tuple((re.compile(pattern), names) for pattern, names in _FAMILIES)
# What follows the model in a name and is the same model: dates, packings, "latest".
_AFTER: Final = re.compile(
    r"([-_: ](20\d\d-?\d\d-?\d\d|\d{4}|\d{6}|latest|preview|gguf|awq|gptq|mlx|fp8|bf16|fp16"
    r"|q\d[\w.]*|int[48]|[48]bit))+$"
)
_SIGNS: Final = re.compile(r"[\s_\-().:]+")


class Relation(StrEnum):
    """How a judge stands to an author."""

    SAME = "same model"
    FAMILY = "same family"
    NONE = "unrelated"
    UNKNOWN = "unknown"


def relation(judge: str, author: str) -> Relation:
    """Return how a judge stands to the author of a response, by their names.

    Args:
        judge: Such as ``gpt-4-0613`` or ``meta-llama/Llama-3.1-8B-Instruct``.
        author: The generator; empty where nobody knows it.
    """
    if not judge.strip() or not author.strip():
        return Relation.UNKNOWN
    if plain(judge) == plain(author):
        return Relation.SAME
    ours, theirs = families(judge), families(author)
    if not ours or not theirs:
        return Relation.UNKNOWN
    return Relation.FAMILY if ours & theirs else Relation.NONE


def related(judge: str, author: str) -> bool:
    """Return whether a judge should not judge this author: the same model or family."""
    return relation(judge, author) in (Relation.SAME, Relation.FAMILY)


def families(name: str) -> frozenset[str]:
    """Return the families that a name tells of; empty where it is unknown."""
    low = name.lower().strip()
    for pattern, found in _COMPILED:
        if pattern.search(low):
            return frozenset(found)
    return frozenset()


def plain(name: str) -> str:
    """Return a name without its publisher, dates, packings and signs: ``gpt40613`` is ``gpt4``."""
    low = name.lower().strip().rpartition("/")[2]
    return _SIGNS.sub("", _AFTER.sub("", low))
