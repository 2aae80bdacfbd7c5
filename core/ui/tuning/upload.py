"""A file of the visitor's: it is kept, read, and its columns are told apart; every problem keeps the form."""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.errors import TallerError
from core.i18n import format_number, format_percent, get_language, ngettext
from core.i18n import gettext as _
from core.tables import check_size
from core.tasks.language import likely_language
from core.training.data import TuningTask
from core.training.ours import our_data
from core.training.reading import (
    EXTENSIONS,
    FIELDS,
    MAX_BYTES,
    MAX_ROWS,
    DataInvalid,
    Records,
    build,
    encoding_name,
    field_title,
    guess_columns,
    read_upload,
    shown,
)
from core.ui.downloads import csv_bytes
from core.ui.messages import plain, show_error
from core.ui.share import in_this_language
from core.ui.tuning.data_view import Shown, table

FILE: Final = "td_file"
TEST_FILE: Final = "td_test_file"
LEAVE_OUT: Final = "td_leave_out"
SHARE: Final = "td_share"
UPLOAD_LANGUAGE: Final = "td_upload_language"
_SHARES: Final = (10, 20, 30, 40, 50)
_NONE: Final = ""
_PREVIEW: Final = 5


@dataclass(frozen=True, slots=True)
class Kept:
    """A file as it came. Streamlit forgets an upload as soon as another page is opened.

    Attributes:
        name: its name.
        data: its bytes; none of a file that is too large to be read.
        size: in bytes.
        digest: SHA-256 of its bytes.
    """

    name: str
    data: bytes
    size: int
    digest: str


def _keep(key: str) -> None:
    """Remembers what was uploaded, or forgets it when it is taken away."""
    upload: UploadedFile | None = st.session_state.get(f"{key}_widget")
    if upload is None:
        st.session_state.pop(key, None)
        return
    data = upload.getvalue() if upload.size <= MAX_BYTES else b""
    digest = hashlib.sha256(data).hexdigest()
    st.session_state[key] = Kept(upload.name, data, upload.size, digest)


def _forget(key: str) -> None:
    st.session_state.pop(key, None)


def _file(label: str, key: str) -> Kept | None:
    """An uploader, and the file that is in force, which may have come before this page was last opened."""
    upload = st.file_uploader(
        label,
        type=list(EXTENSIONS),
        max_upload_size=MAX_BYTES // 2**20,
        key=f"{key}_widget",
        on_change=_keep,
        args=(key,),
    )
    kept: Kept | None = st.session_state.get(key)
    if kept is not None and upload is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(_("Sigo con «{name}».").format(name=kept.name))
            st.button(_("Quitar"), icon=":material/close:", key=f"{key}_forget", on_click=_forget, args=(key,))
    return kept


@st.cache_resource(max_entries=8, show_spinner=False)
def _records(digest: str, name: str, reader: str, _data: bytes) -> Records:
    """A file's rows, read once while somebody works with it."""
    return read_upload(_data, name)


def _read(kept: Kept) -> Records:
    check_size(kept.size, MAX_BYTES)
    return _records(kept.digest, kept.name, get_language(), kept.data)


@st.cache_resource(max_entries=8, show_spinner=False)
def _shown(
    key: str,
    task: TuningTask,
    columns: tuple[tuple[str, str], ...],
    leave_out: bool,
    share: int,
    language: str,
    reader: str,
    _records: Records,
    _test: Records | None,
) -> Shown:
    built = build(task, _records, dict(columns), test=_test, leave_out=leave_out, share=share / 100, language=language)
    digest = hashlib.sha256(repr((key, task, columns, leave_out, share)).encode()).hexdigest()[:12]
    return Shown.of(built.data, built.notices, key=digest)


_SAMPLES: Final = {
    "es": {
        "classification": "text,label\n¿Va a llover mañana?,tiempo\nPon algo de tango,música\n",
        "entities": "Mercedes B-artista\nSosa I-artista\ncanta O\nen O\nLima B-ciudad\n\nPon O\njazz B-género\n",
        "questions": "question,context,answer\n¿Quién vino?,Ana vino ayer.,Ana\n¿Por qué?,Ana vino ayer.,\n",
    },
    "en": {
        "classification": "text,label\nWill it rain tomorrow?,weather\nPlay some tango,music\n",
        "entities": "Nina B-artist\nSimone I-artist\nsings O\nin O\nParis B-city\n\nPlay O\njazz B-genre\n",
        "questions": "question,context,answer\nWho came?,Ana came yesterday.,Ana\nWhy?,Ana came yesterday.,\n",
    },
}


