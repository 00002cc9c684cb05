"""Files become the events that a service would have published."""

import csv
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.formats.errors import FormatError
from streams.formats.mapping import ColumnMapping, Kind
from streams.formats.reader import count_events, iter_events, open_events

WHEN = 1_767_350_096_789


def events(path: Path, kind: Kind = "predictions", **options: Any) -> list[dict[str, Any]]:
    found = []
    for prediction_id, time, encoded in iter_events(path, kind, **options):
        event = orjson.loads(encoded)
        assert (event["prediction_id"], event["timestamp"]) == (prediction_id, time)
        found.append(event)
    return found


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_lines_that_are_events_keep_their_bytes(tmp_path: Path) -> None:
    line = b'{"prediction_id":"a",  "timestamp":"2026-01-02T10:34:56.789Z","model":"m"'
    line += b',"model_version":"1","score":1e-1}'
    path = tmp_path / "events.jsonl"
    path.write_bytes(line + b"\n\n" + line.replace(b'"a"', b'"b"'))
    assert list(iter_events(path, "predictions")) == [
        ("a", WHEN, line),
        ("b", WHEN, line.replace(b'"a"', b'"b"')),
    ]


def test_lines_get_what_they_lack(tmp_path: Path) -> None:
    path = write(
        tmp_path / "events.jsonl", '{"score": 0.5}\n{"prediction_id": "b", "model": "n"}\n'
    )
    assert events(path, model="m", model_version="1", timestamp=WHEN) == [
        {
            "score": 0.5,
            "prediction_id": "row-1",
            "timestamp": WHEN,
            "model": "m",
            "model_version": "1",
        },
        {"prediction_id": "b", "model": "n", "timestamp": WHEN, "model_version": "1"},
    ]


CSV = """txn,when,verdict,p,amount,country,zip,actual
a,2026-01-02 10:34:56.789,true,0.9,12,de,01234,1
b,1767350096789,false,,,fr,,0
"""
MAPPING = ColumnMapping.parse(
    [
        "prediction_id=txn",
        "timestamp=when",
        "prediction=verdict",
        "score=p",
        "tags=country",
        "text=zip",
    ]
)


