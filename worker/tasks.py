"""Celery's view: doorbells. Load, call one function, stop."""

from __future__ import annotations

from celery import shared_task

from worker import jobs, runner, schedule


@shared_task(name="worker.run_job", acks_late=True)  # type: ignore[untyped-decorator]
def run_job(job_id: int) -> str:
    """Run one job if nobody else does. Safe to repeat, to run twice at once and to arrive late."""
    job = jobs.claim(job_id)
    if job is None:
        return "taken or done"
    return runner.run(job)


@shared_task(name="worker.sweep")  # type: ignore[untyped-decorator]
def sweep() -> str:
    """Ring again for lost jobs, give up hopeless ones, ask for rounds that are due."""
    return schedule.sweep()
