"""A local Hugging Face language model: how likely it finds one continuation or another.

Only weights as safetensors, no code of the model's own, nothing fetched: a folder on this
machine. torch and transformers are loaded when a model is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path as Folder
from threading import Lock
from typing import Any, Final

from learning.encoders.huggingface import fingerprint
from learning.errors import EncoderError
from learning.judges.base import Message
from learning.judges.errors import CannotAsk, TooLong
from learning.judges.filling import Path
from learning.text import well_formed

_LONGEST: Final = 8_192  # tokens, where a model does not say how many it can read


@dataclass(frozen=True, slots=True)
class CausalModel:
    """A loaded model; see :func:`load`. Threads take turns.

    Attributes:
        name: Folder name and a fingerprint of its files.
        model, tokenizer: As transformers loads them.
        most: Tokens that it can read.
    """

    name: str
    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    most: int = _LONGEST
    _lock: Lock = field(default_factory=Lock, repr=False)

    def prompt(self, messages: Sequence[Message]) -> str:
        """The chat as the model was taught to read one, up to where its reply begins.

        A tokenizer without a chat template gets roles and colons; one that refuses system
        messages gets them in front of the user's.
        """
        turns = [{"role": turn.role, "content": well_formed(turn.content)} for turn in messages]
        if not getattr(self.tokenizer, "chat_template", None):
            return "".join(f"{t['role']}: {t['content']}\n\n" for t in turns) + "assistant: "
        named: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True}
        try:
            return str(self.tokenizer.apply_chat_template(turns, **named))
        except Exception:  # jinja's errors have no common base with transformers'
            rules = "\n\n".join(t["content"] for t in turns if t["role"] == "system")
            rest = [dict(turn) for turn in turns if turn["role"] != "system"]
            rest[0]["content"] = f"{rules}\n\n{rest[0]['content']}"
            return str(self.tokenizer.apply_chat_template(rest, **named))

    def tokens(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self._ids(text))

    def log_likelihoods(self, before: str, continuations: Sequence[str]) -> list[float]:
        """Log probability of each continuation of a text, in nats.

        Each is tokenised together with the end of the text, since a tokenizer may join the two;
        what all of them share counts for all and cancels between them. What they share is read
        once, and logits are kept only where they are needed: a vocabulary is wide.

        Raises:
            TooLong: the text does not fit the model.
        """
        import torch

        rows = [self._ids(before + one) for one in continuations]
        shared = _shared(rows)
        longest = max(map(len, rows))
        if longest > self.most:
            raise TooLong(f"{longest} tokens are more than {self.name} can read ({self.most})")
        if shared == 0:
            raise CannotAsk("there is nothing before the continuations")
        tails = [row[shared:] for row in rows]
        with self._lock, torch.inference_mode():
            out = self._forward([rows[0][:shared]], keep=1)
            first = torch.log_softmax(out.logits[0, -1].float(), dim=-1)
            totals = [float(first[tail[0]]) for tail in tails]
            if longest - shared > 1:
                rest = self._rest(tails, out.past_key_values, shared)
                totals = [one + more for one, more in zip(totals, rest, strict=True)]
        return totals

    def _rest(self, tails: Sequence[Sequence[int]], past: Any, shared: int) -> list[float]:
        """Log probability of what follows the first token of each tail."""
        import torch

        past.batch_repeat_interleave(len(tails))
        fed = [tail[:-1] for tail in tails]
        out = self._forward(fed, past=past, before=shared)
        steps = torch.log_softmax(out.logits.float(), dim=-1)
        return [
            sum(float(steps[row, place, token]) for place, token in enumerate(tail[1:]))
            for row, tail in enumerate(tails)
        ]

    def _forward(
        self, rows: Sequence[Sequence[int]], *, past: Any = None, before: int = 0, keep: int = 0
    ) -> Any:
        """Run the model on rows filled up on the right, which nothing before it looks at."""
        import torch

        width = max(map(len, rows))
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        mask = torch.ones((len(rows), before + width), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row, dtype=torch.long)
        device = self.model.device
        more = {"logits_to_keep": keep} if keep and self._keeps else {}
        return self.model(
            ids.to(device),
            attention_mask=mask.to(device),
            past_key_values=past,
            use_cache=True,
            **more,
        )

    @property
    def _keeps(self) -> bool:
        """Whether the model can leave out the logits of what is only read."""
        return "logits_to_keep" in signature(self.model.forward).parameters

    def _ids(self, text: str) -> list[int]:
        # Chat templates write the beginning-of-text token themselves.
        special = not getattr(self.tokenizer, "chat_template", None)
        return list(self.tokenizer(well_formed(text), add_special_tokens=special)["input_ids"])


@dataclass(frozen=True, slots=True)
class Choosing:
    """Chooses what a model finds likelier, after a prompt.

    Attributes:
        model: The model.
        prompt: What it reads before its reply.
    """

    model: CausalModel
    prompt: str

    def weigh(self, path: Path, options: Sequence[Any], so_far: str) -> list[float]:
        """Probabilities of the options among themselves."""
        del path
        written = [json.dumps(option, ensure_ascii=False) for option in options]
        # What follows decides where a word ends: "1" is also the beginning of "10".
        ended = [text if text.endswith('"') else f"{text}," for text in written]
        return shares(self.model.log_likelihoods(self.prompt + so_far, ended))


def load(folder: Folder, *, threads: int | None = None) -> CausalModel:
    """Load a model from a folder.

    Args:
        folder: With config, tokenizer and weights as safetensors.
        threads: CPU threads that torch may use, for this whole process; None leaves it alone.

    Raises:
        EncoderError: the files are missing, or not loadable without the model's own code.
    """
    if not (folder / "config.json").is_file():
        raise EncoderError(f"{folder} holds no config.json")
    mark = fingerprint(folder)  # refuses a folder without safetensors
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if threads is not None:
        torch.set_num_threads(threads)
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
        model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **safe)
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(f"{folder} cannot be loaded as a language model: {error}") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    said = getattr(model.config, "max_position_embeddings", None)
    most = said if isinstance(said, int) and said > 0 else _LONGEST
    name = f"{folder.resolve().name}:{mark}"
    return CausalModel(name, model.to(device).eval(), tokenizer, most)


def shares(logs: Sequence[float]) -> list[float]:
    """Log-likelihoods as probabilities among themselves."""
    top = max(logs)
    raised = [math.exp(one - top) for one in logs]
    return [one / sum(raised) for one in raised]


def _shared(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all rows begin with; each has one more at least."""
    shortest = min(map(len, rows))
    for place in range(shortest):
        if len({row[place] for row in rows}) > 1:
            return place
    return shortest - 1
