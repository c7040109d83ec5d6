"""lumbar: the open toolkit for lumbar-spine MRI (research use only, not a medical device).

The front door: `read_study`, `load_models`, `analyze`, `Request`, `Result`. They are imported on first use, so that `import lumbar` stays quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lumbar.api import Result, analyze, load_models
    from lumbar.io.read import read_study
    from lumbar.pipeline import Models, Request

__version__ = "0.2.0"
__all__ = ["Models", "Request", "Result", "__version__", "analyze", "load_models", "read_study"]

_HOMES = {
    "Models": "lumbar.pipeline",
    "Request": "lumbar.pipeline",
    "Result": "lumbar.api",
    "analyze": "lumbar.api",
    "load_models": "lumbar.api",
    "read_study": "lumbar.io.read",
}


def __getattr__(name: str) -> Any:
    """Import a name of the front door on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lumbar' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
