"""What scripts install to talk to a Tiebreak site; the site itself is not needed for it."""
