"""The book of jobs, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from catalog.errors import CancelledRunError, NotFoundError
from catalog.jobs import JobQuery, JobState
from catalog.store import Catalog
from tests.catalog.conftest import FakeClock


def test_a_job_goes_from_accepted_to_its_answer(catalog: Catalog, clock: FakeClock) -> None:
    book = catalog.jobs
    job = book.add("agregasi", raw=False)
    assert (job.state, job.progress, book.waiting()) == (JobState.ACCEPTED, 0, True)
    claimed = book.claim("w", lease_seconds=10)
    assert claimed is not None
    assert (claimed.id, claimed.state) == (job.id, JobState.RUNNING)
    assert book.claim("w2", lease_seconds=10) is None
    clock.advance(seconds=3)
    book.heartbeat(job.id, lease_seconds=10, progress=40)
    assert book.get(job.id).progress == 40
    book.succeed(job.id, b'{"hasil":1}')
    done = book.get(job.id)
    assert (done.state, done.progress, done.raw) == (JobState.SUCCESSFUL, 100, False)
    assert book.results(job.id) == b'{"hasil":1}'
    assert not book.waiting()


def test_a_job_of_a_dead_worker_ends_as_failed_with_the_reason(catalog: Catalog, clock: FakeClock) -> None:
    book = catalog.jobs
    job = book.add("agregasi")
    book.claim("w", lease_seconds=10)
    assert book.reap() == []
    clock.advance(seconds=11)
    assert book.reap() == [job.id]
    ended = book.get(job.id)
    assert (ended.state, ended.code) == (JobState.FAILED, "lease-expired")
    assert ended.reason
    with pytest.raises(CancelledRunError):
        book.succeed(job.id, b"late")
    assert book.results(job.id) is None


def test_a_worker_learns_that_its_job_was_dismissed(catalog: Catalog) -> None:
    book = catalog.jobs
    job = book.add("agregasi")
    book.claim("w", lease_seconds=10)
    assert book.dismiss(job.id).state is JobState.DISMISSED
    assert book.get(job.id).finished is not None
    with pytest.raises(CancelledRunError):
        book.heartbeat(job.id, lease_seconds=10)


def test_what_was_given_back_is_claimed_again(catalog: Catalog) -> None:
    book = catalog.jobs
    job = book.add("agregasi")
    book.claim("w", lease_seconds=10)
    book.give_back(job.id)
    again = book.claim("w2", lease_seconds=10)
    assert again is not None
    assert again.id == job.id
    assert again.code == ""


def test_why_a_job_was_given_back_stands_with_it_until_it_ends(catalog: Catalog) -> None:
    book = catalog.jobs
    job = book.add("agregasi")
    book.claim("w", lease_seconds=10)
    book.give_back(job.id, code="worker-ended")
    again = book.claim("w2", lease_seconds=10)
    assert again is not None
    assert again.code == "worker-ended"
    book.succeed(job.id, b"{}")
    assert book.get(job.id).code == ""


def test_the_reason_of_a_failure_holds_no_nik(catalog: Catalog) -> None:
    job = catalog.jobs.add("agregasi")
    catalog.jobs.claim("w", lease_seconds=10)
    catalog.jobs.fail(job.id, code="record", reason="'3203011234567890' is no code")
    assert "3203011234567890" not in catalog.jobs.get(job.id).reason


def test_the_list_is_filtered(catalog: Catalog, clock: FakeClock) -> None:
    book = catalog.jobs
    began = clock.now
    first = book.add("agregasi")
    book.claim("w", lease_seconds=100)
    clock.advance(seconds=5)
    book.succeed(first.id, b"")
    second = book.add("rekonsiliasi")

    def ids(query: JobQuery) -> list[str]:
        return [job.id for job in book.list(query)]

    assert ids(JobQuery()) == [second.id, first.id]
    assert ids(JobQuery(limit=1)) == [second.id]
    assert ids(JobQuery(limit=1, offset=1)) == [first.id]
    assert ids(JobQuery(processes=["agregasi"])) == [first.id]
    assert ids(JobQuery(states=["accepted"])) == [second.id]
    assert ids(JobQuery(before=began)) == [first.id]
    assert ids(JobQuery(after=began + timedelta(seconds=1))) == [second.id]
    assert ids(JobQuery(least_seconds=5)) == [first.id]
    assert ids(JobQuery(least_seconds=6)) == []
    assert ids(JobQuery(most_seconds=5)) == [first.id]


def test_old_jobs_are_pruned_with_their_answers(catalog: Catalog, clock: FakeClock) -> None:
    job = catalog.jobs.add("agregasi")
    catalog.jobs.dismiss(job.id)
    clock.advance(hours=2)
    assert catalog.jobs.prune(clock.now - timedelta(hours=3)) == 0
    assert catalog.jobs.prune(clock.now - timedelta(hours=1)) == 1
    with pytest.raises(NotFoundError):
        catalog.jobs.get(job.id)
