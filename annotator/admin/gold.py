"""Questions with a known answer: made from an item, decided anew, retired."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from annotator.checks import expected_words
from annotator.errors import InvalidInput
from annotator.forms.base import LETTERS
from annotator.models import Campaign, GoldAnswer, Item
from annotator.services import gold as keys

from .base import ReadOnlyAdmin

TIER = re.compile(r"\s*>\s*")
LEVEL = re.compile(r"\s*=\s*")


class GoldForm(forms.ModelForm):
    """The key in the letters of the item: what a researcher reads and types."""

    item = forms.ModelChoiceField(
        queryset=Item.objects.none(),
        widget=forms.NumberInput,
        help_text="The number of the imported row whose question it is. Easier: choose the row "
        "under Items and press “Make it a question with a known answer” on its page.",
    )
    order = forms.CharField(
        label="expected order",
        required=False,
        max_length=100,
        help_text="By the letters of the item's responses, best first: A > B, or A > B = C. "
        "A = B is a tie. Letters may be left out. Empty: no order is expected.",
    )
    good_enough = forms.CharField(
        required=False,
        max_length=100,
        help_text="For forms that ask for it: letters that are good enough, such as A, C; the "
        "others must not be. “none” for none of them. Empty: not looked at.",
    )

    class Meta:
        model = GoldAnswer
        fields = ["purpose", "explanation"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = self.instance.pk is not None
        if stored:  # the question stays, its key is decided anew
            del self.fields["item"]
            self.fields.pop("purpose", None)
            ids = response_ids(self.instance.query.item, self.instance)
            self.fields["order"].initial = in_letters(self.instance.tiers, ids)
            good = [LETTERS[n] for n, pk in enumerate(ids) if self.instance.good.get(str(pk))]
            said = ", ".join(good) or ("none" if self.instance.good else "")
            self.fields["good_enough"].initial = said

    def clean(self) -> dict[str, Any]:
        """Letters become response ids."""
        clean: dict[str, Any] = super().clean() or self.cleaned_data
        item = self.instance.query.item if self.instance.pk else clean.get("item")
        if item is None and not self.instance.pk:
            return clean
        ids = response_ids(item, self.instance)
        for name, read in (("order", tiers_of), ("good_enough", good_of)):
            try:
                clean[name] = read(clean.get(name) or "", ids)
            except InvalidInput as error:
                self.add_error(name, str(error))
        if not self.errors and not clean["order"] and not clean["good_enough"]:
            self.add_error("order", "Say which order is expected, or what is good enough.")
        if not self.errors and not self.instance.pk:
            said = keys.misfit(campaign=item.campaign, responses=len(ids))
            if said:
                self.add_error("item", said)
        return clean


def response_ids(item: Item | None, gold: GoldAnswer) -> list[int]:
    """The responses behind A, B, …: as the item has them."""
    if item is not None:
        return list(dict.fromkeys(item.places.values_list("response_id", flat=True)))
    return sorted(gold.query.members.values_list("response_id", flat=True))


def in_letters(tiers: list[list[int]] | None, ids: list[int]) -> str:
    """A > B = C."""
    return " > ".join(
        " = ".join(sorted(LETTERS[ids.index(pk)] for pk in tier)) for tier in tiers or []
    )


def tiers_of(text: str, ids: list[int]) -> list[list[int]] | None:
    """A weak order in response ids."""
    if not text.strip():
        return None
    tiers = [[_named(name, ids) for name in LEVEL.split(tier)] for tier in TIER.split(text.strip())]
    named = [pk for tier in tiers for pk in tier]
    if len(set(named)) != len(named) or len(named) < 2:
        raise InvalidInput("expected two letters or more, each once, such as A > B")
    return tiers


def good_of(text: str, ids: list[int]) -> dict[int, bool]:
    """Response id to whether it is good enough; the letters that are not named are not."""
    said = text.strip()
    if not said:
        return {}
    named = [] if said.lower() == "none" else [_named(name, ids) for name in said.split(",")]
    return {pk: pk in named for pk in ids}


def _named(name: str, ids: list[int]) -> int:
    letter = name.strip().upper()
    known = LETTERS[: len(ids)]
    if len(letter) != 1 or letter not in known:
        raise InvalidInput(f"expected letters from A to {known[-1]}, got {name!r:.20}")
    return ids[known.index(letter)]


@admin.register(GoldAnswer)
class GoldAnswerAdmin(ReadOnlyAdmin):
    """Keys of all versions; who may change campaigns may decide about them."""

    form = GoldForm
    list_display = ["question", "campaign", "purpose", "key", "version", "active", "answers"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "purpose", "active"]
    list_select_related = ["campaign", "query__item"]
    search_fields = ["query__item__external_id"]
    actions = ["retire", "restore"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Gold belongs to its campaign."""
        return request.user.has_perm("annotator.change_campaign")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Old versions are history."""
        may: bool = request.user.has_perm("annotator.change_campaign")
        return may and (obj is None or obj.active)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may see campaigns."""
        return request.user.has_perm("annotator.view_campaign") or self.has_change_permission(
            request, obj
        )

    def get_fields(self, request: HttpRequest, obj: GoldAnswer | None = None) -> list[str]:
        """The texts stand beside the key once there is a question."""
        if obj is None:
            return ["item", "purpose", "order", "good_enough", "explanation"]
        if not self.has_change_permission(request, obj):
            return ["campaign", "purpose", "version", "active", "texts", "key", "explanation"]
        return ["campaign", "purpose", "texts", "order", "good_enough", "explanation"]

    def get_readonly_fields(self, request: HttpRequest, obj: GoldAnswer | None = None) -> list[str]:
        """The question itself stays."""
        return ["campaign", "purpose", "texts", "key"] if obj is not None else []

    def get_form(
        self, request: HttpRequest, obj: GoldAnswer | None = None, change: bool = False, **kw: Any
    ) -> Any:
        """Items of campaigns that this person steers."""
        if obj is not None and not self.has_change_permission(request, obj):
            return super().get_form(request, obj, change, **{**kw, "form": forms.ModelForm})
        shown = ["explanation"] if obj is not None else ["purpose", "explanation"]
        made: Any = super().get_form(request, obj, change, **{**kw, "fields": shown})
        steered = Campaign.objects.steered_by(request.user)
        mine = Item.objects.filter(campaign__in=steered).select_related("campaign")
        made.base_fields["item"].queryset = mine
        return made

    def save_model(self, request: HttpRequest, obj: GoldAnswer, form: Any, change: bool) -> None:
        """A new question, or the next version of its key."""
        said = form.cleaned_data
        shared: dict[str, Any] = {
            "tiers": said["order"],
            "good": said["good_enough"],
            "explanation": said["explanation"],
            "user": request.user,
        }
        if change:
            made = keys.revise_gold(gold=obj, **shared)
        else:
            made = keys.add_gold(item=said["item"], purpose=said["purpose"], **shared)
        obj.__dict__.update(made.__dict__)

    @admin.display(description="question", ordering="query_id")
    def question(self, gold: GoldAnswer) -> str:
        """The item's id."""
        return str(gold.query.item or gold.query)

    @admin.display(description="expected")
    def key(self, gold: GoldAnswer) -> str:
        """In the letters of the item."""
        return "; ".join(expected_words(gold, response_ids(gold.query.item, gold)))

    @admin.display(description="answers")
    def answers(self, gold: GoldAnswer) -> int:
        """How many people answered."""
        return gold.query.annotations.standing().count()

    @admin.display(description="texts")
    def texts(self, gold: GoldAnswer) -> SafeString:
        """Prompt and responses by letter."""
        texts = dict(gold.query.responses.values_list("pk", "text"))
        ids = response_ids(gold.query.item, gold)
        rows = [("Prompt", gold.query.prompt.content)]
        rows += [(LETTERS[n], texts.get(pk, "")) for n, pk in enumerate(ids)]
        inside = format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows)
        return format_html("<dl>{}</dl>", inside)

    @admin.action(description="Retire: asked of nobody, counted for nothing", permissions=["add"])
    def retire(self, request: HttpRequest, queryset: QuerySet[GoldAnswer]) -> None:
        """Nobody is given these any more."""
        for gold in queryset.select_related("query"):
            keys.retire_gold(gold=gold)
        messages.success(request, "Retired.")

    @admin.action(description="Take up again what was retired", permissions=["add"])
    def restore(self, request: HttpRequest, queryset: QuerySet[GoldAnswer]) -> None:
        """Their newest versions decide again."""
        for gold in queryset:
            keys.restore_gold(gold=gold)
        messages.success(request, "Taken up again.")
