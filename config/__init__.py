"""The Django project: settings, addresses, Celery, the embedded database and the demo."""
