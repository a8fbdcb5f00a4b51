"""Prompt and response as tokens: how they are joined, and what is left out when too long.

An encoder gets the two as a pair of segments, with its own special tokens in between; a chat is
written as plain roles. A decoder gets them as its chat template writes a conversation, or, without
one, the prompt, an empty line and the response. Prompt and response are tokenised apart, so that
all responses to a prompt begin with the same tokens.

The prompt may take half of the room and keeps its *end*, where the question is; the response has
what is left and keeps its *beginning*. So how a prompt is cut never depends on the response.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.finetune.errors import UnusableModel
from learning.text import Prompt, joined, well_formed

_CHARACTERS: Final = 40  # a token: spares the tokenizer megabytes
_EMPTY_LINE: Final = "\n\n"
_MARK: Final = "0response0"
_LEAST: Final = 8  # tokens of room, or nothing can be read
_AT_A_TIME: Final = 1024  # texts


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One prompt with one response, as a model reads them.

    Attributes:
        ids: Tokens, shape ``(t,)``, at least one, int32.
        shared: How many of them are the prompt's and the same for all its responses.
        second: Where the second segment begins; ``t`` where there is none.
        cut: Whether something was left out.
        state: Input of layer number ``layer``, shape ``(t, h)``, where the layers below it were
            computed already (`learning.finetune.lower`).
        layer: Where a model begins to read it.
    """

    ids: NDArray[np.int32]
    shared: int
    second: int
    cut: bool
    state: NDArray[np.float32] | None = field(default=None, repr=False)
    layer: int = 0

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Reader:
    """Turns texts into rows; see :func:`reader`.

    Attributes:
        tokenizer: With a padding token.
        limit: Most tokens of a row.
        pair: Whether the model reads two segments.
        before, between, after: Special tokens around prompt and response.
        types: Whether the second segment has a token type of its own.
    """

    tokenizer: Any = field(repr=False)
    limit: int
    pair: bool
    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: bool

    @property
    def pad(self) -> int:
        """The padding token."""
        return int(self.tokenizer.pad_token_id)

    def rows(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> list[Row]:
        """Return one row a response, in their order; empty texts are fine."""
        place: dict[str, int] = {}
        distinct: list[Prompt] = []
        owner = []
        for prompt in prompts:
            key = joined(prompt, "")
            if key not in place:
                place[key] = len(distinct)
                distinct.append(prompt)
            owner.append(place[key])
        frames = [self._frame(prompt) for prompt in distinct]
        far = _CHARACTERS * self.limit
        starts = list(self._tokens([frame.start[-far:] for frame in frames], content=self.pair))
        ends = {tail: next(self._tokens([tail])) for tail in {frame.tail for frame in frames}}
        told = self._tokens([response[:far] for response in responses], content=True)
        made = []
        for number, ids, response in zip(owner, told, responses, strict=True):
            frame = frames[number]
            long = len(frame.start) > far or len(response) > far
            made.append(self._row(starts[number], ids, ends[frame.tail], long=long))
        return made

    def _row(self, start: list[int], told: list[int], tail: list[int], *, long: bool) -> Row:
        after = [*tail, *self.after]
        room = self.limit - len(self.before) - len(self.between) - len(after)
        kept = start[-(room // 2) :] if room // 2 < len(start) else start
        said = told[: room - len(kept)]
        first = [*self.before, *kept, *self.between]
        ids = np.array([*first, *said, *after], dtype=np.int32)
        cut = long or len(kept) < len(start) or len(said) < len(told)
        return Row(ids, len(first), len(first) if self.types else len(ids), cut)

    def _frame(self, prompt: Prompt) -> _Frame:
        if self.pair:
            return _Frame(plain(prompt))
        if getattr(self.tokenizer, "chat_template", None):
            found = self._templated(prompt)
            if found is not None:
                return found
        return _Frame(plain(prompt) + _EMPTY_LINE)

    def _templated(self, prompt: Prompt) -> _Frame | None:
        """What the chat template writes around the response; None where it refuses the turns."""
        turns = as_turns(prompt)
        answer = {"role": "assistant", "content": _MARK}
        try:
            start = self.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True
            )
            whole = self.tokenizer.apply_chat_template([*turns, answer], tokenize=False)
        except Exception:  # jinja's errors have no common base with transformers'
            return None
        head, found, tail = str(whole).rpartition(_MARK)
        if not found:
            return None
        return _Frame(head if head.startswith(start) else str(start), tail)

    def _tokens(self, texts: Sequence[str], *, content: bool = False) -> Iterator[list[int]]:
        """Tokens without special ones around; in ``content`` nothing is taken for a special one."""
        for begin in range(0, len(texts), _AT_A_TIME):
            clean = [well_formed(text) for text in texts[begin : begin + _AT_A_TIME]]
            more = {"split_special_tokens": True} if content else {}
            found = self.tokenizer(clean, add_special_tokens=False, verbose=False, **more)
            yield from found["input_ids"]


@dataclass(frozen=True, slots=True)
class _Frame:
    """What stands before a response, prompt included, and behind it."""

    start: str
    tail: str = ""


def plain(prompt: Prompt) -> str:
    """Return a prompt as text: itself, or a chat's turns with their roles."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1 and (prompt[0].get("role") or "user") == "user":
        return prompt[0].get("content") or ""
    return _EMPTY_LINE.join(f"{turn['role']}: {turn['content']}" for turn in as_turns(prompt))


def as_turns(prompt: Prompt) -> list[dict[str, str]]:
    """Return a prompt as chat turns that have a role and a content."""
    turns: Sequence[Mapping[str, str]] = (
        [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    )
    return [
        {
            "role": turn.get("role") or "user",
            "content": well_formed(turn.get("content") or ""),
        }
        for turn in turns
    ]


def ready(tokenizer: Any, config: Any) -> None:
    """Give a tokenizer a padding token where it has none, and tell the model's config of it.

    Padding is the end token, or the separator or unknown token where there is no end either:
    it is masked, so which one it is does not matter.

    Raises:
        UnusableModel: there is no token that could be used.
    """
    if tokenizer.pad_token_id is None:
        named = ("eos_token", "sep_token", "unk_token")
        token = next((t for name in named if (t := getattr(tokenizer, name, None))), None)
        if token is None:
            raise UnusableModel(
                "The model's tokenizer has neither a padding nor an end token, and no other "
                "that could stand for one."
            )
        tokenizer.pad_token = token
    known = getattr(config.get_text_config(), "vocab_size", None)
    if isinstance(known, int) and tokenizer.pad_token_id >= known:
        raise UnusableModel("The model's tokenizer has a padding token that the model lacks.")
    tokenizer.padding_side = "right"
    config.pad_token_id = tokenizer.pad_token_id
    config.get_text_config().pad_token_id = tokenizer.pad_token_id


def reader(tokenizer: Any, *, limit: int, pair: bool) -> Reader:
    """Return how a model reads, found by looking at what its tokenizer puts around texts.

    Args:
        tokenizer: With a padding token, see :func:`ready`.
        limit: Most tokens of a row.
        pair: Whether it is an encoder, which reads two segments.

    Raises:
        UnusableModel: hardly anything fits between the special tokens.
    """
    texts = ("a", "a") if pair else ("a",)
    # Tokenizers warn about what is longer than their model, this is not; and masks are plain.
    made = tokenizer(*texts, return_special_tokens_mask=True, return_token_type_ids=True)
    ids, special = list(made["input_ids"]), list(made["special_tokens_mask"])
    content = [place for place, one in enumerate(special) if not one]
    first, last = content[0], content[-1]
    inner = [place for place in range(first, last) if special[place]]
    between = tuple(ids[place] for place in inner) if pair else ()
    after = tuple(ids[last + 1 :])
    if not pair:
        after = _ending(tokenizer, after)
    has_types = pair and len(set(made["token_type_ids"])) > 1
    before = tuple(ids[:first])
    if not pair and getattr(tokenizer, "chat_template", None):
        before, after = (), ()  # the template writes them
    if limit - len(before) - len(between) - len(after) < _LEAST:
        raise UnusableModel(f"The model reads {limit} tokens; that is too few for any text.")
    return Reader(tokenizer, limit, pair, before, between, after, has_types)


def _ending(tokenizer: Any, after: tuple[int, ...]) -> tuple[int, ...]:
    """End a decoder's text with its end token, unless that is what padding looks like."""
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    if after or end is None or end == pad:
        return after
    return (int(end),)


def tensors(
    rows: Sequence[Row], reader: Reader, device: Any = "cpu", *, multiple: int = 1
) -> dict[str, Any]:
    """Return rows filled up on the right, ``(b, t)``, as the model's forward takes them.

    Where all rows have a state, also ``state`` and ``layer``, which
    :meth:`learning.finetune.model.RewardModel.features` takes out.
    """
    import torch

    width = -(-max(map(len, rows)) // multiple) * multiple
    ids = np.full((len(rows), width), reader.pad, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    types = np.zeros((len(rows), width), dtype=np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row.ids
        mask[place, : len(row)] = 1
        types[place, row.second : len(row)] = 1
    made = {"input_ids": ids, "attention_mask": mask}
    if reader.types:
        made["token_type_ids"] = types
    found: dict[str, Any] = {
        name: torch.from_numpy(values).to(device) for name, values in made.items()
    }
    states = [row.state for row in rows if row.state is not None]
    if len(states) == len(rows):
        found["state"], found["layer"] = _padded(states, width).to(device), rows[0].layer
    return found


def _padded(states: Sequence[NDArray[np.float32]], width: int) -> Any:
    import torch

    made = np.zeros((len(states), width, states[0].shape[1]), dtype=np.float32)
    for place, state in enumerate(states):
        made[place, : len(state)] = state
    return torch.from_numpy(made)
