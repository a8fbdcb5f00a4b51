"""What an encoder is trained on: texts, and judgements about pairs of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning import _checks
from learning.data import Comparisons
from learning.errors import ShapeError
from learning.finetune.errors import NothingToLearn
from learning.text import Prompt, joined


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Labelled pairs with their texts. All of it is training data: no holdout in here.

    Attributes:
        prompts: What each response answers, ``m`` of them: text or chat turns.
        responses: Texts, ``m`` of them.
        comparisons: Judgements whose rows point into ``responses``, ``n`` of them.
        group: What folds must not tear apart, such as the prompt of each comparison, ``(n,)``.
        noise: Probability that a label is wrong, in [0, 0.5), ``(n,)``; ``None`` is 0.
        aspects: Ratings of single responses, NaN where unrated, ``(m, k)`` float32, or ``None``.
    """

    prompts: tuple[Prompt, ...]
    responses: tuple[str, ...]
    comparisons: Comparisons
    group: NDArray[np.int64]
    noise: NDArray[np.float64] | None = None
    aspects: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        m, n = len(self.responses), len(self.comparisons)
        if len(self.prompts) != m:
            raise ShapeError(f"there are {len(self.prompts)} prompts for {m} responses")
        if n and int(self.comparisons.pairs.max()) >= m:
            raise ShapeError(f"comparisons point beyond the {m} responses")
        group = _checks.vector(self.group, "group", np.int64, length=n)
        object.__setattr__(self, "group", group)
        if self.noise is not None:
            noise = _checks.vector(self.noise, "noise", np.float64, length=n)
            if not ((noise >= 0) & (noise < 0.5)).all():
                raise ShapeError("noise must be in [0, 0.5)")
            object.__setattr__(self, "noise", noise)
        if self.aspects is not None:
            self._check_aspects(m)

    def _check_aspects(self, m: int) -> None:
        aspects = np.asarray(self.aspects, dtype=np.float32)
        if aspects.ndim != 2 or len(aspects) != m:
            raise ShapeError(f"aspects must be ({m}, k), got {aspects.shape}")
        if np.isinf(aspects).any():
            raise ShapeError("aspects must be finite, or NaN where nobody rated")
        object.__setattr__(self, "aspects", aspects)

    def __len__(self) -> int:
        return len(self.comparisons)

    @classmethod
    def of(
        cls, prompts: Sequence[Prompt], responses: Sequence[str], comparisons: Comparisons
    ) -> Examples:
        """Build with one group a prompt; responses of a comparison must answer the same one."""
        named: dict[str, int] = {}
        place = [named.setdefault(joined(prompt, ""), len(named)) for prompt in prompts]
        group = np.array(place, dtype=np.int64)[comparisons.left]
        return cls(tuple(prompts), tuple(responses), comparisons, group)

    def subset(self, rows: NDArray[Any]) -> Examples:
        """Return the comparisons that an index array or mask ``(n,)`` picks; all texts stay."""
        return Examples(
            prompts=self.prompts,
            responses=self.responses,
            comparisons=self.comparisons.subset(rows),
            group=self.group[rows],
            noise=None if self.noise is None else self.noise[rows],
            aspects=self.aspects,
        )

    def check(self) -> None:
        """Refuse what nothing can be learnt from.

        Raises:
            NothingToLearn: no labels, or all of them ties.
        """
        if not len(self):
            raise NothingToLearn("There are no labels to learn from.")
        if not self.comparisons.decisive.any():
            raise NothingToLearn(
                f"All {len(self)} labels are ties; none says which response is better."
            )

    def digest(self) -> str:
        """Return 16 hex digits that change with any text, label, weight, group or rating."""
        found = hashlib.sha256()
        for prompt, response in zip(self.prompts, self.responses, strict=True):
            text = joined(prompt, response).encode("utf-8", "surrogatepass")
            found.update(len(text).to_bytes(8, "little") + text)
        data = self.comparisons
        columns = (data.left, data.right, data.outcome, data.strength, data.weight, self.group)
        for column in (*columns, self.noise, self.aspects):
            found.update(b"-" if column is None else np.ascontiguousarray(column).tobytes())
        return found.hexdigest()[:16]
