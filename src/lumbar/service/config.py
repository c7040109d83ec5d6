"""Settings of the service: one TOML file, one dataclass per table; unknown names are errors."""

import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from lumbar.errors import UsageError
from lumbar.service.store.jobs import QueueRules


@dataclass(frozen=True)
class ArchiveSettings:
    """The Orthanc server whose studies are analyzed."""

    url: str = "http://127.0.0.1:8042"
    user: str = ""
    password_file: Path | None = None  # contains only the password
    pause_seconds: float = 1.0  # between two queries of its changes
    reconcile_seconds: float = 60.0  # between two queries of all studies, as events can be lost
    from_date: str = ""  # YYYYMMDD: studies that arrived earlier are left alone
    descriptions: str = ""  # regular expression that the study's description has to contain; empty: all MR studies


@dataclass(frozen=True)
class ReceiverSettings:
    """The DICOM receiver of the service itself, for sites without an archive."""

    port: int = 11112
    host: str = "127.0.0.1"
    title: str = "LUMBAR"
    callers: tuple[str, ...] = ()  # titles that may send; empty: any, which is allowed on loopback only
    quiet_seconds: float = 10.0  # a study is complete when no image has arrived for this long
    most_associations: int = 8
    most_mib: int = 64  # of one object
    certificate: Path | None = None  # with `key`: TLS
    key: Path | None = None
    client_authority: Path | None = None  # callers need a certificate of this authority


@dataclass(frozen=True)
class ResultsSettings:
    """The DICOM node that results of received studies are sent to; results of studies from an archive go back to the archive."""

    host: str = "127.0.0.1"
    port: int = 104
    title: str = "PACS"
    own_title: str = "LUMBAR"
    uploads: bool = False  # also the results of studies from browsers
    authority: Path | None = None  # TLS: the node needs a certificate of this authority
    certificate: Path | None = None  # with `key`: shown to the node
    key: Path | None = None


@dataclass(frozen=True)
class ServiceConfig:
    """All settings; the defaults serve one person on one machine."""

    data: Path  # folder of all data of the service, on a local disk
    host: str = "127.0.0.1"
    port: int = 8080
    certificate: Path | None = None  # with `key`: HTTPS, which is required beyond loopback
    key: Path | None = None
    names: tuple[str, ...] = ()  # host names under which browsers reach the service, beside its address
    behind_https: bool = False  # a proxy on this machine speaks HTTPS to browsers
    workers: int = 1
    threads: int = 0  # of each worker's networks; 0: all cores
    models: Path | None = None  # as --models of `lumbar analyze`
    job_minutes: float = 30.0  # an analysis that takes longer is stopped
    upload_gib: float = 4.0
    least_free_gib: float = 1.0  # below this no job is started and no upload is accepted
    keep_days: float = 0.0  # studies are removed after this many days; 0: never
    demo: bool = False
    queue: QueueRules = field(default_factory=QueueRules)
    archive: ArchiveSettings | None = None
    receiver: ReceiverSettings | None = None
    results: ResultsSettings | None = None

    @property
    def scheme(self) -> str:
        """The scheme that browsers use."""
        return "https" if self.certificate or self.behind_https else "http"


def read_config(path: Path) -> dict[str, Any]:
    """The tables of a configuration file.

    Raises:
        UsageError: it cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); give another file with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from error


def config_from(tables: Mapping[str, Any]) -> ServiceConfig:
    """The settings in `tables`, checked.

    Raises:
        UsageError: a name is unknown, a value is of the wrong type, or the combination of settings is unsafe.
    """
    config = _filled(ServiceConfig, tables, "")
    assert isinstance(config, ServiceConfig)
    _check_safe(config)
    return config


def to_tables(config: ServiceConfig) -> dict[str, Any]:
    """The settings as `config_from` reads them, for worker processes."""
    tables: dict[str, Any] = _plain(asdict(config))
    return tables


def is_loopback(host: str) -> bool:
    """Whether the address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_safe(config: ServiceConfig) -> None:
    if bool(config.certificate) != bool(config.key):
        raise UsageError("certificate and key belong together; give both or none")
    if not is_loopback(config.host) and not config.certificate:
        raise UsageError(f"{config.host} is reached by other machines, so the service needs HTTPS there: give --certificate and --key, or listen on 127.0.0.1")
    receiver = config.receiver
    if receiver and not is_loopback(receiver.host) and not receiver.callers:
        raise UsageError(f"the receiver on {receiver.host} is reached by other machines: name the titles that may send in receiver.callers")
    if receiver and bool(receiver.certificate) != bool(receiver.key):
        raise UsageError("receiver.certificate and receiver.key belong together; give both or none")
    results = config.results
    if results and (bool(results.certificate) != bool(results.key) or (results.certificate and not results.authority)):
        raise UsageError("results.certificate and results.key belong together and to results.authority; give all or none")
    files = [config.certificate, config.key]
    files += [receiver.certificate, receiver.key, receiver.client_authority] if receiver else []
    files += [results.authority, results.certificate, results.key] if results else []
    for path in files:
        if path and not path.is_file():
            raise UsageError(f"{path} does not exist; give the PEM file")


def _filled(kind: type, tables: Mapping[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    known = {one.name for one in fields(kind)}
    if unknown := sorted(set(tables) - known):
        raise UsageError(f"{where}{unknown[0]} is not a setting; known are {', '.join(sorted(known))}")
    try:
        return kind(**{name: _value(hints[name], value, f"{where}{name}") for name, value in tables.items()})
    except TypeError as error:
        raise UsageError(f"the settings are incomplete: {error}") from error


def _value(hint: Any, value: Any, name: str) -> Any:
    options = get_args(hint) if get_origin(hint) is UnionType or isinstance(hint, UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    wanted: Any = next(option for option in options if option is not type(None))
    if is_dataclass(wanted) and isinstance(value, Mapping):
        return _filled(cast(type, wanted), value, f"{name}.")
    if get_origin(wanted) is tuple and isinstance(value, list | tuple):
        return tuple(_value(get_args(wanted)[0], one, name) for one in value)
    if wanted is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if wanted in (int, str, bool) and type(value) is wanted:
        return value
    raise UsageError(f"{name} = {value!r} is of the wrong kind; it takes {getattr(wanted, '__name__', wanted)}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
