"""A labelling effort, its guidelines, and the people (and judges) who take part."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from annotator.catalogue import (
    ACQUISITIONS,
    AUTO_HEAD,
    DEFAULT_ACQUISITION,
    DEFAULT_ROUTING,
    HEADS,
    ROUTINGS,
    Refused,
    normalised,
    normalised_routing,
)
from annotator.querysets import CampaignQuerySet

ENCODER = re.compile(r"default|minilm|hashed|hf:\S+")
SHARE = [MinValueValidator(0.0), MaxValueValidator(0.9)]


class Campaign(models.Model):
    """One labelling effort: pool, guidelines, form, policy, budget."""

    class State(models.TextChoices):
        DRAFT = "draft", "draft"
        RUNNING = "running", "running"
        PAUSED = "paused", "paused"
        FINISHED = "finished", "finished"

    class Form(models.TextChoices):
        COMPARE = "compare", "compare two responses"
        RANK = "rank", "rank three to ten responses"
        BEST_WORST = "best_worst", "pick the best and the worst of three to six"
        RATE = "rate", "rate each response"
        ACCEPT = "accept", "good enough or not"
        EDIT = "edit", "rewrite a response"

    class Finetune(models.TextChoices):
        HAND = "hand", "by hand"
        SATURATED = "saturated", "by hand, and by itself when the head has stopped getting better"

    class Candidates(models.TextChoices):
        ITEM = "item", "responses that were imported together"
        PROMPT = "prompt", "any responses to the same prompt"
        ANY = "any", "any two responses, each with its own prompt"

    slug = models.SlugField(unique=True, max_length=60)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    form = models.CharField(
        max_length=20,
        choices=Form,
        default=Form.COMPARE,
        help_text="What is asked; the weak order that models learn from is this form's.",
    )
    follow_ups = ArrayField(
        models.CharField(max_length=20, choices=Form),
        default=list,
        blank=True,
        help_text="Forms asked after it about the same responses, on the same page.",
    )
    form_options = models.JSONField(
        default=dict,
        blank=True,
        help_text="By form, and for the rationale: options that differ from their defaults.",
    )
    set_size = models.PositiveSmallIntegerField(
        "responses shown",
        default=0,
        validators=[MaxValueValidator(10)],
        help_text="How many responses one question shows, where the form leaves it open. "
        "0: those that were imported together, as many as the form can show.",
    )

    candidates = models.CharField(
        max_length=10,
        choices=Candidates,
        default=Candidates.ITEM,
        help_text="Which pairs may be asked.",
    )
    acquisition = models.CharField(
        max_length=40,
        default=DEFAULT_ACQUISITION,
        help_text="How the policy's share of the questions is chosen.",
    )
    acquisition_config = models.JSONField(
        default=dict, blank=True, help_text="Options that differ from their defaults."
    )
    fall_back = models.BooleanField(
        "fall back to random",
        default=True,
        help_text="Draw questions at random, one a prompt, for as long as the encoder card says "
        "that this encoder has learnt nothing here, or that choosing was tried and did not pay, "
        "and, with the default function, until it was tried, unless responses recur in many pairs.",
    )
    head = models.CharField(
        max_length=40, default=AUTO_HEAD, help_text="What is trained on the features."
    )
    encoder = models.CharField(
        max_length=200,
        default="default",
        help_text="default, minilm, hashed, or hf:NAME for any Hugging Face model.",
    )
    finetune = models.CharField(
        "fine-tuning",
        max_length=10,
        choices=Finetune,
        default=Finetune.HAND,
        help_text="When the encoder is trained on the answers. What comes of it is used only if it "
        "is better on the holdout.",
    )
    encoder_version = models.ForeignKey(
        "EncoderVersion",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The fine-tuned encoder in use; none: the encoder above as it is.",
    )
    seed = models.PositiveIntegerField(default=20261120, help_text="All draws derive from it.")

    overlap = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="How many people answer each question.",
    )
    batch_size = models.PositiveIntegerField(
        default=32,
        validators=[MinValueValidator(1), MaxValueValidator(10_000)],
        help_text="Questions published by one round.",
    )
    labels_per_round = models.PositiveIntegerField(
        default=16,
        validators=[MinValueValidator(1)],
        help_text="A round starts when so many new answers have come in.",
    )
    queue_low = models.PositiveIntegerField(
        default=16,
        help_text="A round also starts when fewer questions than this are left that nobody "
        "has been given.",
    )
    random_share = models.FloatField(
        default=0.15, validators=SHARE, help_text="Share of each batch drawn at random (control)."
    )
    holdout_share = models.FloatField(
        default=0.15, validators=SHARE, help_text="Share of each batch put on held-out prompts."
    )
    holdout_prompts = models.FloatField(
        default=0.2,
        validators=SHARE,
        help_text="Share of prompts reserved for testing when the campaign starts; "
        "never trained on.",
    )
    qualification_pass = models.FloatField(
        "pass mark",
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="Share of the qualification questions that must be answered as expected before "
        "the first question, such as 0.8. 0: no test.",
    )
    gold_share = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(0.3)],
        help_text="Share of each person's questions whose answer is known (gold), 0 to 0.3. "
        "0.05 to 0.1 is usual; new people get twice as many at first.",
    )
    repeat_share = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(0.2)],
        help_text="Share of each person's questions that they have answered before, 0 to 0.2. "
        "The repeat measures how steady they are and is no label.",
    )
    routing = models.CharField(
        max_length=40,
        default=DEFAULT_ROUTING,
        help_text="Who answers, a person or the judge. Without a judge people answer everything.",
    )
    routing_config = models.JSONField(
        default=dict, blank=True, help_text="Options that differ from their defaults."
    )
    human_share = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="With a judge: people's part of the time that the questions the policy chose "
        "would take them.",
    )
    human_minutes = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0)],
        help_text="Minutes of attention that people may spend in all. Empty: no limit.",
    )
    budget_spent_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When these minutes were found spent."
    )
    people_only = ArrayField(
        models.CharField(max_length=100),
        default=list,
        blank=True,
        help_text="Tags (an item's subset or meta.tags) whose questions are never left to a "
        "judge, such as safety.",
    )
    image_hosts = ArrayField(
        models.CharField(max_length=253),
        default=list,
        blank=True,
        help_text="Hosts whose pictures are shown in prompts and responses, such as "
        "images.example.org; pictures from elsewhere stay links.",
    )
    lease_minutes = models.PositiveIntegerField(
        default=30,
        validators=[MinValueValidator(1)],
        help_text="How long a question stays reserved for the person who opened it.",
    )

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Settings that are fine one by one and not together, or that no round could use."""
        if self.random_share + self.holdout_share > 0.95:
            raise ValidationError(
                {"random_share": "random and holdout share leave less than 5 % to the policy"}
            )
        self._check_acquisition()
        self._check_routing()
        if self.head not in (AUTO_HEAD, *HEADS):
            known = ", ".join((AUTO_HEAD, *HEADS))
            raise ValidationError({"head": f"expected one of {known}"})
        if not ENCODER.fullmatch(self.encoder):
            raise ValidationError({"encoder": "expected default, minilm, hashed or hf:NAME"})

    def _check_acquisition(self) -> None:
        """Refuse what the function does not know; keep only options that differ from defaults."""
        if self.acquisition not in ACQUISITIONS:
            known = ", ".join(ACQUISITIONS)
            raise ValidationError({"acquisition": f"expected one of {known}"})
        config = self._options("acquisition_config")
        try:
            self.acquisition_config = normalised(self.acquisition, config)
        except Refused as refused:
            raise ValidationError({"acquisition_config": str(refused)}) from refused

    def _check_routing(self) -> None:
        """The same for the routing policy."""
        if self.routing not in ROUTINGS:
            known = ", ".join(ROUTINGS)
            raise ValidationError({"routing": f"expected one of {known}"})
        config = self._options("routing_config")
        try:
            self.routing_config = normalised_routing(self.routing, config)
        except Refused as refused:
            raise ValidationError({"routing_config": str(refused)}) from refused

    def _options(self, column: str) -> dict[str, Any]:
        config: object = getattr(self, column)
        if not isinstance(config, dict):
            raise ValidationError({column: f"expected options by name, got {config!r}"})
        return config


