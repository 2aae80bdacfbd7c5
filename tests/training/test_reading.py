"""Files that people bring: every layout and encoding is read, and every bad file says what, where and what to do."""

import io
import json
import re
import zipfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import InputInvalid, InputTooLong
from core.i18n import set_language
from core.training.data import Labelled, Question, Tagged, count_labels
from core.training.reading import (
    MAX_BYTES,
    MAX_ROWS,
    DataInvalid,
    GuessedEncoding,
    LeftOut,
    RepairedTags,
    RowProblem,
    build,
    guess_columns,
    read_upload,
)


def made(task, data, name="datos.csv", columns=None, **options):
    records = read_upload(data if isinstance(data, bytes) else data.encode(), name)
    return build(task, records, columns or guess_columns(task, records), **options)


def refused(task, data, name="datos.csv", **options) -> DataInvalid:
    with pytest.raises(DataInvalid) as caught:
        made(task, data, name, **options)
    return caught.value


FEELINGS = [("Me encantó la obra", "bueno"), ("No volvería nunca", "malo")]
ROWS = [(f"{text}, señor {n}", label) for n in range(10) for text, label in FEELINGS]
CSV = "texto;etiqueta\n" + "".join(f"{text};{label}\n" for text, label in ROWS)
CONLL = "".join(f"Ana{n} B-PER\nPaz I-PER\nfue O\na O\nLima B-LOC\n\n" for n in range(10))
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": f"Sitio {n}",
            "paragraphs": [
                {
                    "context": f"El faro {n} se alzó en 18{n}1 junto al mar.",
                    "qas": [
                        {"id": "a", "question": "¿Cuándo?", "answers": [{"text": f"18{n}1", "answer_start": 21}]},
                        {"id": "b", "question": "¿Quién?", "is_impossible": True, "answers": []},
                    ],
                }
            ],
        }
        for n in range(5)
    ],
}


# --- what can be read -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_texts_and_labels_in_any_encoding(encoding: str) -> None:
    built = made("classification", CSV.encode(encoding))
    data = built.data
    assert data.labels == ("bueno", "malo")
    assert count_labels(data) == {"bueno": (8, 2), "malo": (8, 2)}
    assert {example.text for example in data.train + data.test} == {text for text, _label in ROWS}
    guessed = [notice for notice in built.notices if isinstance(notice, GuessedEncoding)]
    assert bool(guessed) == (encoding in {"utf-16-le", "cp1252"})
    for notice in guessed:
        assert "«encantó»" in notice.message


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"text": text, "label": label} for text, label in ROWS]),
        json.dumps({"data": [{"text": text, "label": label} for text, label in ROWS]}),
        json.dumps({"text": [text for text, _label in ROWS], "label": [label for _text, label in ROWS]}),
        "\n".join(json.dumps({"text": text, "label": label}) for text, label in ROWS) + "\n\n",
    ],
    ids=["list", "data", "columns", "lines"],
)
def test_json_in_its_layouts(text: str) -> None:
    data = made("classification", text, "datos.json").data
    assert len(data.train) + len(data.test) == len(ROWS)
    assert data.labels == ("bueno", "malo")


def test_json_with_its_parts_and_labels_of_other_types() -> None:
    parts = {
        "train": [{"text": f"a {n}", "label": n % 2} for n in range(6)],
        "validation": [{"text": f"b {n}", "label": bool(n % 2)} for n in range(4)],
    }
    error = refused("classification", json.dumps(parts), "datos.json")
    assert error.reason == "test_only" and "«true»" in str(error)
    parts["validation"] = [{"text": f"b {n}", "label": float(n % 2)} for n in range(4)]
    data = made("classification", json.dumps(parts), "datos.json").data
    assert (len(data.train), len(data.test), data.labels) == (6, 4, ("0", "1"))


def test_columns_are_guessed_by_content_where_names_say_nothing() -> None:
    text = "a,b,c\n" + "".join(f"{n},{'xy'[n % 2]},una frase bastante larga {n}\n" for n in range(20))
    records = read_upload(text.encode(), "a.csv")
    assert guess_columns("classification", records) == {"text": "c", "label": "b"}
    assert guess_columns("questions", read_upload(json.dumps(SQUAD).encode(), "s.json")) == {
        "question": "question",
        "context": "context",
        "answers": "answers",
    }


def test_a_split_column_and_a_second_file() -> None:
    text = "text,label,split\n" + "".join(f"t {n},{'ab'[n % 2]},{'test' if n > 7 else 'train'}\n" for n in range(12))
    data = made("classification", text).data
    assert [example.text for example in data.test] == ["t 8", "t 9", "t 10", "t 11"]
    test = read_upload(b"label,text\na,otro 1\nb,otro 2\n", "prueba.csv")
    data = made(
        "classification",
        CSV.replace("bueno", "a").replace("malo", "b").replace("texto;etiqueta", "text;label"),
        test=test,
    ).data
    assert (len(data.train), [example.text for example in data.test]) == (20, ["otro 1", "otro 2"])


