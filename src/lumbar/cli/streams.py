"""Standard output and error for any terminal: characters missing from the encoding are replaced by ASCII, without an error."""

import codecs
import sys
import unicodedata

_HANDLER = "lumbar.ascii"
_ASCII = {
    "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "…": "...", "×": "x", "·": "*", "→": "->", "←": "<-", "≥": ">=", "≤": "<=", "±": "+/-", "°": " deg",
    "²": "2", "³": "3", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "µ": "u", "σ": "sigma", "κ": "kappa", "τ": "tau", "Δ": "delta", "Σ": "sum",
    "√": "sqrt", "ß": "ss", "æ": "ae", "ø": "o", "\u00a0": " ", "\u202f": " ", "•": "*", "✓": "ok",
}  # fmt: skip


def forgiving_streams() -> None:
    """Let both streams write every character, whatever their encoding is (cp1252, cp932, ASCII, …)."""
    codecs.register_error(_HANDLER, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a replaced stream may lack it
        if reconfigure is not None:
            reconfigure(errors=_HANDLER)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Replacements of characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    if character in _ASCII:
        return _ASCII[character]
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that is not text
        return f"\\x{ord(character) - 0xDC00:02x}"
    bare = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return bare or character.encode("ascii", "backslashreplace").decode()
