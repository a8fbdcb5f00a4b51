"""What could be asked: prompts, their responses, and the items they were imported in."""

from __future__ import annotations

from django.db import models

from .campaign import Campaign


class Prompt(models.Model):
    """The input: a text, or chat turns; stored once however many items share it."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="prompts")
    digest = models.CharField(max_length=32, help_text="Of the content and context.")
    content = models.JSONField(help_text="A string, or a list of {role, content}.")
    context = models.TextField(blank=True, help_text="Long source text the prompt refers to.")
    lot = models.FloatField(
        help_text="Uniform in [0, 1), derived from the campaign's seed: the holdout is lot < share."
    )
    is_holdout = models.BooleanField(default=False, help_text="Never trained on.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "digest"], name="one_prompt_per_content")
        ]

    def __str__(self) -> str:
        return f"prompt {self.pk}"


class Response(models.Model):
    """One candidate answer to a prompt."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="responses")
    digest = models.CharField(max_length=32, help_text="Of the text and the model's name.")
    text = models.TextField(blank=True)
    model = models.CharField(
        max_length=200, blank=True, help_text="Who wrote it; never shown to annotators."
    )
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="edits",
        help_text="The response that a person rewrote into this one.",
    )
    extra = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt", "digest"], name="one_response_per_text")
        ]

    def __str__(self) -> str:
        return f"response {self.pk}"


class Item(models.Model):
    """One imported row: a prompt with the responses that came with it, under its own id."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="items")
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="items")
    external_id = models.CharField(max_length=300)
    digest = models.CharField(max_length=32, help_text="Of the row without its annotations.")
    task = models.CharField(max_length=20)
    source = models.CharField(max_length=200, blank=True)
    group = models.CharField(max_length=300, blank=True)
    extra = models.JSONField(default=dict, blank=True, help_text="subset, split, meta.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "external_id"], name="one_item_per_id")
        ]

    def __str__(self) -> str:
        return self.external_id


class ItemResponse(models.Model):
    """Which response stands where in an imported item."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="places")
    response = models.ForeignKey(Response, on_delete=models.CASCADE, related_name="places")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["item", "position"], name="one_response_per_place")
        ]

    def __str__(self) -> str:
        return f"{self.item}[{self.position}]"
