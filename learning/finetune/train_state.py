"""What a run is told, what it tells, and where a model stands in the middle of training."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.finetune.checkpoints import Checkpoints
from learning.finetune.data import Examples
from learning.finetune.errors import DeviceLost, FinetuneError, OutOfMemory
from learning.finetune.plan import Plan
from learning.finetune.texts import Row

_LOST: Final = ("CUDA error", "device-side assert", "ECC error", "GPU is lost", "NVML")
_NO_ROOM: Final = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: ``reading``, ``tuning``, ``calibrating``, ``training``, ``ensemble`` or ``saving``.
        done: Steps done, of ``total``; 0 of 0 where they are not known yet.
        total: Steps of this stage, at most.
        loss: Mean loss of the last step in nats a pair, weights included, or ``None``.
        tokens_per_second: Tokens trained on a second since this process began, or ``None``.
    """

    stage: str
    done: int = 0
    total: int = 0
    loss: float | None = None
    tokens_per_second: float | None = None


def run_name(of: list[Any], examples: Examples, plan: Plan) -> str:
    """Return what names a run: all that its checkpoints depend on.

    Not how often they are taken, nor threads.

    Args:
        of: What else they depend on, as JSON.
        examples: The labels.
        plan: How they are trained on.
    """
    options = plan.to_dict()
    for free in ("checkpoint_seconds", "threads"):
        options.pop(free)
    told = json.dumps([*of, examples.digest(), options], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def quiet(progress: Progress) -> None:
    """Tell nobody."""
    del progress


@dataclass(frozen=True, slots=True)
class Tuned:
    """A trained model.

    Attributes:
        folder: A reward folder.
        key: Key of the encoder ``reward:FOLDER``.
        dim: Width of its features.
        record: How it came about, as JSON: see :func:`learning.finetune.finetune`.
    """

    folder: Path
    key: str
    dim: int
    record: dict[str, Any]


@dataclass(slots=True)
class Teller:
    """Calls ``report`` now and then; whatever it raises passes through.

    Attributes:
        report: Whom to tell.
        seconds: Least time between two calls, unless something new begins.
    """

    report: Callable[[Progress], None]
    seconds: float = 1.0
    _last: float = field(default=-1e9, repr=False)
    _now: Progress = field(default_factory=lambda: Progress("reading"), repr=False)

    def tell(self, progress: Progress, *, now: bool = False) -> None:
        """Report, if it is time or another stage has begun."""
        begun = progress.stage != self._now.stage
        self._now = progress
        at = time.monotonic()
        if now or begun or at - self._last >= self.seconds:
            self._last = at
            self.report(progress)

    def tick(self) -> None:
        """Say again what was said last: something takes long."""
        self.tell(self._now)


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """All that the parts of a run share.

    Attributes:
        base: Folder that every model begins from.
        examples: All labels.
        rows: Tokens of every response, by its number.
        plan: How to train.
        folder: Working folder.
        run: Names base, labels and plan.
        checkpoints: Of this run.
        teller: Whom to tell.
        accelerator: Of the library *accelerate*: device and processes.
        frozen: Features of the base, one row a response, ``(m, dim)``; 0 where none is compared.
        share, pack: Whether prompts are read once, and several put into a row.
    """

    base: Path
    examples: Examples
    rows: list[Row]
    plan: Plan
    folder: Path
    run: str
    checkpoints: Checkpoints
    teller: Teller
    accelerator: Any
    frozen: NDArray[np.float32]
    share: bool
    pack: bool

    @property
    def half(self) -> bool:
        """Whether matrices are multiplied in bfloat16."""
        return in_half(self.plan, self.accelerator.device)


def in_half(plan: Plan, device: Any) -> bool:
    """Whether a plan means bfloat16 on a device.

    Raises:
        FinetuneError: it is asked for on a GPU that has none.
    """
    import torch

    if plan.precision == "float32" or (plan.precision == "auto" and device.type != "cuda"):
        return False
    able = device.type != "cuda" or torch.cuda.is_bf16_supported()
    if plan.precision == "bfloat16" and not able:
        raise FinetuneError("This GPU has no bfloat16; choose float32.")
    return bool(able)


def capture(weights: Mapping[str, Any], optimizer: Any, device: Any) -> dict[str, Any]:
    """Return weights, moments and random generators by name, on their devices."""
    import torch

    found = {f"weight/{name}": value for name, value in weights.items()}
    for name, value in weights.items():
        for kind, moment in optimizer.state.get(value, {}).items():
            found[f"{kind}/{name}"] = moment
    found["rng/cpu"] = torch.get_rng_state()
    if device.type == "cuda":
        found["rng/cuda"] = torch.cuda.get_rng_state(device)
    return found


def restore(
    tensors: Mapping[str, Any], weights: Mapping[str, Any], optimizer: Any, device: Any
) -> None:
    """Undo :func:`capture`, in place."""
    import torch

    with torch.no_grad():
        for name, value in weights.items():
            value.copy_(tensors[f"weight/{name}"])
            if f"exp_avg/{name}" in tensors:
                optimizer.state[value] = {
                    "step": tensors[f"step/{name}"].to(value.device),
                    "exp_avg": tensors[f"exp_avg/{name}"].to(value.device),
                    "exp_avg_sq": tensors[f"exp_avg_sq/{name}"].to(value.device),
                }
    torch.set_rng_state(tensors["rng/cpu"])
    if "rng/cuda" in tensors and device.type == "cuda":
        torch.cuda.set_rng_state(tensors["rng/cuda"], device)


def no_room(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of a GPU or of this machine."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _NO_ROOM)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what a GPU or an allocator raises into a sentence.

    Raises:
        OutOfMemory: memory ran out, where nothing could be made smaller.
        DeviceLost: the GPU stopped answering.
    """
    import torch

    try:
        yield
    except FinetuneError:
        raise
    except (RuntimeError, MemoryError) as error:
        if no_room(error):
            raise OutOfMemory(
                "Memory ran out; a shorter max_tokens, LoRA, or checkpointing of activations "
                "needs less. The last checkpoint is kept."
            ) from error
        lost = isinstance(error, torch.AcceleratorError) or any(w in str(error) for w in _LOST)
        if not lost:
            raise
        raise DeviceLost(
            "The GPU stopped answering in the middle of the training. The last checkpoint is "
            "kept; the run goes on from there when it is started again."
        ) from error


def whole_threads(count: int) -> Any:
    """Bound the threads of torch and of the linear algebra below numpy, for a while."""
    from threadpoolctl import threadpool_limits

    from learning.encoders.huggingface import bounded_threads

    @contextmanager
    def bound() -> Iterator[None]:
        with bounded_threads(count), threadpool_limits(count):
            yield

    return bound()


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping as JSON can hold it: no numpy scalars, no NaN."""

    def one(value: Any) -> Any:
        if isinstance(value, Mapping):
            return plain(value)
        if isinstance(value, list | tuple):
            return [one(each) for each in value]
        value = value.item() if isinstance(value, np.generic) else value
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return {name: one(value) for name, value in values.items()}
