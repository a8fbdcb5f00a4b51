"""What comes before training: texts read, the base's own features, what the model allows."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from learning.finetune import lower, memory, prefix
from learning.finetune.checkpoints import Checkpoints
from learning.finetune.data import Examples
from learning.finetune.errors import UnusableModel
from learning.finetune.model import RewardModel, load
from learning.finetune.plan import Plan
from learning.finetune.texts import Row
from learning.finetune.train_state import Setting, Teller, in_half, quiet

BASE: Final = "base"  # where the base's own features are kept


def prepare(
    base: Path, examples: Examples, plan: Plan, folder: Path, *, run: str, teller: Teller
) -> tuple[Setting, list[str]]:
    """Return what all stages share, and what a reader of the record should know.

    Raises:
        UnusableModel: the base cannot be trained.
    """
    from accelerate import Accelerator

    torch.manual_seed(plan.seed)  # weights that the base lacks: the same in every stage
    loaded = load(base, max_tokens=plan.max_tokens)
    rows = loaded.reader.rows(examples.prompts, examples.responses)
    wanted = (plan.share_prefix, plan.packing) != ("off", "off")
    able = wanted and prefix.possible(loaded)
    accelerator = Accelerator()
    if not accelerator.is_main_process:
        teller.report = quiet
    on_gpu = accelerator.device.type == "cuda"
    loaded.core.to(accelerator.device)
    left_out = lower.below(loaded.core, plan.layers)
    half = in_half(plan, accelerator.device)
    if left_out and not able and not plan.checkpointing:
        rows = _computed(loaded, rows, examples, left_out, half=half, teller=teller)
    kept = Checkpoints(folder / BASE, run)
    frozen = _frozen(loaded, rows, examples, kept, half=half, teller=teller)
    accelerator.wait_for_everyone()
    setting = Setting(
        base=base,
        examples=examples,
        rows=rows,
        plan=plan,
        folder=folder,
        run=run,
        checkpoints=Checkpoints(folder, run),
        teller=teller,
        accelerator=accelerator,
        frozen=frozen,
        share=able and plan.share_prefix != "off",
        pack=able and (plan.packing == "on" or (plan.packing == "auto" and on_gpu)),
    )
    return setting, _notes(loaded, rows, plan, able=able)


def _notes(loaded: RewardModel, rows: list[Row], plan: Plan, *, able: bool) -> list[str]:
    made = []
    for wanted, what in ((plan.share_prefix, "share prompts"), (plan.packing, "pack rows")):
        if wanted == "on" and not able:
            why = "has other attention" if loaded.decoder else "reads in both directions"
            made.append(f"It was asked to {what}; this model {why}, so its texts are padded.")
    if cut := sum(row.cut for row in rows):
        most = loaded.reader.limit
        made.append(f"{cut} of {len(rows)} texts were longer than {most} tokens and were cut.")
    return made


def _computed(
    loaded: RewardModel,
    rows: list[Row],
    examples: Examples,
    left_out: int,
    *,
    half: bool,
    teller: Teller,
) -> list[Row]:
    """Rows of the responses that are compared, with what the lower layers make of them.

    As they are where that takes too much memory: the layers are then computed every time.
    """
    used = np.unique(examples.comparisons.pairs).tolist()
    width = int(loaded.core.config.get_text_config().hidden_size)
    if not memory.room_for_states(sum(len(rows[row]) for row in used), width):
        return rows
    wanted = [rows[row] for row in used]
    found = lower.with_states(loaded, wanted, left_out, half=half, tick=teller.tick)
    if found is None:
        return rows
    made = list(rows)
    for row, one in zip(used, found, strict=True):
        made[row] = one
    return made


def _frozen(
    loaded: RewardModel,
    rows: list[Row],
    examples: Examples,
    kept: Checkpoints,
    *,
    half: bool,
    teller: Teller,
) -> NDArray[np.float32]:
    """Features of the base before training, read once for all folds; ``(m, dim)``.

    Raises:
        UnusableModel: they are not all numbers.
    """
    from accelerate import PartialState

    if (done := kept.load()) is not None:
        stored: NDArray[np.float32] = done.tensors["features"].numpy()
        return stored
    used = np.unique(examples.comparisons.pairs)
    found = np.zeros((len(rows), loaded.dim), dtype=np.float32)
    found[used] = loaded.read([rows[row] for row in used], half=half, tick=teller.tick)
    if not np.isfinite(found).all():
        raise UnusableModel("The model's own features are not all numbers; it cannot be trained.")
    if PartialState().is_main_process:
        kept.save({}, {"features": torch.from_numpy(found)})
    return found
