"""One pass over the same pairs, in ways that `benchmarks.finetune_speed` compares.

Each way is given the same tokens of the same pairs, and trains all weights of the same model with
AdamW. It is timed step by step, data loading and the optimiser with it.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from learning.data import Comparisons
from learning.finetune import Examples, Plan
from learning.finetune.batches import Step
from learning.finetune.estimate import compact
from learning.finetune.memory import peak
from learning.finetune.model import load
from learning.finetune.texts import Reader
from learning.finetune.train_setup import prepare
from learning.finetune.train_stage import Stage
from learning.finetune.train_state import Teller, quiet, whole_threads
from learning.replay.corpus import read

OURS: Final = {  # how prompts and rows are laid out
    "plain": {"share_prefix": "off", "packing": "off"},
    "shared prompts": {"share_prefix": "on", "packing": "off"},
    "shared and packed": {"share_prefix": "on", "packing": "on"},
}
THEIRS: Final = {"TRL": "random", "TRL, by length": "group_by_length"}  # samplers
RATE: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Work:
    """What every way does.

    Attributes:
        file: Annotated items.
        model: Folder of a model without a scalar head.
        pairs: So many decisive pairs of the file, drawn by lot.
        batch: Pairs of a step.
        max_tokens: Of a prompt and a response; what is longer is cut.
        half: bfloat16 where matrices are multiplied.
        threads: Of the CPU.
    """

    file: Path
    model: Path
    pairs: int
    batch: int
    max_tokens: int
    half: bool
    threads: int


@dataclass(slots=True)
class Timed:
    """What came out.

    Attributes:
        tokens: Of both texts of every pair, without padding, prompts counted for each; by step.
        seconds: By step.
        memory: Most bytes that were used, of the GPU or the process.
    """

    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    memory: int = 0

    def speed(self, *, warm: int) -> float:
        """Tokens a second after the first ``warm`` steps."""
        return sum(self.tokens[warm:]) / sum(self.seconds[warm:])


def train(way: str, work: Work) -> Timed:
    """Make one pass in one way."""
    with whole_threads(work.threads), TemporaryDirectory() as folder:
        made = _ours(way, work, Path(folder)) if way in OURS else _theirs(way, work, Path(folder))
    made.memory = peak()
    return made


def best_rate(work: Work) -> float:
    """Floating-point operations a second of a large product of matrices: what the chip can do."""
    device = _device()
    size = 8_192 if device == "cuda" else 2_048
    kind = torch.bfloat16 if work.half else torch.float32
    one = torch.randn(size, size, device=device, dtype=kind)
    with whole_threads(work.threads):
        spent = []
        for _ in range(6):
            began = _now()
            one @ one
            spent.append(_now() - began)
    return 2 * size**3 / min(spent)


def drawn(work: Work) -> Examples:
    """The pairs, each with the first answer that somebody gave."""
    corpus = read(work.file)
    first = corpus.answers.outcome[corpus.answers.start[:-1]]
    usable = np.flatnonzero(first != 0)
    chosen = np.random.default_rng(0).permutation(usable)[: work.pairs]
    left, right = corpus.pairs[chosen].T
    prompts = [corpus.prompts[owner] for owner in corpus.owner]
    comparisons = Comparisons.of(left, right, first[chosen])
    made = Examples.of(prompts, corpus.texts, comparisons)
    return compact(made, np.arange(len(made)))


class _Clocked(Stage):
    """A training whose steps are timed."""

    def __init__(self, *given: Any, lengths: NDArray[np.int64], **more: Any) -> None:
        super().__init__(*given, **more)
        self.timed, self.lengths = Timed(), lengths

    def _step(self, step: Step) -> float:
        began = _now()
        value = super()._step(step)
        self.timed.seconds.append(_now() - began)
        pairs = self.data.pairs[np.concatenate([pair for bundle in step for pair in bundle])]
        self.timed.tokens.append(int(self.lengths[pairs].sum()))
        return value


def _ours(way: str, work: Work, folder: Path) -> Timed:
    plan = Plan.read(
        {
            **OURS[way],
            "epochs": 1,
            "batch": work.batch,
            "learning_rate": RATE,
            "max_tokens": work.max_tokens,
            "precision": "bfloat16" if work.half else "float32",
            "threads": work.threads,
            "checkpoint_seconds": 86_400.0,
        }
    )
    examples = drawn(work)
    setting, _ = prepare(work.model, examples, plan, folder, run="speed", teller=Teller(quiet))
    if (setting.share, setting.pack) != tuple(one == "on" for one in OURS[way].values()):
        raise ValueError(f"{work.model.name} cannot be trained with {way}")
    every, nothing = np.arange(len(examples)), np.arange(0)
    lengths = np.array([len(row) for row in setting.rows])
    stage = _Clocked(setting, "training", every, test=nothing, epochs=1, lengths=lengths)
    stage.run()
    return stage.timed


def _theirs(way: str, work: Work, folder: Path) -> Timed:
    from transformers import AutoModelForSequenceClassification, PrinterCallback
    from transformers.utils import logging
    from trl import RewardTrainer

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore", FutureWarning)  # TRL asks for what transformers has renamed
    reader, made = load(work.model, max_tokens=work.max_tokens).reader, Timed()
    model = AutoModelForSequenceClassification.from_pretrained(
        work.model, num_labels=1, dtype=torch.float32, local_files_only=True
    )
    collator, clock = _watches(made, reader.pad)
    trainer = RewardTrainer(
        model=model,
        args=_config(way, work, folder),
        data_collator=collator,
        train_dataset=_dataset(drawn(work), reader),
        processing_class=reader.tokenizer,
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    made.tokens = made.tokens[: len(made.seconds)]
    return made


def _dataset(examples: Examples, reader: Reader) -> Any:
    """The pairs as TRL reads them, with the length of the longer text."""
    from datasets import Dataset

    rows = reader.rows(examples.prompts, examples.responses)
    data = examples.comparisons
    won = np.where(data.outcome > 0, data.left, data.right).tolist()
    lost = np.where(data.outcome > 0, data.right, data.left).tolist()
    return Dataset.from_dict(
        {
            "chosen_ids": [rows[row].ids.tolist() for row in won],
            "rejected_ids": [rows[row].ids.tolist() for row in lost],
            "length": [
                max(len(rows[one]), len(rows[two])) for one, two in zip(won, lost, strict=True)
            ],
        }
    )


def _config(way: str, work: Work, folder: Path) -> Any:
    from trl import RewardConfig

    return RewardConfig(
        output_dir=str(folder),
        per_device_train_batch_size=work.batch,
        num_train_epochs=1,
        learning_rate=RATE,
        max_length=None,  # cut already
        bf16=work.half,
        use_cpu=_device() == "cpu",
        gradient_checkpointing=False,
        train_sampling_strategy=THEIRS[way],
        remove_unused_columns=False,  # the sampler looks at lengths
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )


def _watches(made: Timed, pad: int) -> tuple[Any, Any]:
    """A collator that counts tokens, and a callback that times steps."""
    from transformers import TrainerCallback
    from trl.trainer.reward_trainer import DataCollatorForPreference

    collate = DataCollatorForPreference(pad_token_id=pad)

    def counted(pairs: list[dict[str, Any]]) -> Any:
        made.tokens.append(
            sum(len(pair["chosen_ids"]) + len(pair["rejected_ids"]) for pair in pairs)
        )
        return collate(pairs)

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *given: Any, **more: Any) -> None:
            self.last = _now()

        def on_step_end(self, *given: Any, **more: Any) -> None:
            now = _now()
            made.seconds.append(now - self.last)
            self.last = now

    return counted, Clock()


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _now() -> float:
    """The time at which all that was asked for is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
