"""`python -m benchmarks.exporting`: a million answers on PostgreSQL, every format, rows a second.

The campaign is made by SQL in seconds: pairs of responses with three answers a question by default,
so that a million answers are about 333 thousand questions. Each format is written by a process of
its own, whose peak memory is the kernel's figure (VmHWM). What one second of that process's
processor gives is beside rows a second: other work on the machine slows these and hardly that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from config import demo
from config.embedded_postgres import EmbeddedPostgres
from config.guardian import Guardian

WORDS = 60  # in a prompt or a response, about 360 characters
SLUG = "large"
FLOOR = "copy"

FILL = """
INSERT INTO annotator_prompt (campaign_id, digest, content, context, lot, is_holdout)
SELECT {campaign}, md5('p' || n), to_jsonb('Question ' || n || ': ' || {words}), '', 0.5, false
FROM generate_series(1, {questions}) n;

INSERT INTO annotator_response (prompt_id, digest, text, model, extra)
SELECT p.id, md5(p.id || '-' || side), 'Answer ' || side || ' to ' || p.id || ': ' || {words},
       'model-' || side, '{{}}'
FROM annotator_prompt p, generate_series(0, 1) side
WHERE p.campaign_id = {campaign} ORDER BY p.id, side;

INSERT INTO annotator_item (campaign_id, prompt_id, external_id, digest, task, source, "group",
                            extra)
SELECT {campaign}, id, 'made:' || id, digest, 'pairwise', 'made', '', '{{}}'
FROM annotator_prompt WHERE campaign_id = {campaign} ORDER BY id;

INSERT INTO annotator_itemresponse (item_id, response_id, position)
SELECT i.id, r.id, row_number() OVER (PARTITION BY i.id ORDER BY r.id) - 1
FROM annotator_item i JOIN annotator_response r ON r.prompt_id = i.prompt_id
WHERE i.campaign_id = {campaign};

INSERT INTO annotator_query (campaign_id, item_id, prompt_id, form, parts, arm, acquisition,
                             propensity, withdrawn, created_at)
SELECT {campaign}, id, prompt_id, 'compare', '{{}}', 'random', 'random', 0.25, false, now()
FROM annotator_item WHERE campaign_id = {campaign} ORDER BY id;

INSERT INTO annotator_queryresponse (query_id, response_id)
SELECT q.id, r.id FROM annotator_query q JOIN annotator_response r ON r.prompt_id = q.prompt_id
WHERE q.campaign_id = {campaign};

INSERT INTO annotator_annotator (campaign_id, kind, pseudonym, imported, guidelines_read,
                                 created_at)
SELECT {campaign}, 'human', 'p-' || n, false, 1, now() FROM generate_series(1, 40) n;

INSERT INTO annotator_annotation (campaign_id, query_id, annotator_id, via, submission_key, outcome,
    tiers, acceptable, strength, rationale, details, extra, late, display_order,
    guidelines_version, recorded_at, active_ms)
SELECT {campaign}, q.id, a.id, 'page', gen_random_uuid(), 'preference',
       CASE WHEN (q.id + k) % 4 = 0
            THEN jsonb_build_array(jsonb_build_array(m.b), jsonb_build_array(m.a))
            ELSE jsonb_build_array(jsonb_build_array(m.a), jsonb_build_array(m.b)) END,
       NULL, 1 + (q.id + k) % 3, '',
       jsonb_build_object('compare', jsonb_build_object('level', 2, 'levels', 3),
           'rate', jsonb_build_object('range', jsonb_build_array(0, 4), 'ratings',
               jsonb_build_object('helpfulness', jsonb_build_object(
                   m.a::text, (q.id + k) % 5, m.b::text, (q.id + 2 * k) % 5)))),
       '{{}}', false, ARRAY[m.a, m.b], 1, now(), 9000
FROM annotator_query q
CROSS JOIN generate_series(1, {overlap}) k
JOIN LATERAL (SELECT min(response_id) a, max(response_id) b FROM annotator_queryresponse
              WHERE query_id = q.id) m ON true
JOIN annotator_annotator a
  ON a.campaign_id = {campaign} AND a.pseudonym = 'p-' || (1 + (q.id + 7 * k) % 40)
