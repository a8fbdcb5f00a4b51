"""How much memory training takes, estimated before anything is loaded.

Counted: weights, gradients, both moments of AdamW, and what a forward pass keeps for the backward
pass, which depends on the tokens that are computed at a time. The last part follows Korthikanti et
al. (2022), arXiv:2205.05198, eq. 1, without tensor parallelism and without the attention matrices
that fused kernels do not keep: about ``34 h`` bytes a token and layer at two bytes a number, where
``h`` is the width; recomputing (section 5 there) keeps ``2 h`` a layer and one whole layer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from learning.finetune import averaging, lower, texts
from learning.finetune.data import Examples
from learning.finetune.errors import OutOfMemory, UnusableModel
from learning.finetune.model import assemble, check, last_layer
from learning.finetune.plan import Plan
from learning.finetune.train_state import in_half

_SAMPLE: Final = 512  # responses whose length is looked at
_BASE: Final = 600 * 2**20  # bytes of torch and of the libraries themselves
_KERNELS: Final = 2 * 2**30  # oneDNN compiles bfloat16 for every shape and keeps it: 1.4 measured
_CPU_PAIRS: Final = 8
# Times as much with adapters on a CPU, as measured (MiniLM): what they keep is small and lies
# between what is freed, so that malloc gives back little.
_HOLES: Final = 2.5
_STATES: Final = 4  # what lower layers made of texts may take a quarter of the main memory


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes by part.

    Attributes:
        weights: The model.
        gradients: Of what is trained.
        moments: Of AdamW, and the best weights so far that tuning keeps.
        activations: Of ``pairs`` pairs at a time.
        program: The libraries.
        states: What lower layers that are not trained make of all texts, where it is kept.
        pairs: Pairs computed at a time at first.
        least: Bytes of activations with one pair at a time.
        available: Bytes that are free now, on the device that would be used.
        trained: Numbers that are trained.
    """

    weights: int
    gradients: int
    moments: int
    activations: int
    program: int
    states: int
    pairs: int
    least: int
    available: int
    trained: int

    @property
    def total(self) -> int:
        """Bytes with ``pairs`` pairs at a time."""
        return self.fixed + self.activations

    @property
    def fixed(self) -> int:
        """Bytes without activations."""
        return self.weights + self.gradients + self.moments + self.program + self.states

    @property
    def fits(self) -> bool:
        """Whether one pair at a time fits."""
        return self.fixed + self.least <= self.available

    def to_dict(self) -> dict[str, int]:
        """Return all of it as plain values."""
        return {**asdict(self), "total": self.total}

    def check(self) -> None:
        """Refuse what cannot fit.

        Raises:
            OutOfMemory: it cannot, even with one pair at a time; says the figures.
        """
        if self.fits:
            return
        wanted, there = (self.fixed + self.least) / 2**30, self.available / 2**30
        raise OutOfMemory(
            f"Training needs about {wanted:.1f} GiB with one pair at a time, and {there:.1f} GiB "
            "are free. LoRA, a shorter max_tokens or a smaller model needs less."
        )


def estimate_memory(base: Path, plan: Plan, examples: Examples) -> MemoryEstimate:
    """Estimate, from the base's config and a sample of the texts; no weights are read.

    Args:
        base: Folder of an encoder, decoder or reward model.
        plan: How it is to be trained.
        examples: What on.

    Raises:
        UnusableModel: the folder cannot be trained from.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    check(base)
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(base, num_labels=1, **safe)
        tokenizer = AutoTokenizer.from_pretrained(base, **safe)
        texts.ready(tokenizer, config)
        with torch.device("meta"):
            core = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise UnusableModel(f"The model in {base.name} cannot be loaded: {error}") from error
    made = assemble(core, tokenizer, limit=plan.max_tokens)
    if averaging.wanted(core, base):
        averaging.add(core)
    cuda = torch.cuda.is_available()
    half = in_half(plan, torch.device("cuda" if cuda else "cpu"))
    lora = plan.method == "lora"
    total = sum(one.numel() for one in core.parameters())
    left_out = lower.below(core, plan.layers)
    trained = _trained(core, plan, left_out)
    pairs = plan.micro_batch or (plan.batch if cuda else min(_CPU_PAIRS, plan.batch))
    longest, mean = _lengths(examples, made.reader)
    text = config.get_text_config()
    layers = int(getattr(text, "num_hidden_layers", 12)) - left_out
    width = int(getattr(text, "hidden_size", made.dim))
    tokens = round(mean * len(np.unique(examples.comparisons.pairs))) if left_out else 0
    alone = not made.decoder or (plan.share_prefix, plan.packing) == ("off", "off")
    keeps = alone and not plan.checkpointing and not cuda and room_for_states(tokens, width)

    def kept(tokens: int) -> int:
        whole = 34 * width * (1 if half and cuda else 2) * tokens
        found = whole + layers * 2 * width * tokens * 2 if plan.checkpointing else whole * layers
        return int(found * (_HOLES if lora and not cuda else 1))

    return MemoryEstimate(
        weights=total * (2 if lora and half else 4),
        gradients=4 * trained,
        moments=8 * trained + (0 if plan.epochs else 4 * trained),
        activations=kept(2 * pairs * longest),
        program=_BASE + (_KERNELS if half and not cuda else 0),
        states=4 * width * tokens if keeps else 0,
        pairs=pairs,
        least=kept(2 * longest),
        available=available(),
        trained=trained,
    )


def available() -> int:
    """Return bytes that are free on the GPU, or on this machine where there is none."""
    import psutil
    import torch

    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        return int(free)
    return int(psutil.virtual_memory().available)


def peak() -> int:
    """Return the most bytes used so far, of the GPU or of this process."""
    import resource

    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024


def room_for_states(tokens: int, width: int) -> bool:
    """Whether what lower layers make of so many tokens may be kept in main memory."""
    import psutil

    return bool(4 * width * tokens <= psutil.virtual_memory().available // _STATES)


def _trained(core: Any, plan: Plan, left_out: int) -> int:
    """How many numbers are trained."""
    import torch

    upper = lower.upper(core, left_out)
    if plan.method != "lora":
        return sum(one.numel() for name, one in core.named_parameters() if name in upper)
    last = last_layer(core)
    found = [
        one
        for name, one in core.named_modules()
        if isinstance(one, torch.nn.Linear) and one is not last and f"{name}.weight" in upper
    ]
    beside = sum(plan.lora_rank * (one.in_features + one.out_features) for one in found)
    return int(beside + last.in_features + 1)


def _lengths(examples: Examples, reader: texts.Reader) -> tuple[int, float]:
    """Tokens of a long text, the 95th percentile of a sample, and of the mean one."""
    spread = max(1, len(examples.responses) // _SAMPLE)
    rows = reader.rows(examples.prompts[::spread], examples.responses[::spread])
    lengths = [len(row) for row in rows] or [reader.limit]
    return int(np.quantile(lengths, 0.95)), float(np.mean(lengths))
