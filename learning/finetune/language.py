"""What a language model says of prompts and responses: log-likelihoods and predictive entropy.

Any causal model from a folder (:func:`learning.judges.causal.load`: safetensors, no code of its
own). The entropy of a prompt is what ``apl_two_stage`` filters prompts by: it goes into
:attr:`learning.data.Prompts.entropy`.

Source:
    Muldrew et al. (2024), arXiv:2402.08114: the entropy of the policy's answers,
    estimated by sampling.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.errors import ConfigError, NotEnoughData, ShapeError
from learning.judges.base import Message
from learning.judges.causal import CausalModel
from learning.text import Prompt, well_formed

TOKENS: Final = 4_096  # of a batch, padding included
_LOGITS: Final = 2**27  # of a batch that are kept: half a gigabyte


@dataclass(frozen=True, slots=True, eq=False)
class Likelihoods:
    """How likely a model finds responses to their prompts.

    Attributes:
        total: Log-likelihood of each response in nats, shape ``(m,)``; 0 for an empty one.
        tokens: Tokens it is the sum over, shape ``(m,)``.
        truncated: Whether the prompt lost its beginning or the response its end, ``(m,)``.
    """

    total: NDArray[np.float64]
    tokens: NDArray[np.int64]
    truncated: NDArray[np.bool_]

    @property
    def mean(self) -> NDArray[np.float64]:
        """Nats per token, shape ``(m,)``; NaN for a response without tokens."""
        some = np.maximum(self.tokens, 1)
        return np.where(self.tokens > 0, self.total / some, np.nan)


@dataclass(frozen=True, slots=True)
class Entropy:
    """Predictive entropy of a prompt.

    Attributes:
        total: ``-1/K sum log p(y_k | x)`` in nats.
        per_token: The same with each sample's log-likelihood over its tokens.
        error: Standard error of ``per_token``.
        samples: ``K``.
        unfinished: Samples that reached the length limit before the model ended them.
    """

    total: float
    per_token: float
    error: float
    samples: int
    unfinished: int


def log_likelihoods(
    model: CausalModel,
    prompts: Sequence[Prompt],
    responses: Sequence[str],
    *,
    batch_tokens: int = TOKENS,
) -> Likelihoods:
    """Return how likely each response is after its prompt.

    Prompt and response are tokenised each by itself. A text in place of a chat is read as it
    stands; a chat goes through the model's template. Where there is nothing in front, the
    model's beginning (or end) token stands there; a model that has none says nothing of the
    first token, and it is not counted. No end token is added.

    Args:
        model: The model.
        prompts: One for each response, ``m`` of them.
        responses: The responses.
        batch_tokens: Tokens of a batch, padding included; one row may be more.

    Raises:
        ShapeError: not as many prompts as responses.
    """
    if len(prompts) != len(responses):
        raise ShapeError(f"{len(prompts)} prompts for {len(responses)} responses")
    rows = [
        _Row.of(model, prompt_ids(model, prompt), response)
        for prompt, response in zip(prompts, responses, strict=True)
    ]
    total = np.zeros(len(rows))
    for batch in _batches(rows, batch_tokens, int(model.model.config.vocab_size)):
        total[batch] = _totals(model, [rows[at] for at in batch])
    return Likelihoods(
        total=total,
        tokens=np.array([row.counted for row in rows], dtype=np.int64),
        truncated=np.array([row.truncated for row in rows], dtype=np.bool_),
    )


def predictive_entropy(
    model: CausalModel,
    prompt: Prompt,
    *,
    samples: int = 8,
    max_tokens: int = 64,
    seed: int = 0,
) -> Entropy:
    """Estimate the entropy of the model's answers to a prompt by drawing some.

    Drawn at temperature 1 from the whole vocabulary: from any other distribution the mean of
    ``-log p`` would not be the entropy of ``p``. The draws depend on seed and prompt alone, not
    on what else is asked.

    Args:
        model: The model.
        prompt: What is answered; it keeps its end where it is too long.
        samples: ``K``, at least 1. The error falls with its root.
        max_tokens: Longest answer.
        seed: Of the draws.

    Raises:
        ConfigError: fewer than one sample or token, or no room for a token.
        NotEnoughData: an empty prompt, and a model without a token to begin with.
    """
    if samples < 1 or max_tokens < 1:
        raise ConfigError("an entropy needs at least one sample and one token")
    if model.most <= max_tokens:
        raise ConfigError(f"{model.name} reads {model.most} tokens: no room for {max_tokens} more")
    ids = prompt_ids(model, prompt)[-(model.most - max_tokens) :]
    if not ids:
        raise NotEnoughData(f"an empty prompt: {model.name} has no token to begin with")
    digest = hashlib.sha256(np.array([seed, *ids], dtype=np.int64).tobytes()).digest()
    drawn, length, ended = _draw(
        model, ids, samples, max_tokens, int.from_bytes(digest[:8], "little") >> 1
    )
    each = -drawn / length
    spread = float(each.std(ddof=1)) if samples > 1 else float("nan")
    return Entropy(
        total=float(-drawn.mean()),
        per_token=float(each.mean()),
        error=spread / math.sqrt(samples),
        samples=samples,
        unfinished=int((~ended).sum()),
    )


def prompt_ids(model: CausalModel, prompt: Prompt) -> list[int]:
    """Return the tokens in front of a response; never empty if the model has a first token."""
    words = model.tokenizer
    if isinstance(prompt, str):
        text, special = prompt, True
    else:
        text = model.prompt([Message(turn["role"], turn["content"]) for turn in prompt])
        special = not getattr(words, "chat_template", None)
    ids = list(words(well_formed(text), add_special_tokens=special)["input_ids"]) if text else []
    if ids and ids[-1] == words.eos_token_id and isinstance(prompt, str):
        ids.pop()  # some tokenizers end every text
    first = words.bos_token_id if words.bos_token_id is not None else words.eos_token_id
    return ids or ([] if first is None else [int(first)])


@dataclass(frozen=True, slots=True)
class _Row:
    """Tokens of one prompt and response."""

    before: list[int]
    after: list[int]
    truncated: bool

    @classmethod
    def of(cls, model: CausalModel, before: list[int], response: str) -> _Row:
        words = model.tokenizer
        text = well_formed(response)
        after = list(words(text, add_special_tokens=False)["input_ids"]) if text else []
        room = model.most
        kept = after[: room - min(len(before), room // 2)]
        left = before[-(room - len(kept)) :] if room > len(kept) else []
        return cls(left, kept, len(kept) < len(after) or len(left) < len(before))

    @property
    def start(self) -> int:
        """The place whose logits are about the first token that counts."""
        return max(len(self.before) - 1, 0)

    @property
    def counted(self) -> int:
        return max(self.length - 1 - self.start, 0)

    @property
    def length(self) -> int:
        return len(self.before) + len(self.after)


def _batches(rows: Sequence[_Row], most: int, vocabulary: int) -> Iterator[list[int]]:
    """Rows of like length together; what has nothing to be counted is left out."""
    order = [at for at, row in enumerate(rows) if row.counted]
    order.sort(key=lambda at: (rows[at].start, rows[at].length))
    batch: list[int] = []
    for at in order:
        ours = [rows[one] for one in (*batch, at)]
        width = max(row.length for row in ours)
        kept = width - 1 - min(row.start for row in ours)
        full = len(ours) * width > most or len(ours) * kept * vocabulary > _LOGITS
        if batch and full:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def _totals(model: CausalModel, rows: Sequence[_Row]) -> NDArray[np.float64]:
    """Log-likelihood of each row, shape ``(rows,)``; filled up on the right, which is causal."""
    import torch

    width = max(row.length for row in rows)
    first = min(row.start for row in rows)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    counts = torch.zeros((len(rows), width - 1), dtype=torch.bool)
    for place, row in enumerate(rows):
        ids[place, : row.length] = torch.tensor([*row.before, *row.after])
        mask[place, : row.length] = 1
        counts[place, row.start : row.length - 1] = True
    net, device = model.model, model.model.device
    kept = torch.arange(first, width - 1, device=device)
    keeps = "logits_to_keep" in signature(net.forward).parameters
    more: dict[str, Any] = {"logits_to_keep": kept} if keeps else {}
    with torch.inference_mode():
        logits = net(ids.to(device), attention_mask=mask.to(device), use_cache=False, **more).logits
        if not keeps:
            logits = logits[:, first : width - 1]
        steps = torch.log_softmax(logits.float(), dim=-1)
        said = steps.gather(2, ids[:, first + 1 :, None].to(device))[:, :, 0].double()
        total = (said * counts[:, first:].to(device)).sum(dim=1)
    return np.asarray(total.cpu().numpy(), dtype=np.float64)


def _draw(
    model: CausalModel, ids: Sequence[int], samples: int, most: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Draw answers; their log-likelihood, length and whether they ended, each ``(samples,)``."""
    import torch

    net, end = model.model, model.tokenizer.eos_token_id
    rng = torch.Generator().manual_seed(seed)
    total = torch.zeros(samples, dtype=torch.float64)
    length = torch.zeros(samples, dtype=torch.long)
    ended = torch.zeros(samples, dtype=torch.bool)
    with torch.inference_mode():
        out = net(torch.tensor([list(ids)]).to(net.device), use_cache=True)
        past, logits = out.past_key_values, out.logits[:, -1].expand(samples, -1)
        past.batch_repeat_interleave(samples)
        for step in range(most):
            logs = torch.log_softmax(logits.float().cpu(), dim=-1)
            token = torch.multinomial(logs.exp(), 1, generator=rng)  # (samples, 1)
            total += torch.where(ended, 0.0, logs.gather(1, token)[:, 0].double())
            length += ~ended
            if end is not None:
                ended |= token[:, 0] == end
            if bool(ended.all()) or step + 1 == most:
                break
            out = net(token.to(net.device), past_key_values=past, use_cache=True)
            past, logits = out.past_key_values, out.logits[:, -1]
    return total.numpy(), length.numpy(), ended.numpy()
