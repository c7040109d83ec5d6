"""Tables from spreadsheets in any locale: the same content is read, and damaged values are rejected by name."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumbar.errors import UnreadableInput
from lumbar.io.tables import read_table


def table(folder: Path, content: bytes | str):
    path = folder / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path)


PLAIN = "subject,age,note\na,57.3,x\nb,60.25,\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.encode("utf-16"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace(",", "\t").replace(".", ","),
        "sep=;\r\n" + PLAIN.replace(",", ";").replace(".", ","),
        '"sep=;"\n' + PLAIN.replace(",", ";"),
        'subject,age,note\na,"57,3",x\nb,"60,25",\n',
        "Subject, AGE ,Note\n a , 57.3 , x \n\n,,\nb,60.25\n",
        '"subject";"age";"note"\n"a";"57,3";"x"\n"b";"60,25";""\n',
        "subject;age;note;;\na;57,3;x;;\nb;60,25;;;\n",
        "\n\nsubject,age,note\na,57.3,x\nb,60.25,NaN\n",
    ],
)
def test_the_same_table_in_many_spellings(tmp_path, content):
    rows = list(table(tmp_path, content).rows)
    assert [row.word("subject") for row in rows] == ["a", "b"]
    assert [row.number("age") for row in rows] == [57.3, 60.25]
    assert [row.optional("note") for row in rows] == ["x", None]
    assert rows[1].optional("no such column") is None


@pytest.mark.parametrize(
    ("content", "column", "words"),
    [
        ("id;x\n4,003E+06;1\n", "id", ["line 2", "4,003E+06", "rounded", "as text"]),
        ("id,x\n1,1\n4.003E+06,1\n", "id", ["line 3", "4.003E+06"]),
        ("id,x\n4E+06,1\n", "id", ["rounded"]),
        ("id,x\n,1\n", "id", ["line 2", "blank"]),
        ("x,id\n1\n", "id", ["line 2", "1 cells", "ends before id"]),
        (b"id,x\nM\xfcller,1\n", "id", ["line 2", "UTF-8"]),
    ],
)
def test_damaged_identifiers_are_rejected(tmp_path, content, column, words):
    with pytest.raises(UnreadableInput) as caught:
        [row.identifier(column) for row in table(tmp_path, content).rows]
    assert all(word in str(caught.value) for word in words), caught.value


def test_cells_that_are_not_used_may_be_in_any_encoding(tmp_path):
    for encoding in ("cp1252", "cp932", "cp1251"):
        note = {"cp1252": "größer", "cp932": "表示ソ", "cp1251": "спина"}[encoding]
        row = next(iter(table(tmp_path, f"id,note,x\n7,{note},1\n".encode(encoding)).rows))
        assert (row.identifier("id"), row.number("x")) == ("7", 1.0)


def test_identifiers_keep_their_form(tmp_path):
    rows = list(table(tmp_path, 'id,uid,f\n="007",1.2.840,12.0\n0042,1.2.3,13.0\n').rows)
    assert [row.identifier("id") for row in rows] == ["007", "0042"]
    assert [row.identifier("uid") for row in rows] == ["1.2.840", "1.2.3"]
    assert [row.identifier("f") for row in rows] == ["12", "13"]  # a whole column of floats is how programs write numbers beside blanks
    assert [row.identifier("id") for row in table(tmp_path, "id\n1.0\n1.1\n").rows] == ["1.0", "1.1"]  # versions, say


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ("a;x\n1;1,234\n2;0,5\n", [1.234, 0.5]),  # 0,5 shows that the comma is decimal
        ("a;x\n1;1.234\n2;0.5\n", [1.234, 0.5]),
        ("a;x\n1;−3,5\n2;1 000,25\n", [-3.5, 1000.25]),
        ("a,x\n1,1.234\n2,1e3\n", [1.234, 1000.0]),
    ],
)
def test_decimal_signs(tmp_path, content, values):
    assert [row.number("x") for row in table(tmp_path, content).rows] == values


@pytest.mark.parametrize(
    "content", ["a;x\n1;1,234\n", "a;x\n1;1.234\n2;0,5\n", 'a,x\n1,"1,234"\n', "a;x\n1;1.234,5\n", "a,x\n1,0x10\n", "a,x\n1,1_000\n", "a,x\n1,inf\n"]
)
def test_ambiguous_and_invalid_numbers_are_rejected(tmp_path, content):
    with pytest.raises(UnreadableInput, match="line 2"):
        [row.number("x") for row in table(tmp_path, content).rows]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["empty"]),
        ("\ufeff\n", ["empty"]),
        ("a,b\n", ["no rows"]),
        ("a,b\n1,2,3\n", ["line 2", "3 cells", "decimal commas"]),
        ("a,A\n1,2\n", ["'a' more than once"]),
        (b"PK\x03\x04...", ["workbook", "CSV UTF-8"]),
        (b"a,b\n1,\x00\n", ["zero bytes"]),
        ('a,b\n"1,2\n', ["proper CSV"]),
    ],
)
def test_files_that_are_not_tables_are_rejected(tmp_path, content, words):
    with pytest.raises(UnreadableInput) as caught:
        table(tmp_path, content)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path):
    (tmp_path / "t.csv").write_text("Subject;age\na;5\n")
    with pytest.raises(UnreadableInput, match=r"no column sex; found Subject, age\. Need"):
        read_table(tmp_path / "t.csv", ("subject", "sex"), "Need a sex")
    with pytest.raises(UnreadableInput, match="does not exist"):
        read_table(tmp_path / "none.csv")


def test_windows_paths_name_files_below_the_folder(tmp_path):
    rows = list(table(tmp_path, "image\nscans\\a b\\1.png\nplain.png\n").rows)
    assert [row.file_name("image") for row in rows] == ["scans/a b/1.png", "plain.png"]
    for name in ("C:\\x.png", "\\\\server\\x.png", "/etc/passwd", "..\\x.png", "a/../../x"):
        with pytest.raises(UnreadableInput, match="inside the folder"):
            [row.file_name("image") for row in table(tmp_path, f"image,k\n{name},1\n").rows]


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cf", "Zs", "Zl", "Zp")), min_size=1, max_size=8).filter(lambda w: w.strip() == w)


@given(
    st.lists(st.tuples(words.map(lambda w: f"k{w}"), st.floats(-1e6, 1e6).map(lambda v: round(v, 4))), min_size=1, max_size=6),
    st.sampled_from([(",", "."), (";", ","), (";", "."), ("\t", ","), ("\t", ".")]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_written_values_are_read_back_or_rejected(tmp_path_factory, rows, signs, encoding, line_end):
    """Numbers of four decimals with trailing zeros are never mistaken for thousands."""
    separator, decimal = signs
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=line_end)
    writer.writerows([("name", "value"), *((name, f"{value:.4f}".replace(".", decimal)) for name, value in rows)])
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(out.getvalue().encode(encoding))
    found = [(row.cells["name"], row.number("value")) for row in read_table(path).rows]
    assert found == [(name, value) for name, value in rows]
