"""Tables that visitors bring: every encoding and separator is recognized, and bad files say what to do."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputInvalid, InputTooLong
from core.tables import MAX_ROWS, Limits, find_separator, looks_like_header, read_table

ROWS = [["id", "texto"], ["1", "El niño comió piñones"], ["2", "¡Qué día más bonito, señora!"], ["3", "Una ola; dos"]]


def written(rows: list[list[str]], separator: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator).writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"])
def test_encodings_and_separators(separator: str, encoding: str) -> None:
    table = read_table(written(ROWS, separator).encode(encoding), "a.csv")
    assert table.columns == ("id", "texto") and table.header
    assert table.separator == separator
    assert table.column("texto") == [row[1] for row in ROWS[1:]]
    assert table.likeliest_text() == "texto"


def test_plain_lines_are_not_cut_at_commas() -> None:
    text = "Hola, mundo\n\nAdiós, mundo\nNi sí, ni no, ni tal vez\n"
    table = read_table(text.encode(), "frases.txt")
    assert [row[0] for row in table.rows] == ["Hola, mundo", "Adiós, mundo", "Ni sí, ni no, ni tal vez"]
    assert not table.separator and not table.header


def test_prose_in_a_csv_without_commas_that_agree_is_one_column() -> None:
    text = "opinion\nMuy bueno, la verdad, sí\nRegular\nNo, gracias\nCaro\nLindo\n"
    table = read_table(text.encode(), "a.csv")
    assert table.columns == ("opinion",) and len(table.rows) == 5
    assert table.rows[0] == ("Muy bueno, la verdad, sí",)


def test_cells_with_line_breaks_and_ragged_rows() -> None:
    text = 'a,texto\n1,"dos\nlíneas"\n2\n3,"una ""cita"""\n4,x\n5,y\n'
    table = read_table(text.encode(), "a.csv")
    assert table.column("texto") == ["dos\nlíneas", "", 'una "cita"', "x", "y"]


def test_names_are_made_different_and_never_empty() -> None:
    table = read_table(b"text,text,\n1,2,3\n4,5,6\n", "a.csv")
    assert table.columns[:2] == ("text", "text (2)") and table.columns[2]
    assert len(set(table.columns)) == 3


def test_a_table_without_header_keeps_its_first_row() -> None:
    table = read_table("1,Me gustó mucho\n2,No me gustó\n".encode(), "a.csv")
    assert not table.header and len(table.rows) == 2
    assert read_table("1,Me gustó\n2,No\n".encode(), "a.csv", header=True).columns == ("1", "Me gustó")


def test_short_names_above_long_cells_are_a_header() -> None:
    assert looks_like_header([["quién", "qué"], ["Ana", "Dijo que volvería tarde del trabajo"]])
    assert not looks_like_header([["Ana", "Luis"], ["Eva", "Juan"]])


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"", "a.csv", "vacío"),
        (b"\n \n\n", "a.csv", "vacío"),
        (b"texto\n", "a.csv", "faltan los textos"),
        (b"PK\x03\x04" + bytes(200), "hoja.xlsx", "XLSX.*guárdala como CSV"),
        (b"PK\x03\x04" + b"\x00\xff" * 9000, "datos.csv", "ZIP.*descomprímelo"),
        (b"\x1f\x8b\x08" + bytes(200), "datos.csv", "GZIP.*descomprímelo"),
        (b"PAR1" + bytes(200), "datos.csv", "Parquet"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "foto.png", "CSV"),
        (bytes(range(256)) * 20, "x.csv", "CSV"),
        (bytes(range(1, 32)) * 100 + b"\xff", "x.csv", "CSV"),
    ],
)
def test_what_is_no_table_says_what_to_do(data: bytes, name: str, words: str) -> None:
    with pytest.raises(InputInvalid, match=words):
        read_table(data, name)


def test_limits_say_how_much_there_is() -> None:
    line = "una frase\n"
    assert len(read_table((line * MAX_ROWS).encode(), "a.txt").rows) == MAX_ROWS
    with pytest.raises(InputTooLong, match=r"2001.*2000"):
        read_table((line * (MAX_ROWS + 1)).encode(), "a.txt")
    with pytest.raises(InputTooLong, match="MiB"):
        read_table(b"a" * (5 * 2**20 + 1), "a.txt")
    with pytest.raises(InputTooLong, match="fila 3"):
        read_table(("id,texto\n1,a\n2," + "x" * 50_001 + "\n").encode(), "a.csv")


def test_rows_keep_their_number_in_the_file() -> None:
    table = read_table('id,texto\n\n1,hola\n,\n2,"dos\nlíneas"\n3,fin\n'.encode(), "a.csv")
    assert table.numbers == (3, 5, 6)
    assert read_table(b"uno\n\ndos\n", "a.txt").numbers == (1, 3)


def test_another_page_may_have_other_limits() -> None:
    data = ("una frase\n" * 3000).encode()
    assert len(read_table(data, "a.txt", limits=Limits(rows=3000)).rows) == 3000
    with pytest.raises(InputTooLong, match=r"3000.*2999"):
        read_table(data, "a.txt", limits=Limits(rows=2999))


def test_markup_and_formulas_are_text() -> None:
    table = read_table(b"text;n\n<script>alert(1)</script>;1\n=cmd|' /C calc'!A0;2\n**b**;3\n", "a.csv")
    assert table.column("text") == ["<script>alert(1)</script>", "=cmd|' /C calc'!A0", "**b**"]


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=30).filter(
    lambda cell: cell.strip() == cell and cell != "" and not set(cell) & set(',;\t|"\u2028\u2029\x85')
)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=2, max_size=20), st.sampled_from([",", ";", "\t", "|"]))
def test_what_was_written_comes_back(rows: list[tuple[str, str, str]], separator: str) -> None:
    data = written([list(row) for row in rows], separator).encode("utf-8-sig")
    table = read_table(data, "a.csv", header=False)
    assert table.separator == separator
    assert [list(row) for row in table.rows] == [list(row) for row in rows]


def test_the_separator_of_prose_is_none() -> None:
    assert find_separator("Uno, dos y tres.\nNada.\nCuatro, cinco, seis, siete.\nOcho.\n") == ""
