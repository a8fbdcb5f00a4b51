"""The Celery application: queues ``default``, ``learning`` and ``judges``.

Web processes only send by name (``current_app.send_task``); ``worker.tasks`` is imported
by workers alone.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("tiebreak", include=["worker.tasks"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()  # current_app is per thread; the default serves every web thread


def prepare_broker(**_: Any) -> None:
    """Have pgmq's schema before the first look at a queue."""
    from django.conf import settings

    from config.broker import install_queue_schema

    if settings.BROKER.in_database:
        install_queue_schema()


worker_init.connect(prepare_broker)
beat_init.connect(prepare_broker)
