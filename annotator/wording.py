"""What a round's report and an encoder card say, for people: words where there are, else tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Report = Mapping[str, Any]

FELL_BACK = {
    "encoder": (
        "This encoder has not been able to learn enough here to choose by, so questions are drawn "
        "at random, one a prompt, until it can; choose a stronger encoder or collect more answers."
    ),
    "payoff": (
        "Choosing has not been shown to save answers here, so questions are drawn at random, one a "
        "prompt; it is tried again on the campaign's own answers when they have doubled."
    ),
    "untried": (
        "Nothing shows yet that choosing saves answers here, and where a response occurs in few "
        "pairs it seldom does, so questions are drawn at random, one a prompt, until it has been "
        "tried on the campaign's own answers. To choose at once, switch 'fall back to random' off "
        "or name another function."
    ),
}


def some(number: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 pair, 12 pairs."""
    return f"{number:,} {one if number == 1 else many or one + 's'}".replace(",", "\u202f")


def sentences(report: Report) -> list[str]:
    """What happened when a round chose, most important first; nothing for old reports."""
    policy = report.get("policy")
    if not policy:
        return []
    found = [_fell_back(policy), _at_random(policy), _short(report)]
    said = (_members, _entropies, _screened, _prefiltered, _limited, _drawn, _filled)
    found += [say(policy) for say in said]
    return [text for text in (*found, _proven(policy), _costs(policy)) if text]


def facts(report: Report) -> dict[str, str]:
    """What the function noted besides, by name."""
    selection = (report.get("policy") or {}).get("selection") or {}
    return {
        key.replace("_", " "): _shown(value)
        for key, value in selection.items()
        if key not in SAID and value is not None
    }


def options(report: Report) -> dict[str, str]:
    """Every option that was used, defaults included."""
    used = (report.get("policy") or {}).get("options") or {}
    return {key.replace("_", " "): _shown(value) for key, value in used.items()}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _noted(policy: Report, key: str) -> Any:
    return (policy.get("selection") or {}).get(key)


def _fell_back(policy: Report) -> str:
    wanted = policy.get("instead_of")
    if not wanted:
        return ""
    return f"{FELL_BACK[policy.get('because', 'encoder')]} (The campaign asks for {wanted}.)"


def _at_random(policy: Report) -> str:
    why = policy.get("fallback")
    return f"{why}; until then questions are drawn at random, one a prompt." if why else ""


def _short(report: Report) -> str:
    wanted, chosen = report.get("wanted", 0), sum((report.get("chosen") or {}).values())
    if wanted == 0:
        return "The queue was full: nothing had to be chosen."
    if chosen < wanted:
        return f"{some(wanted, 'question')} were wanted, the pool had {chosen} left."
    return ""


def _members(policy: Report) -> str:
    """Whether the adapters of an ensemble were looked at, or why not."""
    told = policy.get("ensemble")
    if not told:
        return ""
    if "unused" in told:
        return (
            f"The adapters of encoder version {told['version']} were not used, the head was: "
            f"{told['unused']}."
        )
    since = told["since"]
    taken = f"; {some(since, 'answer')} since then {'is' if since == 1 else 'are'} taken in"
    return (
        f"The choice used {some(told['members'], 'adapter')} of encoder version "
        f"{told['version']}, trained on {some(told['labels'], 'answer')}{taken if since else ''}."
    )


def _entropies(policy: Report) -> str:
    """Whose entropies of prompts were used."""
    whose = _noted(policy, "entropy")
    if whose is None:
        return ""
    if whose == "head":
        return (
            "No language model's entropies of these prompts were imported: how unsure the head is "
            "of their pairs stood in."
        )
    model = _noted(policy, "entropy_model") or "that was imported"
    told = f"The entropies of prompts are those of the language model {model}"
    n = _noted(policy, "unknown") or 0
    if not n:
        return f"{told}."
    return f"{told}; it says nothing of {some(n, 'prompt')}: the mean of the others stood in."