WHERE q.campaign_id = {campaign} ORDER BY q.id, k;
"""


def main() -> int:
    """Fill, export each format, print and write the figures."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--answers", type=int, default=1_000_000)
    ask.add_argument("--overlap", type=int, default=3)
    ask.add_argument("--formats", default="", help="names, separated by commas; all by default")
    ask.add_argument("--container", default="jsonl", help="names, separated by commas")
    ask.add_argument(
        "--keep", type=Path, help="a folder whose database is made once and used again"
    )
    ask.add_argument("--out", type=Path)
    options = ask.parse_args()
    with ExitStack() as stack:
        folder = options.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="tiebreak-bench-"))
        )
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
        server = EmbeddedPostgres(folder / "postgres")
        guardian = Guardian(server)
        stack.callback(guardian.close)
        server.acquire()
        stack.callback(server.release)
        environment = demo.child_environment(server.url, port=1, var=folder)
        os.environ.update(environment)
        demo.manage(environment, "Preparing the tables ...", "migrate", "--verbosity=0")
        _fill(options.answers // options.overlap, options.overlap)
        found = [
            _measure(name, container, folder)
            for container in options.container.split(",")
            for name in _formats(options.formats)
        ]
    report = {"answers": options.answers, "overlap": options.overlap, "load": os.getloadavg()}
    print(json.dumps(report | {"formats": found}, indent=2))
    if options.out:
        options.out.write_text(json.dumps(report | {"formats": found}, indent=2) + "\n")
    return 0


def _formats(names: str) -> list[str]:
    from annotator.exporters import FORMATS

    return names.split(",") if names else [FLOOR, *FORMATS]


def _fill(questions: int, overlap: int) -> None:
    import django

    django.setup()
    from django.db import connection

    from annotator.models import Campaign

    if Campaign.objects.filter(slug=SLUG).exists():
        return
    campaign = Campaign.objects.create(slug=SLUG, name="Large", overlap=overlap)
    words = f"repeat('plain words ', {WORDS // 2})"
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # made rows refer to made rows
        for statement in FILL.split(";\n"):
            if statement.strip():
                filled = statement.format(
                    campaign=campaign.pk, questions=questions, overlap=overlap, words=words
                )
                cursor.execute(filled.replace("%", "%%"), [])
        cursor.execute("ANALYZE")
    print(f"filled in {time.perf_counter() - began:.0f} s", flush=True)


CHILD = """
import json, sys, time
import django
django.setup()
from pathlib import Path
from benchmarks.exporting import FLOOR, copied, exported
work = copied if sys.argv[2] == FLOOR else exported
began, used = time.perf_counter(), time.process_time()
rows, answers = work(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
seconds, cpu = time.perf_counter() - began, time.process_time() - used
peak = next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1]
print(json.dumps({'rows': rows, 'answers': answers, 'seconds': seconds, 'cpu_s': cpu,
                  'peak_mb': int(peak) / 1024}))
"""
TABLES = {
    "prompt": "id, digest, content, context, is_holdout",
    "response": "id, prompt_id, text, model, parent_id, extra",
    "item": 'id, external_id, task, source, "group", extra',
    "itemresponse": "item_id, response_id, position",
    "query": "id, item_id, prompt_id, arm, acquisition, score, propensity",
    "queryresponse": "query_id, response_id",
    "annotation": "id, query_id, annotator_id, via, outcome, tiers, acceptable, strength, "
    "rationale, details, extra, late, display_order, guidelines_version, recorded_at, active_ms, "
    "submission_key",
}


def exported(slug: str, name: str, container: str, out: Path) -> tuple[int, int]:
    """Rows and answers of an export."""
    from annotator.exporters import ExportOptions
    from annotator.models import Campaign
    from annotator.services.export_files import export_to_file

    manifest = export_to_file(
        campaign=Campaign.objects.get(slug=slug),
        format_name=name,
        container=container,
        out=out,
        options=ExportOptions(),
    )
    return manifest["rows"], manifest["counts"]["answers"]


def copied(slug: str, name: str, container: str, out: Path) -> tuple[int, int]:
    """Rows and answers of the tables as they are: nothing that reads them can be faster."""
    import hashlib

    from django.db import connection

    rows: dict[str, int] = {}
    sha = hashlib.sha256()
    with connection.cursor() as cursor, out.open("wb") as file:
        for table, columns in TABLES.items():
            query = f"COPY annotator_{table} ({columns}) TO STDOUT"
            with cursor.copy(query) as copy:
                for part in copy:
                    sha.update(part)
                    file.write(part)
            rows[table] = cursor.rowcount
    return rows["query"], rows["annotation"]


def _measure(name: str, container: str, folder: Path) -> dict[str, Any]:
    """One export in a process of its own."""
    out = folder / f"{name}.out"
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, SLUG, name, container, str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    for made in folder.glob(f"{name}.out*"):
        made.unlink()
    if ran.returncode:
        said = ran.stderr.strip().splitlines()[-1:]
        return {"format": name, "error": said[0] if said else "no word"}
    found = json.loads(ran.stdout.splitlines()[-1])
    per_second = {
        "rows_per_s": round(found["rows"] / found["seconds"]),
        "answers_per_s": round(found["answers"] / found["seconds"]),
        "answers_per_cpu_s": round(found["answers"] / found["cpu_s"]),
        "cpu_s_per_million_answers": round(1e6 * found["cpu_s"] / found["answers"], 1),
        "cpu_s_per_million_rows": round(1e6 * found["cpu_s"] / found["rows"], 1),
        "load": round(os.getloadavg()[0], 1),
    }
    line = {"format": name, "container": container, **found, **per_second}
    print(json.dumps(line), flush=True)
    return line


if __name__ == "__main__":
    sys.exit(main())