class Guidelines(models.Model):
    """One version of what annotators are asked to do; never edited, only followed by the next."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="guidelines")
    version = models.PositiveIntegerField()
    text = models.TextField(help_text="Markdown.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-version"]
        verbose_name_plural = "guidelines"
        constraints = [
            models.UniqueConstraint(fields=["campaign", "version"], name="one_guidelines_version")
        ]

    def __str__(self) -> str:
        return f"{self.campaign} guidelines v{self.version}"


class Membership(models.Model):
    """What one signed-in person may do in one campaign."""

    class Role(models.TextChoices):
        OWNER = "owner", "owner"
        RESEARCHER = "researcher", "researcher"
        ANNOTATOR = "annotator", "annotator"
        VIEWER = "viewer", "viewer"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=10, choices=Role, default=Role.ANNOTATOR)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "user"], name="one_role_per_campaign")
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.campaign}"


class Preferences(models.Model):
    """How one person likes to work, in all campaigns."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preferences"
    )
    keys = models.JSONField(
        default=dict, blank=True, help_text="Action to key, where it differs from the default."
    )

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return f"preferences of {self.user}"


class Annotator(models.Model):
    """Who answers in one campaign: a signed-in person, an imported pseudonym, or a judge."""

    class Kind(models.TextChoices):
        HUMAN = "human", "person"
        LLM = "llm", "judge"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="annotators")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="annotators",
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.HUMAN)
    pseudonym = models.CharField(
        max_length=200, help_text="The only name that leaves the system in exports."
    )
    imported = models.BooleanField(
        default=False, help_text="A name from a file: never the same person as one who signs in."
    )
    guidelines_read = models.PositiveIntegerField(
        default=0, help_text="Latest guidelines version this person has read."
    )
    practised_at = models.DateTimeField(
        null=True, blank=True, help_text="When the practice round was done."
    )
    qualified_at = models.DateTimeField(
        null=True, blank=True, help_text="When the test was passed, or waived by a researcher."
    )
    disqualified_at = models.DateTimeField(
        null=True, blank=True, help_text="When the test was not passed: nothing more is asked."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "kind", "imported", "pseudonym"],
                name="one_annotator_per_pseudonym",
            ),
            models.UniqueConstraint(
                fields=["campaign", "user"],
                condition=models.Q(user__isnull=False),
                name="one_annotator_per_person",
            ),
        ]

    def __str__(self) -> str:
        return self.pseudonym
