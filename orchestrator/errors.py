"""What can go wrong between an operator and an ensemble: each error is one line.

No error here carries a traceback to people: the command line prints the line and exits with 2, the
service sends it as the details of its status, `Ensemble` raises it.
"""

from __future__ import annotations


class OrchestratorError(Exception):
    """One line that says what was wrong, where, and what to do about it."""

    grpc_code = "INTERNAL"


class InvalidInput(OrchestratorError):
    """What was asked makes no sense here: an unknown member or link, a malformed rule or file."""

    grpc_code = "INVALID_ARGUMENT"


class NotPossible(OrchestratorError):
    """What was asked makes sense, but not in the state in which the ensemble is."""

    grpc_code = "FAILED_PRECONDITION"


class NotAnswering(OrchestratorError):
    """A member or the orchestrator did not answer: what was asked may have happened or not."""

    grpc_code = "UNAVAILABLE"
