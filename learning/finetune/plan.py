"""How an encoder is trained: all options, their ranges, and what "by itself" stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from learning import options
from learning.errors import ConfigError
from learning.options import option

FEWEST_MEMBERS: Final = 4  # of an ensemble: two that have not seen a label, and two that have
_ON: Final = ("auto", "on", "off")
_MEDIUM, _LARGE = 200_000_000, 2_000_000_000  # weights


@dataclass(frozen=True, slots=True)
class Plan:
    """Options of a fine-tuning run; see each one's sentence."""

    method: str = option(
        "full",
        "Train all weights, or small adapters beside them (LoRA): less memory with large models.",
        choices=("full", "lora"),
    )
    layers: int = option(
        0,
        "Train only so many of the uppermost layers; the others are computed once, which saves "
        "time where there is little. 0: all.",
        low=0,
        high=1000,
    )
    epochs: int = option(
        0, "Passes over the labels; 0 chooses by cross-validation.", low=0, high=100
    )
    max_epochs: int = option(4, "Most passes that cross-validation may choose.", low=1, high=100)
    folds: int = option(
        0,
        "Folds of the cross-validation; 1 is one held-out fifth, which is cheapest, and 0 takes "
        "5 below 300 labels, 3 up to 3,000, otherwise 1.",
        low=0,
        high=20,
    )
    learning_rate: float = option(
        0.0, "Largest step size of AdamW; 0 chooses by method and size.", low=0.0, high=1.0
    )
    batch: int = option(
        32,
        "Pairs in one step; what several people said of a pair goes together.",
        low=1,
        high=4096,
    )
    micro_batch: int = option(
        0, "Pairs computed at a time; 0 chooses, and halves when memory runs out.", low=0, high=4096
    )
    max_tokens: int = option(
        256, "Tokens of prompt and response that are read together.", low=16, high=131_072
    )
    lora_rank: int = option(16, "Rank of the adapters.", low=1, high=1024)
    lora_alpha: float = option(32.0, "Scale of the adapters.", low=0.001, high=10_000)
    weight_decay: float = option(0.01, "Decoupled weight decay of matrices.", low=0.0, high=1.0)
    warmup: float = option(0.06, "Share of the steps in which the rate rises.", low=0.0, high=1.0)
    dropout: bool = option(
        False, "Keep the model's dropout; it makes the two rewards of a pair noisy apart."
    )
    clip: float = option(1.0, "Largest norm of a gradient.", low=0.0001, high=10_000)
    precision: str = option(
        "auto",
        "Of the arithmetic: bfloat16 on a GPU that has it, float32 elsewhere.",
        choices=("auto", "float32", "bfloat16"),
    )
    checkpointing: bool = option(
        False, "Compute activations twice rather than keep them: less memory, a third slower."
    )
    share_prefix: str = option(
        "auto", "Read a prompt once for all its responses, where the model allows it.", choices=_ON
    )
    packing: str = option(
        "auto", "Put several prompts into one row, where the model allows it.", choices=_ON
    )
    aspects: bool = option(True, "Learn ratings of aspects beside the preference, where given.")
    tie: float = option(
        -1.0, "Davidson's nu; -1 learns it, 0 is plain Bradley-Terry.", low=-1.0, high=100.0
    )
    members: int = option(
        0,
        "Adapters of an ensemble that is trained beside the model, for functions that look at "
        "uncertainty beyond the last layer, such as bald; 4 to 32 of them, and 0 is none.",
        low=0,
        high=32,
    )
    seed: int = option(0, "Decides order, dropout and folds.", low=0, high=2**31 - 1)
    threads: int = option(1, "CPU threads.", low=1, high=1024)
    checkpoint_seconds: float = option(
        120.0, "Seconds between checkpoints.", low=0.0, high=86_400.0
    )

    def __post_init__(self) -> None:
        if 0 < self.members < FEWEST_MEMBERS:
            raise ConfigError(
                f"plan.members must be 0 or at least {FEWEST_MEMBERS}, got {self.members}"
            )

    @classmethod
    def read(cls, given: Mapping[str, Any] | None) -> Plan:
        """Build from plain JSON values, missing ones at their defaults.

        Raises:
            ConfigError: an option is unknown, of the wrong type or out of range.
        """
        plan: Plan = options.read(cls, given, "plan")
        return plan

    def to_dict(self) -> dict[str, Any]:
        """Return all options as plain values, as :meth:`read` takes them."""
        return asdict(self)

    @property
    def most_epochs(self) -> int:
        """How many passes at most."""
        return self.epochs or self.max_epochs

    def rate(self, weights: int) -> float:
        """Return the learning rate for a model of so many weights.

        Adapters start at zero and take larger steps (Hu et al. 2021, arXiv:2106.09685, table
        11); large models smaller ones.
        """
        if self.learning_rate:
            return self.learning_rate
        if self.method == "lora":
            return 2e-4
        return 5e-5 if weights < _MEDIUM else 2e-5 if weights < _LARGE else 1e-5

    def fold_count(self, labels: int) -> int:
        """Return how many folds are trained; 1 is one held-out fifth."""
        if self.folds:
            return self.folds
        return 5 if labels < 300 else 3 if labels <= 3_000 else 1
