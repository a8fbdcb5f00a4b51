"""Django application of the web side."""

from django.apps import AppConfig


class AnnotatorConfig(AppConfig):
    """People, campaigns, queries and annotations."""

    name = "annotator"
    default_auto_field = "django.db.models.BigAutoField"
