"""The template environment of all pages. Compiled templates are cached beside their sources, as Python caches its modules."""

import os
import sys
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from pickle import UnpicklingError

import jinja2
from jinja2.bccache import Bucket


@cache
def environment(package: str) -> jinja2.Environment:
    """The environment with the templates of `package`; undefined names are errors, and values are escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_CompiledBeside(Path(str(files(package))) / "templates" / "__pycache__"),
    )


class _CompiledBeside(jinja2.BytecodeCache):
    """Compiled templates in a `__pycache__` folder: compilation takes 0.2 s of every new process. Nothing is written where Python writes no byte code."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill `bucket` if the compiled template is there; Jinja compares the hash of the source."""
        with suppress(OSError, EOFError, ValueError, UnpicklingError):  # absent or damaged: the template is compiled
            bucket.bytecode_from_string(self._file(bucket).read_bytes())

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the compiled template, unless the folder cannot be written to."""
        if sys.dont_write_bytecode:
            return
        target = self._file(bucket)
        part = target.with_name(f"{target.name}.{os.getpid()}")
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            part.write_bytes(bucket.bytecode_to_string())
            part.replace(target)

    def _file(self, bucket: Bucket) -> Path:
        return self._folder / f"{bucket.key}.{sys.implementation.cache_tag}-jinja{jinja2.__version__}.pyc"
