"""Writes. Keyword-only, typed, one transaction each; views, API, admin and commands call these."""
