"""What every form of feedback is made of: options, input rules, a weak order, keys, a template.

A question is answered in *parts*, one after the other on one page: the campaign's form, forms
that follow it, and the rationale. Each part reads its own fields of what was sent, and all of
them together become one `Answer`: one weak order with an optional line of "good enough", from
which one likelihood learns, whatever was clicked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn, TypeAlias

from django import forms
from django.utils.translation import gettext as _

from annotator.errors import InvalidAnswer
from annotator.models import Annotation

Outcome = Annotation.Outcome
Tiers = tuple[tuple[int, ...], ...]
Options = Mapping[str, Any]
Words: TypeAlias = Any  # text, or text that is translated when somebody reads it
EDITED = 0  # stands in a weak order for the response that an edit makes: it has no id yet
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Shown:
    """What the person saw: response ids in the drawn order, with their texts.

    Attributes:
        order: Response ids, A first.
        texts: The text of each.
        lot: A number in [0, 1) that the assignment decides: who is asked for a reason.
    """

    order: tuple[int, ...]
    texts: tuple[str, ...] = ()
    lot: float = 0.0

    @property
    def letters(self) -> str:
        """The names under which the responses are on the page."""
        return LETTERS[: len(self.order)]


@dataclass(frozen=True)
class Edit:
    """A response rewritten by the person.

    Attributes:
        of: Id of the response that was rewritten.
        text: What it became.
    """

    of: int
    text: str


@dataclass(frozen=True)
class Said:
    """What one part found out; `None` where it says nothing.

    Attributes:
        tiers: A weak order over response ids, best first; ids may be missing.
        acceptable: How many of the tiers are good enough.
        good: Ids that are good enough, where no order says so.
        strength: 1 to 3.
        outcome: Where the part decides it.
        edit: A rewritten response; it stands as `EDITED` in the weak order.
        rationale: Free text.
        details: Everything else, as JSON.
    """

    tiers: Tiers | None = None
    acceptable: int | None = None
    good: frozenset[int] | None = None
    strength: int | None = None
    outcome: Outcome | None = None
    edit: Edit | None = None
    rationale: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One validated answer, in response ids: independent of the side a response was shown on."""

    outcome: Outcome
    tiers: Tiers | None = None
    acceptable: int | None = None
    strength: int | None = None
    rationale: str = ""
    edit: Edit | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Timing:
    """How long the person took, as their browser measured it. Milliseconds."""

    first_action_ms: int | None = None
    active_ms: int | None = None


class Part(ABC):
    """One module of `annotator.forms`.

    Attributes:
        name: In campaigns, queries and exports.
        label: What it is, in a few words.
        question: The heading on the page.
        help: A sentence for annotators.
        template: Partial that shows it below the responses, or empty.
        least, most: How many responses it can be asked about.
        card: Partial shown under each response, or empty.
        options: A Django form of what a campaign can choose; its initial values are the defaults.
    """

    name: ClassVar[str]
    label: ClassVar[Words]
    question: ClassVar[Words]
    help: ClassVar[Words]
    template: ClassVar[str] = ""
    card: ClassVar[str] = ""
    least: ClassVar[int]
    most: ClassVar[int]
    options: ClassVar[type[forms.Form]] = forms.Form

    @abstractmethod
    def inputs(self, data: Mapping[str, Any], *, shown: Shown, options: Options) -> PartInput:
        """The fields that it reads of what was sent, filled with that."""

    @abstractmethod
    def parse(
        self, data: Mapping[str, Any], *, shown: Shown, options: Options, so_far: Said
    ) -> Said:
        """Validate what was sent. Raises `InvalidAnswer` with the errors by field."""

    @abstractmethod
    def context(
        self, *, shown: Shown, options: Options, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the template needs, with the values of a draft or a refused answer."""


class PartInput(forms.Form):
    """What one part may send; complaints become an `InvalidAnswer`."""

    def read(self) -> dict[str, Any]:
        """The cleaned values.

        Raises:
            InvalidAnswer: with the messages by field.
        """
        if not self.is_valid():
            raise InvalidAnswer(
                {name: [str(e) for e in said] for name, said in self.errors.items()}
            )
        return self.cleaned_data

    @staticmethod
    def refuse(field: str, said: str) -> NoReturn:
        """Refuse what only the parts before make wrong."""
        raise InvalidAnswer({field: [said]})


class WordsField(forms.CharField):
    """A list of short words, one a line or separated by commas."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 40})

    def __init__(self, *, longest: int = 40, most: int = 30, **named: Any) -> None:
        self.longest, self.most = longest, most
        super().__init__(**named)

    def prepare_value(self, value: Any) -> Any:
        """Shown one a line."""
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        """The words, each once, in the order given."""
        if isinstance(value, str):
            value = value.replace(",", "\n").splitlines()
        if value is None:
            return []
        if not isinstance(value, list | tuple) or not all(isinstance(w, str) for w in value):
            raise forms.ValidationError(_("expected a list of words"))
        return list(dict.fromkeys(word.strip() for word in value if word.strip()))

    def validate(self, value: list[str]) -> None:
        """Refuse what would not fit a button."""
        if self.required and not value:
            raise forms.ValidationError(_("expected at least one word"))
        if len(value) > self.most:
            raise forms.ValidationError(
                _("%(n)s words; the limit is %(most)s") % {"n": len(value), "most": self.most}
            )
        for word in value:
            if len(word) > self.longest:
                raise forms.ValidationError(
                    _("“%(word)s…” has %(n)s characters; the limit is %(most)s")
                    % {"word": word[:20], "n": len(word), "most": self.longest}
                )

    def run_validators(self, value: Any) -> None:
        """None but those above."""


def not_one_of(letters: str) -> str:
    """A complaint that Django fills with what was sent."""
    said = _("“%(value)s” is not one of %(letters)s.")
    return said % {"value": "%(value)s", "letters": ", ".join(letters)}


def shown_words(words: Sequence[str], ours: Mapping[str, Words]) -> list[str]:
    """Words of a campaign's option as a page shows them.

    Ours, which it left as they were, are translated; a list of its own is in its own language.
    What is stored stays the same.
    """
    return [str(ours[word]) for word in words] if list(words) == list(ours) else list(words)


def position(letter: str, shown: Shown) -> int:
    """Response id behind a letter."""
    return shown.order[shown.letters.index(letter)]


def tiers_by(key: Mapping[int, Any], order: Sequence[int]) -> Tiers:
    """Responses in tiers by a key, the largest first; ids without a key are left out."""
    found = sorted({key[pk] for pk in order if pk in key}, reverse=True)
    return tuple(tuple(pk for pk in order if pk in key and key[pk] == value) for value in found)
