"""What has to happen once Django is up."""

from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.db.models.signals import post_migrate


class ConfigConfig(AppConfig):
    """Ties Celery to Django in every process, and installs the queues after migrations."""

    name = "config"
    verbose_name = "Tiebreak"

    def ready(self) -> None:
        """Make our Celery application the one that ``send_task`` finds in every thread."""
        from config import celery  # noqa: F401

        # Django announces migrations only for applications that have models.
        post_migrate.connect(install_queues, sender=apps.get_app_config("annotator"))


def install_queues(*, using: str = "default", **_: Any) -> None:
    """Create pgmq's schema where the queues live in the database."""
    from config.broker import install_queue_schema

    if using == "default" and settings.BROKER.in_database:
        install_queue_schema()
