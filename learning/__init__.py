"""Preference learning without a web framework: arrays in, frozen results out.

Nothing here knows about Django, Celery or a database, nothing keeps global state, and
every random choice takes a ``numpy.random.Generator``. Modules import neither torch nor
transformers until a text encoder is really loaded, so that a round which only refits a
head stays cheap.
"""