def test_columns_of_a_flat_file_become_fields_features_and_tags(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", CSV)
    assert events(path, mapping=MAPPING, model="m", model_version="1") == [
        {
            "prediction_id": "a",
            "timestamp": WHEN,
            "model": "m",
            "model_version": "1",
            "prediction": True,
            "score": 0.9,
            "features": {"amount": 12, "zip": "01234"},
            "tags": {"country": "de"},
        },
        {
            "prediction_id": "b",
            "timestamp": WHEN,
            "model": "m",
            "model_version": "1",
            "prediction": False,
            "features": {"amount": None, "zip": None},
            "tags": {"country": "fr"},
        },
    ]


def test_the_same_file_gives_feedback(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", CSV)
    mapping = ColumnMapping.parse(["prediction_id=txn", "timestamp=when"])
    assert events(path, "feedback", mapping=mapping) == [
        {"prediction_id": "a", "timestamp": WHEN, "actual": 1},
        {"prediction_id": "b", "timestamp": WHEN, "actual": 0},
    ]


def test_predictions_and_truth_are_there_as_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", CSV)
    [chunk] = open_events(path, "predictions", MAPPING, model="m", model_version="1")
    assert chunk.first_row == 1
    assert len(chunk) == 2
    assert chunk.table.to_pydict() == {
        "prediction_id": ["a", "b"],
        "timestamp": [WHEN, WHEN],
        "model": ["m", "m"],
        "model_version": ["1", "1"],
        "prediction": [True, False],
        "score": [0.9, None],
        "actual": [1, 0],
        "features.amount": [12, None],
        "features.zip": ["01234", None],
        "tags.country": ["de", "fr"],
    }


def test_columns_of_scores_are_found_by_their_prefix(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", "score_yes,score_no,x\n0.75,0.25,1\n,,2\n")
    first, second = events(path, model="m", model_version="1", timestamp=WHEN)
    assert first["score"] == {"yes": 0.75, "no": 0.25}
    assert first["features"] == {"x": 1}
    assert "score" not in second
    mapping = ColumnMapping.parse(["scores.a=score_yes", "features=x"])
    mapped = events(path, mapping=mapping, model="m", model_version="1", timestamp=WHEN)
    assert mapped[0]["score"] == {"a": 0.75}


def test_rows_without_ids_are_named_after_their_number_alike_in_both_files(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", "x,actual\n" + "1,0\n" * 5)
    constants: Any = {"timestamp": WHEN, "chunk_rows": 2}
    predictions = events(path, model="m", model_version="1", **constants)
    feedback = events(path, "feedback", **constants)
    names = [f"row-{number}" for number in range(1, 6)]
    assert [event["prediction_id"] for event in predictions] == names
    assert [event["prediction_id"] for event in feedback] == names


def test_flat_lines_are_mapped_like_other_flat_files(tmp_path: Path) -> None:
    path = write(
        tmp_path / "rows.jsonl", '{"n": 7, "t": "2026-01-02", "x": 1}\n{"n": 8, "t": 1e9}\n'
    )
    mapping = ColumnMapping.parse(["prediction_id=n", "timestamp=t"])
    with pytest.raises(FormatError, match=r"column 't'.*different kinds"):
        events(path, mapping=mapping, model="m", model_version="1")
    path = write(tmp_path / "rows.jsonl", '{"n": 7, "t": 2e9, "x": 1}\n{"n": 8, "t": 2e9}\n')
    found = events(path, mapping=mapping, model="m", model_version="1")
    assert [(event["prediction_id"], event["features"]) for event in found] == [
        ("7", {"x": 1}),
        ("8", {"x": None}),
    ]


def test_events_in_lines_spread_to_columns(tmp_path: Path) -> None:
    head = '{"prediction_id":"a","timestamp":1767350096789,"model":"m","model_version":"1",'
    path = write(
        tmp_path / "events.jsonl",
        head + '"score":{"a":0.1},"features":{"x":1}}\n' + head + '"features":{"y":"b"}}\n',
    )
    tables = [chunk.table.to_pydict() for chunk in open_events(path, "predictions", chunk_rows=9)]
    assert tables == [
        {
            "prediction_id": ["a", "a"],
            "timestamp": [WHEN, WHEN],
            "model": ["m", "m"],
            "model_version": ["1", "1"],
            "score.a": [0.1, None],
            "features.x": [1, None],
            "features.y": [None, "b"],
        }
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_parquet_keeps_its_types(tmp_path: Path, unit: str, zone: str | None) -> None:
    path = tmp_path / "rows.parquet"
    seconds = WHEN // 1_000
    stamps = pa.array([seconds * 1_000], pa.timestamp("ms")).cast(pa.timestamp(unit))
    if zone:
        stamps = stamps.cast(pa.timestamp(unit, zone))
    table = pa.table(
        {
            "timestamp": stamps,
            "text": ["1"],
            "words": [["a", "b"]],
            "kind": pa.array(["k"]).dictionary_encode(),
        }
    )
    pq.write_table(table, path)
    [event] = events(path, model="m", model_version="1")
    assert event["timestamp"] == seconds * 1_000
    assert event["features"] == {"text": "1", "words": ["a", "b"], "kind": "k"}


VALUE = st.one_of(st.none(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, width=32))


@given(st.lists(st.tuples(VALUE, st.text('abc\n,"é', max_size=5)), min_size=1, max_size=30))
@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_csv_and_parquet_of_the_same_rows_give_the_same_events(
    tmp_path: Path, rows: list[tuple[float | None, str]]
) -> None:
    number = pa.array([None if value is None else float(value) for value, _ in rows], pa.float64())
    text = [f"x{word}" for _, word in rows]
    pq.write_table(pa.table({"number": number, "text": text}), tmp_path / "rows.parquet")
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "text"])
        writer.writerows(
            ["" if value is None else repr(float(value)), word]
            for value, word in zip(number.to_pylist(), text, strict=True)
        )
    options: Any = {"model": "m", "model_version": "1", "timestamp": WHEN, "chunk_rows": 7}
    from_parquet = events(tmp_path / "rows.parquet", **options)
    assert events(tmp_path / "rows.csv", **options) == from_parquet
    assert [event["features"]["number"] for event in from_parquet] == [
        None if value is None or value in {float("inf"), float("-inf")} else value
        for value in number.to_pylist()
    ]


def test_the_size_of_chunks_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", "x,y\n" + "".join(f"{n},{n}.5\n" for n in range(100)))
    options: Any = {"model": "m", "model_version": "1", "timestamp": WHEN}
    whole = list(iter_events(path, "predictions", **options))
    assert len(whole) == count_events(path) == 100
    for size in (1, 7, 99):
        assert list(iter_events(path, "predictions", chunk_rows=size, **options)) == whole
        chunks = list(open_events(path, "predictions", chunk_rows=size, **options))
        assert max(map(len, chunks)) == size


def test_what_is_missing_is_null_and_a_country_called_na_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", "country,x\nNA,1\n,NaN\nnull,null\n")
    options: Any = {"model": "m", "model_version": "1", "timestamp": WHEN}
    assert [event["features"] for event in events(path, **options)] == [
        {"country": "NA", "x": 1.0},
        {"country": None, "x": None},
        {"country": None, "x": None},
    ]


def test_integers_may_become_numbers_later(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", "x\n1\n2.5\n")
    options: Any = {"model": "m", "model_version": "1", "timestamp": WHEN, "chunk_rows": 1}
    assert [event["features"]["x"] for event in events(path, **options)] == [1, 2.5]


PROBLEMS: list[tuple[str, str, list[str] | None, str]] = [
    ("rows.csv", "x\n1\n2\nthree\n", None, r"rows\.csv, row 3, column 'x': .*no double"),
    ("rows.csv", "timestamp\n2026-01-01\nsoon\n", None, r"row 2, column 'timestamp'"),
    ("rows.csv", "a,a\n1,2\n", None, r"column 'a': the name occurs twice"),
    ("rows.csv", "", None, r"the file is empty"),
    ("rows.csv", "a,b\n1,2\n3\n", None, r"Expected 2 columns, got 1"),
    ("rows.csv", "x\n1\n", ["prediction_id=id"], r"'id': prediction_id is no column; the file has"),
    ("rows.csv", "x\n1\n", ["tags=t"], r"column 't': tag is no column"),
    ("rows.jsonl", '{"score": 1}\n{"score"\n', None, r"rows\.jsonl, row 2: no JSON"),
    ("rows.jsonl", "[]\n", None, r"row 1: no JSON object"),
    ("rows.jsonl", '{"columns": {}}\n', None, r"row 1: a batch"),
    ("rows.jsonl", '{"prediction_id": 5}\n', None, r"row 1: prediction_id has to be a string"),
    ("rows.jsonl", '{"timestamp": "soon"}\n', None, r"row 1, column 'timestamp'"),
    ("rows.parquet", "no parquet", None, r"rows\.parquet: no readable Parquet file"),
    ("rows.xlsx", "", None, r"has to end in one of \.csv"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "mapped", "message"), PROBLEMS)
def test_problems_name_file_row_and_column(
    tmp_path: Path, name: str, text: str, mapped: list[str] | None, message: str
) -> None:
    path = write(tmp_path / name, text)
    mapping = None if mapped is None else ColumnMapping.parse(mapped)
    options: Any = {"model": "m", "model_version": "1", "timestamp": WHEN, "chunk_rows": 2}
    with pytest.raises(FormatError, match=message):
        events(path, mapping=mapping, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_version": "1", "timestamp": WHEN}, "--model"),
        ({"model": "m", "timestamp": WHEN}, "--model-version"),
        ({"model": "m", "model_version": "1"}, "--map timestamp=COLUMN"),
    ],
)
def test_what_no_column_holds_has_to_be_given(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        events(write(tmp_path / "rows.csv", "x\n1\n"), **options)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"gone\.csv: there is no such file"):
        events(tmp_path / "gone.csv")


def test_a_mapping_is_read_from_a_file(tmp_path: Path) -> None:
    text = "prediction_id: txn\ntimestamp: when\nprediction: verdict\nscore: p\n"
    path = write(tmp_path / "map.yaml", text + "tags: [country]\ntext: [zip]\n")
    assert ColumnMapping.load(path) == MAPPING
    with pytest.raises(FormatError, match=r"map\.yaml: .*unknown field `predicton`"):
        ColumnMapping.load(write(tmp_path / "map.yaml", "predicton: x\n"))


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("prediction_id", "not FIELD=COLUMN"),
        ("score=", "not FIELD=COLUMN"),
        ("predicton=x", "unknown field `predicton`"),
        ("scores=x", "Expected `object`"),
    ],
)
def test_an_assignment_that_is_none_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ColumnMapping.parse([assignment])