def _screened(policy: Report) -> str:
    n = _noted(policy, "screened") or 0
    if not n:
        return ""
    were, their = ("was", "its") if n == 1 else ("were", "their")
    return f"{some(n, 'pair')} {were} left out because {their} features are implausibly large."


def _prefiltered(policy: Report) -> str:
    n = _noted(policy, "prefiltered") or 0
    return f"The prefilter set {some(n, 'pair')} aside as the least uncertain." if n else ""


def _limited(policy: Report) -> str:
    asked = (policy.get("options") or {}).get("per_prompt") or 0
    most = policy.get("most_of_one_prompt") or 0
    if asked == 0 or most <= asked:
        return ""
    return f"Up to {some(most, 'question')} about one prompt: there are too few for {asked} each."


def _drawn(policy: Report) -> str:
    n = _noted(policy, "random") or 0
    return f"The random share of the policy drew {some(n, 'question')}." if n else ""


def _filled(policy: Report) -> str:
    n = _noted(policy, "filled_at_random") or 0
    said = "drawn at random to fill the batch: screen and limits had left too few"
    return f"{some(n, 'question')} {'was' if n == 1 else 'were'} {said}." if n else ""


def _proven(policy: Report) -> str:
    certificate = _noted(policy, "certificate")
    if certificate is None:
        return ""
    if certificate <= 1:
        return "Each choice is proven to have been the best of the whole pool at its turn."
    return (
        f"Not every choice is proven to be the best: a pair that was not looked at closely may "
        f"have been worth up to {certificate:.2f} times as much."
    )


def _costs(policy: Report) -> str:
    found = policy.get("answering")
    if found is None:
        return ""
    odds, seconds = found["odds_gain"], found["seconds_gain"]
    if odds is None and seconds is None:
        events = some(found["events"], "answer or skip", "answers and skips")
        return f"{events} are too few to tell which pairs are answered fast: all count the same."
    typical = f"{found['chance']:.0%} of questions are answered, in {found['seconds']:.0f} seconds"
    told = [
        _helps("the chance of an answer", any(found["odds"].values())),
        _helps("the time", any(found["log_seconds"].values())),
    ]
    return f"For a typical pair, {typical}; {told[0]}, {told[1]}."


def _helps(what: str, does: bool) -> str:
    return f"the texts {'tell' if does else 'do not tell'} {what}"


SAID = {"screened", "prefiltered", "per_prompt", "random", "filled_at_random", "certificate"}
SAID |= {"entropy", "entropy_model", "unknown"}

CARD = (  # figure, name, whether it is a share
    ("accuracy", "accuracy with this encoder", True),
    ("surface_accuracy", "accuracy from surface features alone", True),
    ("majority_accuracy", "accuracy of always naming the same side", True),
    ("ceiling", "accuracy with many more answers, if the curve goes on", True),
    ("agreement", "two people agree on a pair", True),
    ("human_ceiling", "accuracy that people's disagreement allows", True),
    ("log_loss", "log-loss with this encoder (a coin: 0.693)", False),
    ("surface_log_loss", "log-loss from surface features alone", False),
    ("gain", "log-loss that the embedding saves", False),
    ("late_gain", "log-loss that the second half of the answers saved", False),
)


def card_rows(figures: Report) -> list[tuple[str, str, str]]:
    """Name, value and 95 % interval of each figure that a card has."""
    intervals = figures.get("intervals") or {}
    return [
        (name, _figure(figures[key], share), _interval(intervals.get(key), share))
        for key, name, share in CARD
        if figures.get(key) is not None
    ]


def _figure(value: float, share: bool) -> str:
    return f"{value * 100:.1f}\u202f%" if share else f"{value:.3f}"


def _interval(ends: Any, share: bool) -> str:
    if not ends or None in ends:
        return ""
    return " to ".join(_figure(end, share) for end in ends)
