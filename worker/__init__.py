"""Background work: the only place where the web side and the learning side meet."""
