"""The job of a worker's process that runs pickled calls: how the data-set commands use the engine of `lumbar batch`."""

import base64
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

CALL_JOB = "lumbar.batch.call_job:CallJob"
_SCHEME = "call://"  # takes the place of a study's path


def packed(call: Callable[[], object]) -> str:
    """`call` as the source of a `Work`. It travels between processes of one user only, as with multiprocessing."""
    return _SCHEME + base64.b64encode(pickle.dumps(call)).decode("ascii")


class CallJob:
    """Runs one call per message; its return value is discarded, so the call must write its result to a file."""

    def __init__(self, tasks: Sequence[str] | None, models: str | None, threads: int) -> None:
        """The settings of an analysis do not apply: each call brings its own."""

    def __call__(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Run the call of `message`."""
        call: Callable[[], object] = pickle.loads(base64.b64decode(message["source"].removeprefix(_SCHEME)))  # noqa: S301  (packed by this command)
        call()
        return {"status": "done"}
