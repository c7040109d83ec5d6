"""Refusals, and the form in which they are sent."""

import json
from http import HTTPStatus


class Refusal(Exception):
    """A refused request, with the message for the client."""

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
    """The refusal of a request for something that does not exist."""
    return Refusal(HTTPStatus.NOT_FOUND, f"there is no such {what}")