def _help(task: TuningTask) -> None:
    """What a file should look like, with one to begin from."""
    with st.popover(_("Cómo preparar el archivo"), icon=":material/help:", key="td_help"):
        if task == "classification":
            st.markdown(_("Una tabla (CSV, TSV, JSON o JSON Lines) con una columna de textos y otra de etiquetas."))
        elif task == "entities":
            st.markdown(
                _(
                    "Una palabra por línea con su etiqueta IOB2 (`B-` donde empieza una entidad, `I-` donde sigue, `O` "
                    "fuera) y una línea en blanco entre frases; o una tabla con palabras y etiquetas separadas "
                    "por espacios; o frases con las entidades así: `[artista: Mercedes Sosa]`."
                )
            )
        else:
            st.markdown(
                _(
                    "Preguntas con su contexto y su respuesta copiada de él: en formato SQuAD, en JSON Lines o en una "
                    "tabla. Sin respuesta, la pregunta cuenta como imposible."
                )
            )
        st.code(_SAMPLES[get_language()][task], language=None)
        st.markdown(
            _(
                "Si una columna `split` dice `train` o `test`, se respeta; si no, se aparta una parte para probar. "
                "Hasta {rows} filas y {size} MiB."
            ).format(rows=format_number(MAX_ROWS), size=MAX_BYTES // 2**20)
        )
        language = get_language()
        st.download_button(
            _("Bajar un ejemplo (CSV)"),
            data=in_this_language(lambda: csv_bytes(*table(our_data(task, language)))),
            file_name=f"{task}-{language}.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="td_help_file",
        )


def _columns(task: TuningTask, records: Records, digest: str) -> dict[str, str]:
    """The columns' meaning: guessed, and changed by the person."""
    guessed = guess_columns(task, records)
    # A CoNLL file tells sentences apart by itself.
    fields = [own for own in FIELDS[task] if records.layout != "conll" or own.name in {"words", "tags"}]
    chosen: dict[str, str] = {}
    for place, column in zip(fields, st.columns(len(fields)), strict=True):
        options = list(records.columns) if place.required else [_NONE, *records.columns]
        if place.required and place.name not in guessed:
            options = [_NONE, *options]
        with column:
            picked = st.selectbox(
                field_title(place.name),
                options,
                index=options.index(guessed.get(place.name, _NONE)),
                format_func=lambda name: name or _("(ninguna)"),
                # Another file, or another task, begins from its own guess.
                key=f"td_column_{task}_{place.name}_{digest[:12]}",
                persist_state="session",
            )
        if picked:
            chosen[place.name] = picked
    return chosen


def _preview(records: Records) -> None:
    with st.expander(_("Ver las primeras filas"), icon=":material/table_rows:"):
        rows = [[shown(cell)[:300] for cell in row] for row in records.rows[:_PREVIEW]]
        st.dataframe(pd.DataFrame(rows, columns=list(records.columns)), hide_index=True)


def _summary(records: Records) -> str:
    layouts = {
        "table": _("tabla"),
        "json": "JSON",
        "jsonl": "JSON Lines",
        "squad": "SQuAD",
        "conll": "CoNLL",
    }
    count = len(records.rows)
    parts = [
        records.name,
        layouts[records.layout],
        (
            ngettext("{n} frase", "{n} frases", count)
            if records.layout == "conll"
            else ngettext("{n} fila", "{n} filas", count)
        ).format(n=format_number(count)),
        encoding_name(records.encoding),
    ]
    if records.separator:
        parts.append(_("columnas separadas por «{separator}»").format(separator=records.separator.replace("\t", "↹")))
    return " · ".join(parts)


def show_upload(task: TuningTask) -> Shown | None:
    """Uploader, columns and options; the set, or ``None`` while there is none.

    Raises:
        TallerError: a file can't be read; the form stays as it is.
    """
    kept = _file(
        _("Tu archivo: CSV, TSV, JSON, SQuAD o CoNLL, de hasta {n} filas").format(n=format_number(MAX_ROWS)), FILE
    )
    with st.container(horizontal=True):
        _help(task)
        with st.popover(_("Archivo de prueba aparte"), icon=":material/rule:", key="td_test_popover"):
            st.markdown(_("Si tienes otro archivo con qué medir, con los mismos títulos, súbelo aquí."))
            test_kept = _file(_("Archivo de prueba"), TEST_FILE)
    if kept is None:
        st.info(_("Sube un archivo, o prueba antes con los datos del taller."), icon=":material/upload_file:")
        return None
    with st.spinner(_("Leyendo el archivo…")):
        records = _read(kept)
        test = _read(test_kept) if test_kept is not None else None
    st.caption(plain(_summary(records)))
    _preview(records)
    columns = _columns(task, records, kept.digest)
    left, middle = st.columns(2, vertical_alignment="bottom")
    # A list: a slider shows its value in a colour with too little contrast on a dark page.
    picked = left.selectbox(
        _("Parte para probar"),
        list(_SHARES),
        index=_SHARES.index(20),
        format_func=lambda value: format_percent(value / 100, 0),
        key=SHARE,
        persist_state="session",
        disabled=test is not None or "split" in columns,
        help=_("El modelo no aprende de ella: con ella se mide. La decide tu archivo si tiene columna de parte."),
    )
    share = picked or 20
    leave_out = st.toggle(_("Dejar fuera las filas con problemas"), key=LEAVE_OUT, persist_state="session")
    try:
        language = _language(middle, task, records, columns)
        files = [kept, *([test_kept] if test_kept is not None else [])]
        digests = " ".join(f"{file.digest} {file.name}" for file in files)
        ordered = tuple(columns.items())
        with st.spinner(_("Revisando los datos…")):
            return _shown(digests, task, ordered, leave_out, share, language, get_language(), records, test)
    except DataInvalid as error:
        show_error(error)
        if error.removable and not leave_out:
            st.caption(_("O activa «Dejar fuera las filas con problemas» y sigue con las demás."))
        return None


def _language(place: DeltaGenerator, task: TuningTask, records: Records, columns: dict[str, str]) -> str:
    """The texts' language, guessed from the first of them."""
    first = FIELDS[task][0].name
    texts = records.column(columns[first])[:50] if first in columns else []
    guess = likely_language(" ".join(map(shown, texts))) or get_language()
    options = ["es", "en", ""]
    names = {"es": _("español"), "en": _("inglés"), "": _("otro")}
    picked = place.selectbox(
        _("Idioma de los textos"),
        options,
        index=options.index(guess),
        format_func=names.__getitem__,
        key=f"{UPLOAD_LANGUAGE}_{guess}",
        persist_state="session",
    )
    return picked or ""


def upload_code(task: TuningTask) -> str:
    """Lines of Python that leave the uploaded file's set in ``data``."""
    kept: Kept | None = st.session_state.get(FILE)
    if kept is None:
        return ""
    try:
        records = _read(kept)
    except TallerError:
        return ""
    columns = {}
    for place in FIELDS[task]:
        key = f"td_column_{task}_{place.name}_{kept.digest[:12]}"
        if st.session_state.get(key):
            columns[place.name] = st.session_state[key]
    test: Kept | None = st.session_state.get(TEST_FILE)
    name = json.dumps(records.name, ensure_ascii=False)
    options = [f"leave_out={bool(st.session_state.get(LEAVE_OUT))}", f"share={st.session_state.get(SHARE, 20) / 100}"]
    lines = [
        "from pathlib import Path",
        "",
        "from core.training.reading import build, read_upload",
        "",
        f"name = {name}",
        "records = read_upload(Path(name).read_bytes(), name)",
        f"columns = {columns!r}",
    ]
    if test is not None:
        lines += [f"other = {test.name!r}", "test = read_upload(Path(other).read_bytes(), other)"]
        options.insert(0, "test=test")
    lines.append(f"data = build({task!r}, records, columns, {', '.join(options)}).data")
    return "\n".join(lines) + "\n"
