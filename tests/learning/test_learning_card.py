"""The encoder card: figures with known answers, and a sentence that follows from intervals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.card import EncoderCard, encoder_card
from learning.card._agreement import agree, best_possible
from learning.card._card import CurvePoint
from learning.card._make import MOST, MOST_EFFECTS, MOST_OTHERWISE, suited
from learning.card._trial import drawn_on, folds
from learning.card._words import words
from learning.data import Comparisons
from learning.errors import ShapeError
from learning.heads import ItemBT, LinearBT
from learning.metrics import Estimate


def answers(rng, phi, theta, *, groups, each, noise=1.0):
    """Answers about pairs within a group, by a linear reward; and the group of each."""
    size = len(phi) // groups
    group = np.repeat(np.arange(groups), each)
    left = group * size + rng.integers(0, size, len(group))
    right = group * size + (left % size + rng.integers(1, size, len(group))) % size
    margin = (phi[left] - phi[right]) @ theta / noise
    outcome = np.where(rng.random(len(group)) < 1 / (1 + np.exp(-margin)), 1, -1)
    return Comparisons.of(left, right, outcome), group


def card_of(rng, *, groups=30, each=30, use=(1.0, 1.0), noise=0.5):
    """A card where embedding and surface matter as much as `use` says."""
    phi = rng.standard_normal((groups * 8, 12)).astype(np.float32)
    theta = rng.standard_normal(12)
    theta *= np.repeat(use, [8, 4]) / np.sqrt(8)
    comparisons, group = answers(rng, phi, theta, groups=groups, each=each, noise=noise)
    return encoder_card(phi[:, :8], phi[:, 8:], comparisons, group, rng=rng)


# --- what the card says of planted worlds -------------------------------------------------


def test_where_there_is_something_in_the_embedding_it_is_found(rng):
    card = card_of(rng, use=(2.0, 0.5))
    assert card.learnable
    assert card.enough
    assert card.accuracy.low > card.surface_accuracy.high
    assert card.gain.low > 0
    assert card.sentence.startswith("There is something to learn here: ")
    assert f"{100 * card.accuracy.value:.0f} % against" in card.sentence


def test_an_embedding_of_noise_adds_nothing_to_surface_features(rng):
    card = card_of(rng, use=(0.0, 2.0))
    assert card.learnable
    assert not card.gain.low > 0
    assert "adds nothing" in card.sentence
    assert "stronger encoder" in card.sentence


def test_where_answers_are_coin_flips_nothing_is_learnable(rng):
    card = card_of(rng, use=(0.0, 0.0), each=60)
    assert not card.learnable
    assert card.accuracy.low < 0.5 < card.accuracy.high
    assert "Nothing to learn here" in card.sentence


def test_a_weak_signal_has_a_low_ceiling(rng):
    card = card_of(rng, use=(1.0, 0.0), noise=3.5, groups=60, each=100)
    assert card.learnable
    assert card.ceiling < 0.6
    assert card.sentence.startswith("With these features the ceiling is about ")
    assert "choose a stronger encoder first" in card.sentence


def test_too_few_answers_or_groups_are_said_to_be_too_few(rng):
    few = card_of(rng, groups=12, each=3)
    assert (few.enough, few.learnable) == (False, False)
    assert few.sentence.startswith("Too little to go by: 36 clear answers about 12 groups")
    assert np.isnan(few.accuracy.value)
    one_sided = card_of(rng, groups=5, each=60)
    assert one_sided.accuracy.value > 0.6
    assert (one_sided.enough, one_sided.learnable) == (False, False)


def test_no_answers_at_all_make_a_card_too(rng):
    empty = encoder_card(np.ones((3, 2)), np.ones((3, 1)), Comparisons.none(), [], rng=rng)
    assert (empty.labels, empty.groups, empty.learnable) == (0, 0, False)
    json.dumps(empty.to_json(), allow_nan=False)


def test_groups_are_never_in_training_and_test_at_once(rng):
    """Each group has a taste of its own: within groups it could be learnt, across it cannot."""
    groups, each = 40, 40
    phi = rng.standard_normal((groups * 8, 6)).astype(np.float32)
    theta = 4.0 * rng.standard_normal((groups, 6))
    group = np.repeat(np.arange(groups), each)
    left, right = (
        group * 8 + rng.integers(0, 4, len(group)),
        group * 8 + rng.integers(4, 8, len(group)),
    )
    outcome = np.sign(((phi[left] - phi[right]) * theta[group]).sum(axis=1))
    card = encoder_card(
        phi[:, :4], phi[:, 4:], Comparisons.of(left, right, outcome), group, rng=rng
    )
    assert card.accuracy.value < 0.58
    assert not card.learnable


def test_more_than_enough_answers_are_looked_at_in_part(rng):
    phi = rng.standard_normal((400, 3)).astype(np.float32)
    comparisons, group = answers(rng, phi, np.ones(3), groups=50, each=MOST // 50 + 20)
    arrays = phi[:, :2], phi[:, 2:], comparisons, group
    card = encoder_card(*arrays, rng=rng, head=LinearBT())
    assert (card.used, card.labels) == (MOST, len(comparisons))
    assert f"(Measured on {MOST:,} of {card.labels:,} answers" in card.sentence
    assert [point.labels for point in card.curve] == [1000, 2000, 4000, 8000]
    slower = encoder_card(*arrays, rng=rng, head=ItemBT())
    assert slower.used == MOST_OTHERWISE


def test_the_head_suits_the_pairs_unless_too_many_responses_recur(rng):
    ring = np.arange(MOST_EFFECTS + 1)
    once = Comparisons.of(ring[:-1:2], ring[1::2], np.ones(len(ring) // 2))
    again = Comparisons.of(ring[:50], np.roll(ring[:50], 1), np.ones(50))
    too_many = Comparisons.of(ring, np.roll(ring, 1), np.ones(len(ring)))
    names = [suited(comparisons).name for comparisons in (once, again, too_many)]
    assert names == ["linear_bt", "item_bt", "linear_bt"]


def test_answers_repeated_by_many_people_do_not_make_it_overconfident(rng):
    """Ten people say the same about every pair, as a taste for single responses decides."""
    groups, size = 40, 4
    phi = rng.standard_normal((groups * size, 20)).astype(np.float32)
    reward = phi @ rng.standard_normal(20) / np.sqrt(20) + 3.0 * rng.standard_normal(len(phi))
    rows = np.arange(len(phi)).reshape(groups, size)
    pairs = np.array([(a, b) for g in rows for a in g for b in g if a < b]).repeat(10, axis=0)
    outcome = np.sign(reward[pairs[:, 0]] - reward[pairs[:, 1]])
    data, group = Comparisons.of(*pairs.T, outcome), pairs[:, 0] // size
    arrays = phi[:, :16], phi[:, 16:], data, group
    linear = encoder_card(*arrays, rng=np.random.default_rng(1), head=LinearBT())
    card = encoder_card(*arrays, rng=np.random.default_rng(1))
    assert card.head == "item_bt"
    assert card.log_loss.value < 0.72 < linear.log_loss.value
    assert card.agreement.value == 1.0


def test_swapping_all_sides_changes_nothing_but_rounding(rng):
    phi = rng.standard_normal((160, 6)).astype(np.float32)
    comparisons, group = answers(rng, phi, np.ones(6), groups=20, each=20)

    def made(data):
        return encoder_card(phi[:, :4], phi[:, 4:], data, group, rng=np.random.default_rng(3))

    one, other = made(comparisons), made(comparisons.swapped())
    assert one.log_loss.value == pytest.approx(other.log_loss.value, abs=1e-6)
    assert one.agreement == other.agreement
    assert one.sentence == other.sentence


def test_the_same_generator_gives_the_same_card():
    one, other = (card_of(np.random.default_rng(4)) for _ in range(2))
    assert one == other


def test_arrays_that_do_not_belong_together_are_refused(rng):
    data = Comparisons.of([0, 1], [1, 2], [1, -1])
    with pytest.raises(ShapeError, match="groups must be"):
        encoder_card(np.ones((3, 2)), np.ones((3, 1)), data, [0], rng=rng)
    with pytest.raises(ShapeError, match="NaN"):
        encoder_card(np.full((3, 2), np.nan), np.ones((3, 1)), data, [0, 1], rng=rng)


def test_plain_values_hold_what_the_contract_names(rng):
    plain = json.loads(json.dumps(card_of(rng).to_json(), allow_nan=False))
    for name in ("accuracy", "log_loss", "surface_accuracy", "majority_accuracy"):
        assert isinstance(plain[name], float)
    low, high = plain["intervals"]["accuracy"]
    assert low < plain["accuracy"] < high
    assert isinstance(plain["learnable"], bool)
    assert isinstance(plain["sentence"], str)
    assert plain["labels"] == 900
    assert plain["agreement"] is None or 0 <= plain["agreement"] <= 1
    assert 0.5 <= plain["majority_accuracy"] < 0.6


# --- agreement ----------------------------------------------------------------------------


def test_agreement_of_known_answers(rng):
    """Three answers for one side and one for the other: 3 of the 6 couples agree. Two that agree
    about a pair shown both ways round. A lone answer says nothing, nor does one with a tie."""
    data = Comparisons.of(
        [0, 0, 1, 0, 2, 3, 5, 4, 4], [1, 1, 0, 1, 3, 2, 6, 7, 7], [1, 1, -1, -1, 1, -1, 1, 1, 0]
    )
    found, pairs = agree(data, np.array([0, 0, 0, 0, 1, 1, 2, 3, 3]), rng)
    assert pairs == 2
    assert found.value == pytest.approx((0.5 + 1.0) / 2)


def test_nobody_to_agree_with_is_not_known(rng):
    found, pairs = agree(Comparisons.of([0], [1], [1]), np.array([0]), rng)
    assert pairs == 0
    assert np.isnan(found.value)
    assert np.isnan(best_possible(found.value))


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_no_guess_beats_what_agreement_allows(chances):
    p = np.array(chances)
    agreement = float(np.mean(p**2 + (1 - p) ** 2))
    assert np.mean(np.maximum(p, 1 - p)) <= best_possible(agreement) + 1e-9


def test_where_all_pairs_are_alike_the_bound_is_reached():
    assert best_possible(0.8**2 + 0.2**2) == pytest.approx(0.8)
    assert best_possible(1.0) == 1.0
    assert best_possible(0.4) == 0.5


# --- folds and curve ----------------------------------------------------------------------


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(0, 99))
@settings(max_examples=50)
def test_folds_are_as_even_as_large_groups_allow(sizes, seed):
    member = np.repeat(np.arange(len(sizes)), sizes)
    fold = folds(member, 5, np.random.default_rng(seed))
    filled = np.bincount(fold[member], minlength=5)
    assert filled.sum() == sum(sizes)
    assert filled.max() - filled.min() <= max(sizes)


def test_a_rising_curve_is_drawn_on_to_where_it_tends():
    points = tuple(CurvePoint(n, 0.7 - 1.0 / np.sqrt(n), 0.6) for n in (100, 200, 400, 800))
    assert drawn_on(points) == pytest.approx(0.7)
    falling = tuple(replace(p, accuracy=0.9 - p.accuracy) for p in points)
    assert drawn_on(falling) == falling[-1].accuracy


# --- the sentence -------------------------------------------------------------------------

GOOD = EncoderCard(
    labels=900,
    used=900,
    decisive=900,
    groups=90,
    head="linear_bt",
    accuracy=Estimate(0.68, 0.65, 0.71),
    log_loss=Estimate(0.60, 0.57, 0.63),
    surface_accuracy=Estimate(0.61, 0.58, 0.64),
    surface_log_loss=Estimate(0.65, 0.62, 0.68),
    gain=Estimate(0.05, 0.03, 0.07),
    majority_accuracy=0.5,
    curve=(CurvePoint(90, 0.6, 0.66), CurvePoint(720, 0.68, 0.6)),
    late_gain=Estimate(0.01, 0.004, 0.016),
    still_rising=True,
    ceiling=0.72,
    agreement=Estimate(float("nan")),
    repeated=0,
    human_ceiling=float("nan"),
    enough=True,
    learnable=True,
    sentence="",
)
FLAT = {"late_gain": Estimate(0.0, -0.01, 0.01), "still_rising": False, "ceiling": 0.68}


def disagreeing(agreement):
    estimate = Estimate(agreement, agreement - 0.01, agreement + 0.01)
    return {"agreement": estimate, "human_ceiling": best_possible(agreement), "repeated": 200}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {},
            "68 % against 61 % from surface features alone and 50 % by chance; the curve is "
            "still rising, towards about 72 %",
        ),
        (FLAT, "the curve has flattened, so a stronger encoder helps more"),
        (disagreeing(0.57), "people's own disagreement allows at most about 70 %"),
        ({"gain": Estimate(0.01, -0.01, 0.03)}, "The embedding adds nothing that can be measured"),
        (
            {"accuracy": Estimate(0.57, 0.55, 0.58), "ceiling": 0.58},
            "With these features the ceiling is about 58 %: choose a stronger encoder first.",
        ),
        (
            {"learnable": False, "accuracy": Estimate(0.51, 0.49, 0.53)},
            "Nothing to learn here with these features: 51 % (49 % to 53 %) after 900 answers. "
            "Choose a stronger encoder first.",
        ),
        (
            {"learnable": False, "accuracy": Estimate(0.56, 0.48, 0.64)},
            "Not to be told yet: 56 % (48 % to 64 %) after 900 answers. Collect more first.",
        ),
        (
            {"learnable": False, "log_loss": Estimate(0.8, 0.7, 0.9)},
            "the probabilities are no better than a coin's",
        ),
        (
            {"learnable": False, "accuracy": Estimate(0.5, 0.48, 0.52), **disagreeing(0.505)},
            "People agree with each other on only 50 % of the pairs",
        ),
        (
            {"late_gain": Estimate(-0.02, -0.03, -0.01), "still_rising": False},
            "The more answers, the worse it gets",
        ),
    ],
)
def test_the_sentence_follows_from_the_intervals(change, said):
    assert said in " ".join(words(replace(GOOD, **change)))


def test_people_who_disagree_are_not_told_to_change_the_encoder():
    nothing = {"learnable": False, "accuracy": Estimate(0.5, 0.48, 0.52)}
    told = " ".join(words(replace(GOOD, **nothing, **disagreeing(0.505))))
    assert "guidelines clearer first" in told
    assert "encoder" not in told
