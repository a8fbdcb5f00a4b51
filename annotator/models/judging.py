"""Judges (LLMs that answer the same forms), what they said, and who was to answer what."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from .annotation import Annotation
from .campaign import Annotator, Campaign
from .query import Query

KEY_NAMES = "JUDGE_KEY_"  # whoever names a key may not make us send another secret
MONEY: dict[str, Any] = {"max_digits": 18, "decimal_places": 9}
POSITIVE = [MinValueValidator(1)]
NOT_NEGATIVE = [MinValueValidator(Decimal(0))]


class Judge(models.Model):
    """An LLM that answers a campaign's questions: where it is, what it costs, what it may spend.

    `annotator` is the row under which its answers stand in the record. `trouble` says why it is
    not asked at the moment, in words; a person clears it.
    """

    class Provider(models.TextChoices):
        ENDPOINT = "endpoint", "an OpenAI-compatible endpoint"
        LOCAL = "local", "a Hugging Face model on the worker"

    class Mode(models.TextChoices):
        FORM = "form", "answers the form, in both display orders"
        POINTWISE = "pointwise", "says yes or no to each response alone"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="judges")
    annotator = models.OneToOneField(Annotator, on_delete=models.PROTECT, related_name="judge")
    name = models.SlugField(max_length=80, help_text="Its name in pages, API and exports.")
    provider = models.CharField(max_length=10, choices=Provider, default=Provider.ENDPOINT)
    base_url = models.CharField(  # a URLField would refuse the short names inside a network
        max_length=500,
        blank=True,
        help_text="With the version, such as http://localhost:11434/v1. Of an endpoint.",
    )
    model = models.CharField(
        max_length=300, help_text="Its name at the endpoint; of a local model, name or folder."
    )
    key_name = models.CharField(
        max_length=80,
        blank=True,
        validators=[RegexValidator(rf"^{KEY_NAMES}[A-Z0-9_]+\Z", f"expected {KEY_NAMES}…")],
        help_text=f"Environment variable of the workers that holds the key: {KEY_NAMES}… "
        "Empty where none is needed.",
    )
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.FORM)
    template = models.JSONField(
        default=dict, blank=True, help_text="Parts of the prompt in the place of ours, by name."
    )
    max_tokens = models.PositiveIntegerField(
        default=800, validators=POSITIVE, help_text="Of a reply, reasoning included."
    )
    price_in = models.DecimalField(
        **MONEY, default=0, validators=NOT_NEGATIVE, help_text="For a million tokens sent."
    )
    price_out = models.DecimalField(
        **MONEY, default=0, validators=NOT_NEGATIVE, help_text="For a million tokens received."
    )
    spend_limit = models.DecimalField(
        **MONEY,
        null=True,
        blank=True,
        validators=NOT_NEGATIVE,
        help_text="All its calls together may cost so much, in the currency of the prices.",
    )
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True, validators=POSITIVE)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True, validators=POSITIVE)
    workers = models.PositiveSmallIntegerField(
        default=4,
        validators=[MinValueValidator(1), MaxValueValidator(64)],
        help_text="Questions under way at once.",
    )
    timeout = models.PositiveSmallIntegerField(
        default=120, validators=POSITIVE, help_text="Seconds for one request."
    )
    history_sample = models.PositiveIntegerField(
        default=0,
        help_text="It is also asked so many questions of the imported history, drawn at random, "
        "that people have answered: to measure it before it decides anything.",
    )
    active = models.BooleanField(
        default=True, help_text="It is asked; one judge of a campaign at a time."
    )
    trouble = models.CharField(max_length=500, blank=True, editable=False)
    troubled_at = models.DateTimeField(null=True, blank=True, editable=False)
    retry_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it is tried again by itself."
    )
    measured_from = models.DateTimeField(
        default=timezone.now,
        editable=False,
        help_text="What it said before is not measured: it was another model, or prompt.",
    )
    lost_money = models.DecimalField(
        **MONEY,
        default=0,
        editable=False,
        help_text="Spent on calls that did not end in an answer, because the run was cut short.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["campaign", "name"], name="one_judge_per_name"),
            models.UniqueConstraint(
                fields=["campaign"], condition=Q(active=True), name="one_judge_is_asked"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Judgement(models.Model):
    """What a judge said to one question, both display orders together. Asked once.

    `p` is the probability that `order[0]` is preferred to `order[1]`, not calibrated, where the
    question shows two responses. Without an annotation there was no verdict: `error` names why.
    """

    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="judgements")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="judgements")
    annotation = models.OneToOneField(
        Annotation, null=True, blank=True, on_delete=models.PROTECT, related_name="judgement"
    )
    order = ArrayField(models.BigIntegerField(), help_text="Response ids as first shown.")
    p = models.FloatField(null=True, blank=True)
    inconsistent = models.BooleanField(
        default=False, help_text="The two display orders contradict each other."
    )
    disagreement = models.FloatField(
        default=0.0, help_text="Share of pairs that the two orders put differently."
    )
    related = models.BooleanField(
        default=False, help_text="The judge is related to the author of a response."
    )
    error = models.CharField(max_length=20, blank=True)
    told = models.CharField(max_length=500, blank=True, help_text="The error in words.")
    money = models.DecimalField(**MONEY, default=0)
    seconds = models.FloatField(default=0.0)
    guidelines_version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["judge", "query"], name="judged_once"),
            models.CheckConstraint(
                condition=Q(p__isnull=True) | Q(p__range=(0, 1)), name="p_is_a_probability"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.judge} on {self.query}"


class JudgeCall(models.Model):
    """One call: the prompt as it was sent, the reply as it came, and what it took."""

    judgement = models.ForeignKey(Judgement, on_delete=models.CASCADE, related_name="calls")
    order = ArrayField(models.BigIntegerField(), help_text="Response ids as shown: A first.")
    chose = models.BigIntegerField(
        null=True, blank=True, help_text="Of two responses, the one that this call preferred."
    )
    messages = models.JSONField(help_text="The prompt as it was sent last.")
    reply = models.TextField(blank=True)
    model = models.CharField(max_length=300, help_text="As the endpoint named it.")
    template = models.CharField(max_length=80)
    template_version = models.CharField(max_length=64)
    tokens_in = models.PositiveIntegerField(default=0)
    tokens_out = models.PositiveIntegerField(default=0)
    tokens_estimated = models.BooleanField(default=False, help_text="The endpoint did not count.")
    seconds = models.FloatField(default=0.0)
    money = models.DecimalField(**MONEY, default=0)
    tries = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=20, blank=True)
    told = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"call of {self.judgement}"


class Route(models.Model):
    """Who was to answer a question, and why."""

    class To(models.TextChoices):
        HUMAN = "human", "a person"
        JUDGE = "judge", "the judge"
        NOBODY = "nobody", "nobody for now"

    query = models.OneToOneField(Query, on_delete=models.CASCADE, related_name="route")
    judge = models.ForeignKey(
        Judge, null=True, blank=True, on_delete=models.SET_NULL, related_name="routes"
    )
    to = models.CharField(max_length=6, choices=To)
    reason = models.CharField(max_length=20)
    policy = models.CharField(max_length=40)
    audit = models.BooleanField(
        default=False, help_text="Drawn at random for a person: what the judge is measured on."
    )
    error = models.FloatField(
        null=True, blank=True, help_text="Predicted chance that the judge is wrong."
    )
    value = models.FloatField(
        null=True, blank=True, help_text="Of a person's answer, as the policy saw it."
    )
    propensity = models.FloatField(help_text="Probability with which a person was asked.")
    seconds = models.FloatField(default=0.0, help_text="Expected of a person.")
    created_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [models.Index(fields=["to", "reason"], name="route_by_reason")]

    def __str__(self) -> str:
        return f"{self.query} to {self.to}: {self.reason}"


class JudgeReport(models.Model):
    """What the questions that a person and the judge both answered say of the judge."""

    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="reports")
    audited = models.PositiveIntegerField(help_text="Audited questions it is made of.")
    figures = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.judge}: {self.audited} audited questions"
