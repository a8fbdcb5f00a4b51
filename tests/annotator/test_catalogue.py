"""What the campaign form offers is what there is."""

from __future__ import annotations

from annotator.catalogue import ACQUISITIONS
from learning.acquisition import METHODS


def test_the_campaign_form_offers_what_the_learning_side_has() -> None:
    offered = {entry.name: (entry.summary, entry.diagnostic) for entry in ACQUISITIONS}
    assert offered == {m.name: (m.summary, m.diagnostic) for m in METHODS.values()}
