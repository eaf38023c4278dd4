"""The one place where errors become HTTP."""

from __future__ import annotations

from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from werkzeug import exceptions

from callnet.errors import MethodNotAllowed, NotFound, ServiceError, Unavailable, root_cause
from callnet.util.logger import Logger
from callnet.web.envelope import write_error
from callnet.web.http import id_of

_log = Logger(namespace="callnet.web")


def answer_failure(request: IRequest, failure: Failure, what: str) -> bytes:
    """Answer with the error that a request came to.

    :param what: the kind of request, for the log.
    """
    error = failure.value
    if isinstance(error, exceptions.MethodNotAllowed):
        request.setHeader(b"allow", ", ".join(error.valid_methods or ()).encode("ascii"))
        return write_error(request, MethodNotAllowed("this path does not support this method"))
    if isinstance(error, exceptions.HTTPException):
        return write_error(request, NotFound("no such path"))
    if isinstance(error, Unavailable):
        cause = root_cause(error)
        _log.warn(
            "failed {what} {request}: {error}: {cause}", what=what, error=error, cause=cause, request=id_of(request)
        )
    if isinstance(error, ServiceError):
        return write_error(request, error)
    _log.failure("failed {what} {request}", failure, what=what, request=id_of(request))
    return write_error(request, ServiceError("internal error"))
