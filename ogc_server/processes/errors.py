"""What only processes and jobs can fail with; OGC API - Processes fixes the type of some."""

from __future__ import annotations

from typing import ClassVar

from catalog.errors import GoneError, NotFoundError, SatuDataError
from ogc_server.errors import NotReadyError, SpokenError

_TYPE = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"


class NoSuchProcessError(SpokenError, NotFoundError):
    """There is no process of this id."""

    key = "process.error.no-process"
    uri = _TYPE + "no-such-process"


class NoPageError(SpokenError, NotFoundError):
    """Nothing more is written about this process."""

    key = "process.error.no-page"


class NoSuchJobError(SpokenError, NotFoundError):
    """There is no job of this id."""

    key = "process.error.no-job"
    uri = _TYPE + "no-such-job"


class ResultNotReadyError(SpokenError, NotFoundError):
    """The job has not ended yet."""

    key = "process.error.not-ready"
    uri = _TYPE + "result-not-ready"


class DismissedError(SpokenError, GoneError):
    """The job was dismissed, and its answer with it."""

    key = "process.error.dismissed"


class NotConfiguredError(SatuDataError):
    """A layer that this process works on is not there; `params["setting"]` is the setting to look at."""

    code: ClassVar[str] = "process-not-configured"
    http_status: ClassVar[int] = 503


class IndexNotReadyError(NotReadyError):
    """The index of a layer is being made for the first time; the answer says when to come again."""

    code: ClassVar[str] = "process-not-ready"


class ProcessFailedError(SatuDataError):
    """A defect of ours. What was asked is never repeated, so only the kind of error is told."""

    code: ClassVar[str] = "process-failed"
    http_status: ClassVar[int] = 500


class JobFailedError(ProcessFailedError):
    """The job whose answer is asked for has failed; the hint is the reason, which holds no secret."""

    def hint(self, lang: str = "id") -> str:
        """Return the reason that the job ended with."""
        return self.detail
