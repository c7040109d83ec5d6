"""Results of many studies as one matrix: one row per study, one column per finding, level and side. Read in chunks, so that 100,000 studies fit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from lumbar.errors import UnreadableInput

Values = NDArray[np.float32]
_KEYS = ("level", "side", "structure", "finding")
_NEEDED = ("study", *_KEYS, "value")
_BATCH_ROWS = 1 << 20


@dataclass(frozen=True, order=True)
class Column:
    """What one column of the matrix holds."""

    structure: str
    finding: str
    level: str  # "" for the whole
    side: str  # the patient's; "" for both or the middle
    unit: str = ""

    @property
    def title(self) -> str:
        """`disc_height_mm L4/L5`, with structure where the finding does not name it."""
        words = (self.finding if self.finding.startswith(self.structure) else f"{self.structure} {self.finding}", self.level, self.side)
        return " ".join(word for word in words if word)


@dataclass(frozen=True, eq=False)
class CohortTable:
    """All values of a cohort."""

    studies: NDArray[np.str_]  # (n,) in order of their names
    columns: tuple[Column, ...]  # (c,) ordered
    values: Values  # (n, c); NaN where a study has none
    left_out: Mapping[str, int]  # why → number of values that are not in the matrix

    def of(self, finding: str) -> list[int]:
        """Numbers of the columns of one finding."""
        return [number for number, column in enumerate(self.columns) if column.finding == finding]

    def rows(self, chosen: NDArray[np.bool_]) -> "CohortTable":
        """Only the studies that are `chosen` (n,)."""
        return CohortTable(self.studies[chosen], self.columns, self.values[chosen], self.left_out)


def read_results(path: Path) -> CohortTable:
    """The results at `path`: the folder of a batch, or its results.parquet or results.csv. Values whose quality check failed are left out and counted.

    Raises:
        UnreadableInput: there are none, or columns are missing.
    """
    source = path
    if path.is_dir():
        source = next((path / name for name in ("results.parquet", "results.csv") if (path / name).is_file()), path)
    if not source.is_file():
        raise UnreadableInput(f"{path} holds neither results.parquet nor results.csv; give the folder of a batch, or one of these files")
    try:
        return _collected(source, _batches(source))
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise UnreadableInput(f"{source} cannot be read as a table of results ({str(error).splitlines()[0]}); it needs {', '.join(_NEEDED)}") from error


def _batches(source: Path) -> Iterator[pa.RecordBatch]:
    if source.suffix == ".parquet":
        file = pa.parquet.ParquetFile(source, read_dictionary=["study", *_KEYS, "unit", "quality"])
        names = [name for name in (*_NEEDED, "unit", "quality") if name in file.schema_arrow.names]
        yield from file.iter_batches(_BATCH_ROWS, columns=names)
        return
    word = pa.dictionary(pa.int32(), pa.string())
    types = dict.fromkeys(("study", *_KEYS, "unit", "quality"), word) | {"value": pa.float64()}
    convert = pa.csv.ConvertOptions(column_types=types, strings_can_be_null=False)
    yield from pa.csv.open_csv(source, pa.csv.ReadOptions(block_size=1 << 25), convert_options=convert)


def _collected(source: Path, batches: Iterator[pa.RecordBatch]) -> CohortTable:
    studies: dict[str, int] = {}
    columns: dict[Column, int] = {}
    pieces: list[tuple[NDArray[np.int32], NDArray[np.int32], Values]] = []
    failed = 0
    for batch in batches:
        missing = [name for name in _NEEDED if name not in batch.schema.names]
        if missing:
            raise UnreadableInput(f"{source} has no column {', '.join(missing)}; a table of results has {', '.join(_NEEDED)}")
        keep = _passed(batch)
        failed += int((~keep).sum())
        value = batch.column("value").to_numpy(zero_copy_only=False).astype(np.float32)
        keep &= np.isfinite(value)
        pieces.append((_study_numbers(batch, studies)[keep], _column_numbers(batch, columns)[keep], value[keep]))
    if not studies:
        raise UnreadableInput(f"{source} holds no values; a batch in which no study succeeded has nothing to describe")
    return _matrix(studies, columns, pieces, {"quality failed": failed} if failed else {})


def _matrix(
    studies: dict[str, int], columns: dict[Column, int], pieces: list[tuple[NDArray[np.int32], NDArray[np.int32], Values]], left_out: dict[str, int]
) -> CohortTable:
    names, order = np.unique(np.array(list(studies)), return_inverse=True)
    known = sorted(columns)
    place = np.empty(len(known), np.int32)
    place[[columns[column] for column in known]] = np.arange(len(known), dtype=np.int32)
    values = np.full((len(names), len(known)), np.nan, np.float32)
    for study, column, value in pieces:
        values[order[study], place[column]] = value
    return CohortTable(names, tuple(known), values, left_out)


def _codes(batch: pa.RecordBatch, name: str) -> tuple[NDArray[np.int64], list[str]]:
    """(rows,) numbers of the words of a column, and the words; a column that is missing is blank."""
    if name not in batch.schema.names:
        return np.zeros(batch.num_rows, np.int64), [""]
    column = batch.column(name)
    column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    words = ["" if word is None else str(word) for word in column.dictionary.to_pylist()]
    numbers = column.indices.fill_null(len(words)).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers, [*words, ""]


def _passed(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    numbers, words = _codes(batch, "quality")
    return np.array([word != "failed" for word in words])[numbers]


def _study_numbers(batch: pa.RecordBatch, studies: dict[str, int]) -> NDArray[np.int32]:
    numbers, words = _codes(batch, "study")
    used = np.unique(numbers)
    place = np.zeros(len(words), np.int32)
    place[used] = [studies.setdefault(words[number], len(studies)) for number in used]
    return place[numbers]


def _column_numbers(batch: pa.RecordBatch, columns: dict[Column, int]) -> NDArray[np.int32]:
    parts = [_codes(batch, name) for name in ("structure", "finding", "level", "side", "unit")]
    sizes = [len(words) for _, words in parts]
    code = np.ravel_multi_index([numbers for numbers, _ in parts], sizes)
    used = np.flatnonzero(np.bincount(code, minlength=int(np.prod(sizes))))
    place = np.zeros(int(np.prod(sizes)), np.int32)
    for number in used:
        words = [parts[k][1][index] for k, index in enumerate(np.unravel_index(number, sizes))]
        place[number] = columns.setdefault(Column(*words), len(columns))
    return place[code]