def test_conll_with_comments_more_columns_and_documents() -> None:
    lines = "-DOCSTART- O O\n\n" + "".join(
        f"# sent_id = {n}\n1\tAna\tNP\tB-PER\n2-3\tdel\t_\tO\n2\tde\tP\tO\n3\tel\tD\tO\n4\t#{n}\tX\tB-TAG\n\n"
        for n in range(8)
    ).replace("\n\n", "\r\n\r\n")
    built = made("entities", lines, "x.conll")
    data = built.data
    assert data.labels == ("O", "B-PER", "I-PER", "B-TAG", "I-TAG")
    assert data.train[0].words[:3] == ("Ana", "de", "el") and data.train[0].tags == ("B-PER", "O", "O", "B-TAG")
    assert made("entities", CONLL, "datos.txt").data.kinds == ("LOC", "PER")
    hashtag = made("entities", "".join(f"# B-X\nya{n} O\n\n" for n in range(5)), "x.bio").data
    assert hashtag.train[0].words[0] == "#"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("words,tags\n" + "".join(f"Ana {n} fue,B-PER I-PER O\n" for n in range(5)), "a.csv"),
        (
            json.dumps([{"tokens": ["Ana", str(n), "fue"], "ner_tags": ["B-PER", "I-PER", "O"]} for n in range(5)]),
            "a.json",
        ),
        ("sentence_id,word,tag\n" + "".join(f"{n},Ana,B-PER\n,{n},I-PER\n,fue,O\n" for n in range(5)), "a.csv"),
        ("frase\n" + "".join(f"[PER: Ana {n}] fue\n" for n in range(5)), "a.csv"),
    ],
    ids=["cells", "json", "word a row", "inline"],
)
def test_entities_in_their_layouts(text: str, name: str) -> None:
    data = made("entities", text, name).data
    assert sorted(data.train + data.test, key=lambda example: example.words) == [
        Tagged(("Ana", str(n), "fue"), ("B-PER", "I-PER", "O")) for n in range(5)
    ]


def test_questions_in_their_layouts() -> None:
    data = made("questions", json.dumps(SQUAD), "squad.json").data
    assert count_labels(data) == {"answered": (4, 1), "unanswered": (4, 1)}
    number = data.train[0].group[-1]
    context = f"El faro {number} se alzó en 18{number}1 junto al mar."
    assert data.train[0] == Question("¿Cuándo?", context, ((21, f"18{number}1"),), f"Sitio {number}")
    cell = {"text": ["así"], "answer_start": [6]}
    lines = [{"question": f"q{n}?", "context": f"c{n} es así", "answers": cell} for n in range(5)]
    assert made("questions", "\n".join(map(json.dumps, lines)), "a.jsonl").data.train[0].answers == ((6, "así"),)
    csv = "pregunta,contexto,respuesta\n" + "".join(f"¿Qué {n}?,Esto es {n} así, así \n" for n in range(5))
    assert all(example.answers == ((10, "así"),) for example in made("questions", csv).data.train)


def test_formulas_and_markup_stay_text() -> None:
    text = "text,label\n" + "".join(f"=SUM(A{n}:A9),+a\n<b>hola {n}</b>,-b\n" for n in range(5))
    data = made("classification", text).data
    assert data.labels == ("+a", "-b")
    assert "=SUM(A0:A9)" in {example.text for example in data.train + data.test}


# --- what can't be --------------------------------------------------------------------------------------


def zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("datos.csv", b"\0" * (64 * 2**20))
    return file.getvalue()


