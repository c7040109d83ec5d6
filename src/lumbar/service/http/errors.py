"""Refusals, and the one shape in which they are answered."""

import json
from http import HTTPStatus


class Refusal(Exception):
    """A request that is not granted, with the sentence that its sender gets."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_after = status, message, retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        kind = {"Content-Type": "application/json"}
        return kind if self.retry_after is None else {**kind, "Retry-After": str(self.retry_after)}

    @property
    def body(self) -> bytes:
        """The answer."""
        return json.dumps({"error": self.message}).encode()


def not_found(what: str) -> Refusal:
    """The refusal of what is not there."""
    return Refusal(HTTPStatus.NOT_FOUND, f"there is no such {what}")
