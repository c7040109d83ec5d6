"""Layout of the data folder, and the keys that replace patient identities."""

import fcntl
import hashlib
import hmac
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from lumbar.errors import UsageError


class DataFolder:
    """The folder of one service; only its user can read it.

    lumbar.sqlite · users.json · secret · uploads/ (unfinished) · studies/STUDY/images/, views/, results/, masks/
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in ("uploads", "studies"):
                (root / name).mkdir(exist_ok=True, mode=0o700)
            self._secret = _kept_secret(root / "secret")
        except OSError as error:
            raise UsageError(f"{root} cannot be written to ({error.strerror}); choose another folder with --data") from error

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "lumbar.sqlite"

    @property
    def users(self) -> Path:
        """Names, roles and password hashes."""
        return self.root / "users.json"

    @property
    def uploads(self) -> Path:
        """Uploads that are not finished."""
        return self.root / "uploads"

    def study(self, study: str) -> Path:
        """All files of a study."""
        return self.root / "studies" / study

    def images(self, study: str, fingerprint: str) -> Path:
        """The images that were received."""
        return self.study(study) / "images" / fingerprint[:16]

    def views(self, study: str, fingerprint: str) -> Path:
        """The volumes of the viewer."""
        return self.study(study) / "views" / fingerprint[:16]

    def result(self, study: str, job: str) -> Path:
        """The result of a job, complete or absent."""
        return self.study(study) / "results" / job

    def masks(self, study: str) -> Path:
        """Masks that readers uploaded."""
        return self.study(study) / "masks"

    def key_of_study(self, uid: str) -> str:
        """The name of a study in addresses, logs and folders; the study cannot be derived from it without the secret."""
        return self._hashed(f"study {uid}")

    def key_of_person(self, patient_id: str, issuer: str) -> str:
        """The same text for all studies of a person; empty where the source has no patient identifier."""
        return self._hashed(f"person {patient_id}\n{issuer}") if patient_id.strip() else ""

    def free_gib(self) -> float:
        """Free space on the disk."""
        return shutil.disk_usage(self.root).free / 2**30

    def lock(self) -> int:
        """Hold the folder for this process, until it ends.

        Raises:
            UsageError: another service uses it.
        """
        handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise UsageError(f"another service uses {self.root}; stop it or choose another folder with --data") from error
        return handle

    def _hashed(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()[:16]


def _kept_secret(path: Path) -> bytes:
    """32 random bytes, made by whichever process comes first."""
    if not path.exists():
        made = path.with_name(f"secret.{os.getpid()}")
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(made, path)
        made.unlink()
    return path.read_bytes()
