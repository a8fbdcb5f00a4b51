"""`manage.py` commands: thin, over services."""
