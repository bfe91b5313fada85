"""Errors of a cluster in a test. Their messages explain a failed test without a debugger."""


class ClusterError(Exception):
    """The program cannot be started, or a call failed. The cluster is unchanged, except after a timeout."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        """Reason of the Status that the API returned: `NotFound`, `BadRequest`, `Timeout`; empty without one."""


class QueryError(AssertionError):
    """More or fewer queries than expected. The message lists those that came."""
