"""Trust in models: Ed25519 signatures of cards, a list of trusted keys, and the models of the package.

The card holds the hash of every file of the model, so that a signature over the card covers them all (`folder.check_folder` compares the hashes).
`card.sig` lies beside the card; `shipped.json` lists the cards of the packaged models, which need no signature wherever they lie.
Ed25519: Josefsson and Liusvaara, RFC 8032; keys are files in the usual PEM forms.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumbar.errors import ModelError, UsageError
from lumbar.models.card import CARD_FILE, SIGNATURE_FILE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SHIPPED_FILE = "shipped.json"
_SCHEMA = 1
_NEEDS = "this needs the package cryptography; pip install lumbar[cluster]"


@dataclass(frozen=True)
class TrustedKey:
    """One entry of the trust list."""

    name: str  # the owner, as named by the user
    public_key: str  # 32 bytes, base64


@dataclass(frozen=True)
class Verdict:
    """Whether a model may be trusted."""

    trusted: bool
    by: str  # "shipped with lumbar", or the name of the key; "" if not trusted
    reason: str  # why not; "" if trusted


def default_trust_list() -> Path:
    """The user's own trust list."""
    return Path.home() / ".lumbar" / "trust.json"


def trust_of(folder: Path, trust_list: Path | None = None) -> Verdict:
    """Whether the card of `folder` is one that came with the package, or is signed by a key of the trust list.

    Raises:
        ModelError: the card is missing, or the signature or the trust list cannot be read.
    """
    card = _card_bytes(folder)
    if hashlib.sha256(card).hexdigest() in shipped_cards().values():
        return Verdict(True, "shipped with lumbar", "")
    path = folder / SIGNATURE_FILE
    if not path.is_file():
        return Verdict(False, "", "it is not signed")
    signature = _document(path, ("public_key", "signature"))
    key = next((key for key in read_trust_list(trust_list) if key.public_key == signature["public_key"]), None)
    if key is None:
        return Verdict(False, "", f"it is signed by a key that is not on the trust list ({fingerprint(signature['public_key'])})")
    if not _verified(signature["public_key"], signature["signature"], card):
        return Verdict(False, "", "its signature does not fit its card: one of them was changed")
    return Verdict(True, key.name, "")


def sign(folder: Path, private_key: Path) -> str:
    """Write `card.sig` with the key of the PEM file `private_key`; returns the public key.

    Raises:
        ModelError: the card is missing.
        UsageError: the key cannot be read.
    """
    card, key = _card_bytes(folder), _load_private(private_key)
    public = _public_text(key.public_key())
    signature = base64.b64encode(key.sign(card)).decode("ascii")
    text = json.dumps({"schema": _SCHEMA, "algorithm": "Ed25519", "public_key": public, "signature": signature}, indent=2)
    (folder / SIGNATURE_FILE).write_text(text + "\n", encoding="utf-8")
    return public


def make_key(private_key: Path) -> str:
    """Write a new private key, readable by its owner only; returns the public key.

    Raises:
        UsageError: the file exists, or cannot be written.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(_NEEDS) from error
    key = Ed25519PrivateKey.generate()
    try:
        private_key.touch(mode=0o600, exist_ok=False)
        private_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except FileExistsError as error:
        raise UsageError(f"{private_key} exists; a key is never overwritten, choose another name") from error
    except OSError as error:
        raise UsageError(f"{private_key} cannot be written ({error.strerror}); choose another place") from error
    return _public_text(key.public_key())


def read_trust_list(path: Path | None = None) -> tuple[TrustedKey, ...]:
    """The trusted keys; none if the user's own list does not exist yet.

    Raises:
        ModelError: the list cannot be read, or a given list does not exist.
    """
    own = path or default_trust_list()
    if path is None and not own.is_file():
        return ()
    try:
        return tuple(TrustedKey(**entry) for entry in _document(own, ("keys",))["keys"])
    except TypeError as error:
        raise ModelError(f"{own} is not a trust list: each key needs a name and a public_key") from error


def trust_key(name: str, public_key: str, path: Path | None = None) -> None:
    """Put a key on the trust list; one of the same name is replaced.

    Raises:
        UsageError: it is not a public key of Ed25519.
    """
    try:
        raw = base64.b64decode(public_key, validate=True)
    except ValueError as error:
        raise UsageError(f"{public_key!r} is not base64; give the public key that `lumbar models sign` prints") from error
    if len(raw) != 32:
        raise UsageError(f"an Ed25519 public key has 32 bytes, this one {len(raw)}; give the public key that `lumbar models sign` prints")
    own = path or default_trust_list()
    keys = [key for key in (read_trust_list(own) if own.is_file() else ()) if key.name != name]
    keys.append(TrustedKey(name, public_key))
    own.parent.mkdir(parents=True, exist_ok=True)
    draft = own.with_suffix(".part")
    draft.write_text(json.dumps({"schema": _SCHEMA, "keys": [asdict(key) for key in keys]}, indent=2) + "\n", encoding="utf-8")
    draft.replace(own)


def shipped_cards() -> Mapping[str, str]:
    """sha256 of the card by folder of every model that comes with this version."""
    cards: dict[str, str] = json.loads(resources.files("lumbar.models").joinpath(SHIPPED_FILE).read_text(encoding="utf-8"))
    return cards


def list_shipped() -> dict[str, str]:
    """What `shipped.json` has to hold: the cards of the model folders that lie in this package."""
    package = Path(__file__).parent
    cards = sorted(package.glob(f"weights*/*/{CARD_FILE}"))
    return {path.parent.relative_to(package).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in cards}


def fingerprint(public_key: str) -> str:
    """A short form of a public key for people to compare."""
    return hashlib.sha256(public_key.encode("ascii", "replace")).hexdigest()[:16]


def _card_bytes(folder: Path) -> bytes:
    try:
        return (folder / CARD_FILE).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder} is not a model folder: it has no {CARD_FILE}; give the folder that holds one") from error


def _document(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON ({error}); fetch or write it again") from error
    if not isinstance(document, dict) or document.get("schema") != _SCHEMA or any(key not in document for key in keys):
        raise ModelError(f"{path} is not what this version of lumbar writes (schema {_SCHEMA} with {', '.join(keys)}); write it again")
    return document


def _verified(public_key: str, signature: str, content: bytes) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(_NEEDS) from error
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key)).verify(base64.b64decode(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _load_private(path: Path) -> "Ed25519PrivateKey":
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(_NEEDS) from error
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path} cannot be read as a private key without password ({type(error).__name__}); make one with lumbar models keygen") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path} holds a key of another kind; Ed25519 is needed, make one with lumbar models keygen")
    return key


def _public_text(key: "Ed25519PublicKey") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode("ascii")
