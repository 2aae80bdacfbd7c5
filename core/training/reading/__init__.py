"""Files that people bring to learn from: what is in them, which column is what, and the data set they make.

records = read_upload(data, name)
built = build(task, records, guess_columns(task, records))
"""

from core.training.reading.building import Built, build
from core.training.reading.mapping import FIELDS, Field, check_columns, field_title, guess_columns
from core.training.reading.problems import (
    DataInvalid,
    GuessedEncoding,
    LeftOut,
    Notice,
    RepairedTags,
    RowProblem,
    encoding_name,
)
from core.training.reading.records import EXTENSIONS, MAX_BYTES, MAX_ROWS, Records, read_upload, shown

__all__ = [
    "EXTENSIONS",
    "FIELDS",
    "MAX_BYTES",
    "MAX_ROWS",
    "Built",
    "DataInvalid",
    "Field",
    "GuessedEncoding",
    "LeftOut",
    "Notice",
    "Records",
    "RepairedTags",
    "RowProblem",
    "build",
    "check_columns",
    "encoding_name",
    "field_title",
    "guess_columns",
    "read_upload",
    "shown",
]
