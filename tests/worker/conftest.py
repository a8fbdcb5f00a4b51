"""The same cast as on the web side."""

from tests.annotator.conftest import ada, as_ada, as_ruth, ben, campaign, ruth, sam

__all__ = ["ada", "as_ada", "as_ruth", "ben", "campaign", "ruth", "sam"]
