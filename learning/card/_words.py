"""What the figures say, in plain sentences; every turn is decided by an interval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from learning.card._agreement import best_possible
from learning.card._card import EncoderCard

FEWEST: Final = 50  # decisive answers
FEWEST_GROUPS: Final = 10  # an interval over fewer is a guess
LOW_CEILING: Final = 0.60
_NEAR: Final = 0.03  # of what people's own disagreement allows
_SAME: Final = 0.01  # accuracies that nobody would tell apart


def words(card: EncoderCard) -> Iterator[str]:
    """What the figures say, in plain sentences."""
    if not card.enough:
        yield (
            f"Too little to go by: {card.decisive} clear answers about {card.groups} groups of "
            f"prompts; {FEWEST} about {FEWEST_GROUPS} are the least."
        )
        return
    disagree = _allowed(card) < LOW_CEILING
    if disagree:
        yield (
            f"People agree with each other on only {_percent(card.agreement.value)} of the pairs "
            f"that several answered, so no model can predict single answers better than about "
            f"{_percent(card.human_ceiling)}: make the question or the guidelines clearer first."
        )
    yield from _learnt(card) if card.learnable else _nothing_learnt(card, disagree)
    if card.late_gain.high < 0:
        yield (
            "The more answers, the worse it gets: the model takes what is special about responses "
            "that are judged again and again for a rule."
        )
    if card.used < card.labels:
        yield f"(Measured on {card.used:,} of {card.labels:,} answers, drawn at random.)"


def _allowed(card: EncoderCard) -> float:
    """The most that people's disagreement may allow: the upper end; NaN where not known."""
    return best_possible(card.agreement.high)


def _nothing_learnt(card: EncoderCard, disagree: bool) -> Iterator[str]:
    seen = f"{_percent(card.accuracy.value)} ({_percent(card.accuracy.low)} to "
    seen += f"{_percent(card.accuracy.high)})"
    if card.accuracy.low > 0.5:
        yield (
            f"The better side is found in {seen}, {_percent(card.surface_accuracy.value)} from "
            f"surface features alone, but the probabilities are no better than a coin's: choosing "
            f"cannot help before there are more answers or a stronger encoder."
        )
    elif card.accuracy.high >= LOW_CEILING:
        yield f"Not to be told yet: {seen} after {card.labels:,} answers. Collect more first."
    else:
        yield f"Nothing to learn here with these features: {seen} after {card.labels:,} answers."
        if not disagree:
            yield "Choose a stronger encoder first."


def _learnt(card: EncoderCard) -> Iterator[str]:
    here, alone = _percent(card.accuracy.value), _percent(card.surface_accuracy.value)
    if not card.gain.low > 0:
        yield (
            f"The embedding adds nothing that can be measured: {here} against {alone} from "
            f"surface features alone (length, lists, tone) and 50 % by chance. Choose a stronger "
            f"encoder first."
        )
    elif card.ceiling < LOW_CEILING and not _allowed(card) < card.ceiling + _NEAR:
        yield (
            f"With these features the ceiling is about {_percent(card.ceiling)}: choose a "
            f"stronger encoder first."
        )
    else:
        better = ""
        if card.accuracy.value < card.surface_accuracy.value + _SAME:
            losses = f"{card.log_loss.value:.3f} against {card.surface_log_loss.value:.3f}"
            better = f", with better probabilities (log-loss {losses})"
        yield (
            f"There is something to learn here: {here} against {alone} from surface features "
            f"alone and 50 % by chance{better}; {_course(card)}."
        )


def _course(card: EncoderCard) -> str:
    allowed = _allowed(card)
    if card.accuracy.low < allowed < card.accuracy.value + _NEAR:
        return (
            f"people's own disagreement allows at most about {_percent(allowed)}, so more people a "
            f"pair or clearer guidelines help more than a stronger encoder"
        )
    if card.still_rising:
        further = card.ceiling > card.accuracy.value + _SAME
        towards = f", towards about {_percent(card.ceiling)}" if further else ""
        return f"the curve is still rising{towards}"
    return "the curve has flattened, so a stronger encoder helps more than more answers"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
