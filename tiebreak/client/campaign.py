"""One campaign: made, filled, steered, staffed; and its data taken away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack

from tiebreak.client.encoders import Encoder, TrainingEstimate
from tiebreak.client.exports import PROVENANCE, Export, rows
from tiebreak.client.filling import Filling
from tiebreak.client.http import Connection
from tiebreak.client.judges import Judge, sent
from tiebreak.client.progress import Wish
from tiebreak.client.record import Record
from tiebreak.client.results import CampaignInfo, Guidelines, Member, Round, read
from tiebreak.client.settings import CampaignSettings, ExportOptions, JudgeSettings
from tiebreak.client.webhooks import Webhook
from tiebreak.client.work import Answering


class Campaign(Filling, Record, Answering):
    """A campaign of a site, by its slug."""

    def __init__(self, site: Connection, slug: str, info: CampaignInfo | None = None) -> None:
        super().__init__(site, slug)
        self._info = info

    def __repr__(self) -> str:
        return f"Campaign({self.slug!r})"

    # --- settings and state ------------------------------------------------------------------

    @property
    def info(self) -> CampaignInfo:
        """Its settings and state as they were last read; read now if they never were."""
        return self._info or self.refresh()

    def refresh(self) -> CampaignInfo:
        """Read its settings and state."""
        return self._seen(self._site.call("GET /campaigns/{slug}/", slug=self.slug))

    def change(self, *, name: str = "", **settings: Unpack[CampaignSettings]) -> CampaignInfo:
        """Change some of its settings."""
        body = {**({"name": name} if name else {}), **settings}
        return self._seen(self._site.call("PATCH /campaigns/{slug}/", slug=self.slug, body=body))

    def start(self) -> CampaignInfo:
        """Start it (reserves the holdout, asks for the first round), or go on after a pause."""
        return self._go("running")

    def pause(self) -> CampaignInfo:
        """Ask nothing for a while."""
        return self._go("paused")

    def finish(self) -> CampaignInfo:
        """Ask nothing more."""
        return self._go("finished")

    def _go(self, state: str) -> CampaignInfo:
        body = {"state": state}
        return self._seen(self._site.create("POST /campaigns/{slug}/state/", body, slug=self.slug))

    def _seen(self, row: dict[str, Any]) -> CampaignInfo:
        self._info = read(CampaignInfo, row)
        return self._info

    # --- guidelines and people ---------------------------------------------------------------

    def guidelines(self) -> list[Guidelines]:
        """Versions, the newest first."""
        where = "GET /campaigns/{slug}/guidelines/"
        return [read(Guidelines, row) for row in self._site.pages(where, slug=self.slug)]

    def publish_guidelines(self, text: str) -> Guidelines:
        """Publish the next version, Markdown; annotators read it before their next answer."""
        where = "POST /campaigns/{slug}/guidelines/"
        return read(Guidelines, self._site.create(where, {"text": text}, slug=self.slug))

    def members(self) -> list[Member]:
        """Who may do what."""
        where = "GET /campaigns/{slug}/members/"
        return [read(Member, row) for row in self._site.pages(where, slug=self.slug)]

    def add_member(self, user: str, role: str = "annotator") -> Member:
        """Give a person a role, or another one: `owner`, `researcher`, `viewer`, `annotator`."""
        body = {"user": user, "role": role}
        return read(
            Member, self._site.create("POST /campaigns/{slug}/members/", body, slug=self.slug)
        )

    # --- the loop ----------------------------------------------------------------------------

    def request_round(self) -> Round:
        """Ask for a round; the one that is under way where there is one."""
        return read(Round, self._site.create("POST /campaigns/{slug}/rounds/", slug=self.slug))

    def retry_round(self, number: int) -> Round:
        """Run a failed round again."""
        where = "POST /campaigns/{slug}/rounds/{number}/retry/"
        return read(Round, self._site.create(where, slug=self.slug, number=number))

    # --- fine-tuned encoders -----------------------------------------------------------------

    def encoders(self) -> list[Encoder]:
        """Encoders that were trained on its answers, the newest first."""
        pages = self._site.pages("GET /campaigns/{slug}/encoders/", slug=self.slug)
        return [read(Encoder, row, _site=self._site) for row in pages]

    def finetune(self, method: Literal["full", "lora"] = "full", **plan: Any) -> Encoder:
        """Train the encoder on the answers; what comes of it is used only if it is better.

        Args:
            method: All weights, or low-rank adapters.
            plan: Options that differ from their defaults, such as `epochs`.
        """
        body = {"method": method, "plan": plan}
        row = self._site.create("POST /campaigns/{slug}/encoders/", body, slug=self.slug)
        return read(Encoder, row, _site=self._site)

    def estimate_finetuning(
        self, method: Literal["full", "lora"] = "full", **plan: Any
    ) -> TrainingEstimate:
        """Measure what training would take: labels, steps, time and memory. Nothing is trained.

        Args:
            method, plan: As for :meth:`finetune`.

        Raises:
            Conflict: a training is under way.
        """
        body = {"method": method, "plan": plan}
        row = self._site.create("POST /campaigns/{slug}/encoders/estimates/", body, slug=self.slug)
        return read(TrainingEstimate, row, _site=self._site)

    # --- judges ------------------------------------------------------------------------------

    def judges(self) -> list[Judge]:
        """LLMs that answer here, or did."""
        pages = self._site.pages("GET /campaigns/{slug}/judges/", slug=self.slug)
        return [read(Judge, row, _site=self._site) for row in pages]

    def add_judge(self, name: str, **settings: Unpack[JudgeSettings]) -> Judge:
        """Have a judge asked from the next round on; the one before is switched off.

        `model` is needed, and `base_url` of an endpoint.
        """
        body = {"name": name, **sent(settings)}
        row = self._site.create("POST /campaigns/{slug}/judges/", body, slug=self.slug)
        return read(Judge, row, _site=self._site)

    # --- taking the data away ----------------------------------------------------------------

    def exports(self) -> Iterator[Export]:
        """Exports, the newest first."""
        for row in self._site.pages("GET /campaigns/{slug}/exports/", slug=self.slug):
            yield read(Export, row, _site=self._site)

    def request_export(self, format: str, **options: Unpack[ExportOptions]) -> Export:  # noqa: A002
        """Ask a worker for an export; nothing is waited for."""
        body = {"format": format, **options}
        row = self._site.create("POST /campaigns/{slug}/exports/", body, slug=self.slug)
        return read(Export, row, _site=self._site)

    def export(
        self,
        format: str,  # noqa: A002
        to: str | Path = ".",
        *,
        timeout: float = 3600.0,
        progress_bar: Wish = None,
        **options: Unpack[ExportOptions],
    ) -> Path:
        """Ask for an export, wait, download all its files into a folder and check them.

        Returns:
            The file with the rows; provenance lies beside it.

        Raises:
            ExportFailed: there is nothing to export, or a worker could not.
            TimedOut: no worker built it in this time.
            Corrupt: what came is not what the site said.
        """
        asked = self.request_export(format, **options)
        ready = asked.wait(timeout=timeout, progress_bar=progress_bar)
        return ready.download_all(to, progress_bar=progress_bar)[0]

    def load_rows(
        self,
        format: str = "trl-preference",  # noqa: A002
        *,
        timeout: float = 3600.0,
        progress_bar: Wish = None,
        **options: Unpack[ExportOptions],
    ) -> dict[str, list[dict[str, Any]]]:
        """Export, and read the rows by split: `train`, and `test` where `test_share` is given."""
        ready = self.request_export(format, **options).wait(
            timeout=timeout, progress_bar=progress_bar
        )
        found = {}
        with tempfile.TemporaryDirectory(prefix="tiebreak-") as folder:
            for part in ready.parts:
                split = part.partition(".")[0]
                if split in ("data", "train", "test") and part != PROVENANCE:
                    path = ready.download(folder, part, progress_bar=progress_bar)
                    found["test" if split == "test" else "train"] = rows(path)
        return found

    def load_dataset(
        self,
        format: str = "trl-preference",  # noqa: A002
        *,
        timeout: float = 3600.0,
        progress_bar: Wish = None,
        **options: Unpack[ExportOptions],
    ) -> Any:
        """Export, and load it in memory.

        Returns:
            A `datasets.Dataset`, or with `test_share` a `DatasetDict` of `train` and `test`; where
            `datasets` is not installed, a list of rows, or a dictionary of two.
        """
        found = self.load_rows(format, timeout=timeout, progress_bar=progress_bar, **options)
        try:
            from datasets import Dataset, DatasetDict
        except ImportError:
            return found if len(found) > 1 else found["train"]
        splits = {name: Dataset.from_list(split) for name, split in found.items()}
        return DatasetDict(splits) if len(splits) > 1 else splits["train"]

    # --- webhooks ----------------------------------------------------------------------------

    def webhooks(self) -> list[Webhook]:
        """Where its events are sent."""
        where = "GET /campaigns/{slug}/webhooks/"
        pages = self._site.pages(where, slug=self.slug)
        return [read(Webhook, row, _site=self._site) for row in pages]

    def add_webhook(self, url: str, events: Sequence[str]) -> Webhook:
        """Tell an address of events from now on; the answer has the signing `secret`, this once."""
        body = {"url": url, "events": list(events)}
        row = self._site.create("POST /campaigns/{slug}/webhooks/", body, slug=self.slug)
        return read(Webhook, row, _site=self._site)