def test_what_is_no_text_is_told_by_its_first_bytes() -> None:
    bomb = zip_bomb()
    assert len(bomb) < 100_000
    for data, kind in (
        (bomb, "ZIP"),
        (b"\x1f\x8b\x08" + bytes(99), "GZIP"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PAR1", "Parquet"),
    ):
        with pytest.raises(InputInvalid, match=kind):
            read_upload(data, "datos.csv")
    with pytest.raises(InputInvalid, match="CSV"):
        read_upload(b"texto,etiqueta\nho\x00la,a\n", "datos.csv")


def test_limits() -> None:
    with pytest.raises(InputTooLong, match=r"50,0 MiB.*10"):
        read_upload(b"a" * (50 * 2**20), "datos.csv")
    assert MAX_BYTES == 10 * 2**20
    rows = "texto,etiqueta\n" + "hola,a\n" * (MAX_ROWS + 1)
    with pytest.raises(InputTooLong, match=r"100\u202f001.*100\u202f000"):
        read_upload(rows.encode(), "datos.csv")
    assert len(read_upload(rows[: -len("hola,a\n")].encode(), "datos.csv").rows) == MAX_ROWS
    with pytest.raises(InputTooLong, match=r"100\u202f001"):
        read_upload(("x O\n\n" * (MAX_ROWS + 1)).encode(), "a.conll")
    with pytest.raises(InputTooLong, match=r"Línea 2.*20\u202f000"):
        read_upload(b'{"text": "a"}\n{"text": "' + b"a" * 20_001 + b'"}', "a.jsonl")
    with pytest.raises(InputTooLong, match=r"fila 2"):
        read_upload(b"text,label\n" + b"a" * 20_001 + b",b\n", "a.csv")


BAD = {
    "no label column": ("classification", "texto\n" + "una frase\n" * 9, "no_column", "Etiqueta.*«texto»"),
    "one class": ("classification", CSV.replace("malo", "bueno"), "one_class", "«bueno»"),
    "one row": ("classification", "texto,etiqueta\nhola,a\n", "too_few", "1 ejemplo .*4"),
    "ids as labels": (
        "classification",
        "text,label\n" + "".join(f"frase {n},id{n}\n" for n in range(40)),
        "too_many_classes",
        "40 valores",
    ),
    "empty texts": (
        "classification",
        CSV.replace(ROWS[0][0], " ").replace(ROWS[3][0], ""),
        "empty_text",
        r"Filas 2, 5: el texto está vacío",
    ),
    "no label": ("classification", CSV.replace(";malo", ";", 1), "no_label", "Fila 3"),
    "several labels": (
        "classification",
        json.dumps([{"text": "a", "label": ["x", "y"]}] * 5),
        "several_labels",
        r"Elementos 1, 2, 3, 4, 5: .*x y",
    ),
    "labels only in the test": (
        "classification",
        "text,label,split\n"
        + "".join(f"t {n},{'abc'[n % 3]},{'test' if n % 3 == 2 else 'train'}\n" for n in range(12)),
        "test_only",
        "«c»",
    ),
    "unknown part": (
        "classification",
        "text,label,split\n" + "".join(f"t {n},{'ab'[n % 2]},trian\n" for n in range(12)),
        "unknown_part",
        "2, 3, 4, 5, 6 y 7 más: «trian»",
    ),
    "copies of one text": ("classification", "text,label\n" + "hola,a\n" * 6 + "chau,b\n" * 6, "no_test", "copias"),
    "I- without B-": ("entities", CONLL.replace("B-PER", "I-PER", 1), "tag_orphan", r"Línea 1: «I-PER» continúa"),
    "I- of another kind": ("entities", CONLL.replace("I-PER", "I-LOC", 1), "tag_orphan", r"Línea 2: «I-LOC»"),
    "unknown prefix": ("entities", CONLL.replace("a O", "a X-PER", 1), "tag_unknown", r"Línea 4: «X-PER» no es"),
    "kind without prefix": ("entities", CONLL.replace("a O", "a PER", 1), "tag_unknown", r"Línea 4: «PER»"),
    "ragged CoNLL": (
        "entities",
        CONLL.replace("fue O", "fue", 1),
        "layout",
        r"línea 3 tiene otro número de columnas \(1\) que las demás \(2\)",
    ),
    "counts differ": (
        "entities",
        "words,tags\n" + "Ana va,B-PER O\n" * 4 + "Ana va lejos,B-PER O\n",
        "tag_count",
        "Fila 6: .*3 palabras y 2 etiquetas",
    ),
    "nothing tagged": ("entities", "Ana O\nva O\n\n" * 5, "no_entities", "todas son O"),
    "broken mark": (
        "entities",
        "frase\n" + "[PER: Ana] va\n" * 4 + "[PER Ana] va\n",
        "bad_mark",
        r"Fila 6: .*\[PER Ana\]",
    ),
    "answer not in its context": (
        "questions",
        "question,context,answer\n" + "¿q?,uno dos,dos\n" * 4 + "¿q?,uno dos,tres\n",
        "answer_missing",
        "Fila 6: la respuesta «tres» no aparece",
    ),
    "answer elsewhere": (
        "questions",
        json.dumps(SQUAD).replace('"answer_start": 21', '"answer_start": 3', 1),
        "answer_misplaced",
        "Elemento 1: la respuesta «1801»",
    ),
    "no answers": (
        "questions",
        "question,context,answer\n" + "".join(f"¿q?,uno {n},\n" for n in range(6)),
        "no_answers",
        "Ninguna",
    ),
    "one context": (
        "questions",
        "question,context,answer\n" + "".join(f"¿q {n}?,uno dos,dos\n" for n in range(6)),
        "no_test",
        "mismo texto",
    ),
    "broken JSON": (
        "classification",
        '[{"text": "a", "label": "b"},\n{"text": }]',
        "json",
        "Línea 2, carácter 10: .*JSON",
    ),
    "broken JSON line": ("classification", '{"text": "a"}\n{"text": "a"\n', "json", "Línea 2, carácter 13: .*JSON"),
    "JSON without objects": ("classification", '["a", "b"]', "json", "Elemento 1: no es un objeto"),
    "deep JSON": ("classification", "[" * 100_000, "json", "niveles|JSON"),
    "broken SQuAD": (
        "questions",
        '{"data": [{"paragraphs": [{"qas": []}]}, {"paragraphs": [{"qas": [{}]}]}]}',
        "layout",
        "artículo 2",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_says_what_and_where(case: str) -> None:
    task, text, reason, words = BAD[case]
    name = "datos.json" if text.lstrip().startswith(("[", "{")) and not text.startswith("[PER") else "datos.csv"
    name = "datos.conll" if text.startswith(("Ana O", "Ana0")) else name
    error = refused(task, text, name)
    assert error.reason == reason
    assert re.search(words, str(error)), str(error)
    set_language("en")
    try:
        english = refused(task, text, name)
    finally:
        set_language("es")
    assert english.reason == reason and str(english) != str(error) and "{" not in str(error).replace('{"text"', "")


def test_one_column_for_two_things_and_a_test_file_without_it() -> None:
    error = refused("classification", CSV, columns={"text": "texto", "label": "texto"})
    assert error.reason == "same_column"
    test = read_upload(b"text,label\nhola,bueno\n", "prueba.csv")
    error = refused("classification", CSV, test=test)
    assert error.reason == "columns_differ" and "«prueba.csv»" in str(error)


def test_a_problem_in_the_test_file_names_the_file() -> None:
    test = read_upload(b"texto;etiqueta\nhola;bueno\n;malo\n", "prueba.csv")
    assert str(refused("classification", CSV, test=test)).startswith("prueba.csv, Fila 3:")


def test_rows_with_problems_can_be_left_out() -> None:
    text = CSV.replace(ROWS[0][0], " ").replace(";malo", ";", 1)
    assert refused("classification", text).removable
    built = made("classification", text, leave_out=True)
    assert len(built.data.train) + len(built.data.test) == 18
    assert built.notices == (LeftOut((RowProblem(2, "empty_text"), RowProblem(3, "no_label")), 20, "row"),)
    assert "2 de 20" in built.notices[0].message
    repaired = made("entities", CONLL.replace("B-PER", "I-PER"), "a.conll", leave_out=True)
    assert repaired.notices == (RepairedTags(10),)
    assert repaired.data == made("entities", CONLL, "a.conll").data


# --- whatever comes ---------------------------------------------------------------------------------------


@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.json", "a.jsonl", "a.conll", "a.txt"]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused_with_a_message(data: bytes, name: str) -> None:
    for task in ("classification", "entities", "questions"):
        try:
            built = made(task, data, name, leave_out=True)
        except InputInvalid as error:
            assert str(error)
        else:
            assert built.data.train and built.data.test


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("así"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "answer_start", "x"]), inner),
    max_leaves=4,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            dict.fromkeys(("text", "label", "words", "tags", "question", "context", "answers", "start", "split"), JSON)
        ),
        min_size=1,
        max_size=6,
    )
)
@example([{"question": False, "context": False, "answers": {"answer_start": True, "text": [None]}}])
@settings(max_examples=100, deadline=None)
def test_any_json_is_read_or_refused_with_a_message(rows) -> None:
    for task in ("classification", "entities", "questions"):
        for leave_out in (False, True):
            try:
                made(task, json.dumps(rows), "a.json", leave_out=leave_out)
            except InputInvalid as error:
                assert str(error)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).filter(
    lambda text: text.strip() == text and not set(text) & set("\u2028\u2029\x85")
)


@given(st.lists(st.tuples(TEXTS, st.sampled_from(["sí", "no"])), min_size=4, max_size=30))
@settings(max_examples=60, deadline=None)
def test_what_was_written_as_json_lines_comes_back(rows) -> None:
    data = "\n".join(json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in rows)
    try:
        found = made("classification", data, "a.jsonl").data
    except DataInvalid as error:
        assert error.reason in {"one_class", "no_test"}
        return
    assert sorted((e.text, found.labels[e.label]) for e in found.train + found.test) == sorted(rows)
    assert all(isinstance(e, Labelled) for e in found.train)
