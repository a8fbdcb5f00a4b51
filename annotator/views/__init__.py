"""Pages: fetch what this user may touch, validate, one call, answer."""
