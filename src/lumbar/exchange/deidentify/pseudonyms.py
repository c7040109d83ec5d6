"""Identifiers and dates derived from a secret: equal originals have equal replacements, which cannot be inverted without the secret."""

import datetime
import hashlib
import hmac
from dataclasses import dataclass

_LEAST_DAYS, _MOST_DAYS = 30, 3650


@dataclass(frozen=True)
class Pseudonyms:
    """Replacements by a secret."""

    secret: bytes  # at least 16 bytes, kept by the user

    def uid(self, uid: str) -> str:
        """A UID under 2.25 in place of `uid`."""
        return f"2.25.{int.from_bytes(self._digest('uid', uid)[:16], 'big')}"

    def patient(self, patient_id: str) -> str:
        """A code in place of a patient's identifier."""
        return f"LUMBAR-{self._digest('patient', patient_id).hex()[:12].upper()}"

    def date(self, date: str, patient_id: str) -> str:
        """A date (YYYYMMDD) moved back by the patient's own number of days; "" for an invalid date."""
        days = _LEAST_DAYS + int.from_bytes(self._digest("days", patient_id)[:4], "big") % (_MOST_DAYS - _LEAST_DAYS)
        try:
            return (datetime.datetime.strptime(date, "%Y%m%d") - datetime.timedelta(days=days)).strftime("%Y%m%d")
        except (ValueError, OverflowError):
            return ""

    def _digest(self, kind: str, value: str) -> bytes:
        return hmac.new(self.secret, f"{kind}\x1f{value}".encode(), hashlib.sha256).digest()
