import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.config.document import parse, scalar
from streams.config.suggest import nearest, suggest

KEYS = st.text(max_size=20)  # YAML's plain keys end at 1024 characters, escapes included
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, PLAIN, max_size=4))
def test_json_is_read_as_what_it_says(data: dict[str, Any]) -> None:
    document = parse(json.dumps(data), "f")
    assert document.problems == []
    assert document.data == data


@given(st.text(max_size=30))
def test_any_text_is_values_or_a_problem_with_the_files_name(text: str) -> None:
    document = parse(text, "f")
    assert document.problems or isinstance(document.data, dict)
    assert all(problem.file == "f" for problem in document.problems)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("1e3", 1000.0),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("-.5", -0.5),
        ("-.INF", float("-inf")),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-11-20", "2026-11-20"),
        ("9" * 401, "9" * 401),
    ],
)
def test_unquoted_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    assert scalar(text) == value
    assert parse(f"%YAML 1.1\n---\nkey: {text}\n", "f").data == {"key": value}


def test_every_key_and_item_knows_its_line() -> None:
    document = parse("a: 1\nb:\n  - x\n  - y: 2\n    z: 3\n", "f")
    assert document.lines == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 3,
        ("b", 1): 4,
        ("b", 1, "y"): 4,
        ("b", 1, "z"): 5,
    }
    assert document.problem(("b", 1, "missing"), "m").line == 4


def test_an_alias_is_what_its_anchor_says() -> None:
    assert parse("a: &x {k: 1}\nb: *x\n", "f").data == {"a": {"k": 1}, "b": {"k": 1}}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file is empty"),
        ("- a\n", 1, "must be keys and values"),
        ("a: 1\nb: [\n", 3, "not valid YAML"),
        ("a: &x [*x]\n", 1, "inside its own anchor"),
        ("a: !!python/object:os.system x\n", 1, "tags are not used here"),
        ("a: 1\n---\nb: 1\n", 2, "found another document"),
        ("? [a]\n: 1\n", 1, "a key must be plain text"),
        ('a: "\\uD800"', 1, "half a surrogate pair"),
        ("\x00", None, "a forbidden character"),
        ("a: " + "[" * 1_500, None, "nested too deeply"),
        ("a: '" + "x" * 4_000_000 + "'", None, "too large"),
    ],
)
def test_what_is_no_mapping_of_plain_values_is_refused(
    text: str, line: int | None, message: str
) -> None:
    (problem,) = parse(text, "f").problems
    assert problem.line == line
    assert message in problem.message


def test_aliases_cannot_multiply_without_end() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    document = parse("\n".join(["l0: &l0 [x]", *levels]), "f")
    assert [problem.message for problem in document.problems] == ["not usable: nested too deeply"]


WORDS = st.text("abcdefghij_", min_size=4, max_size=12)


@given(st.lists(WORDS, min_size=1, unique=True), st.data())
def test_a_word_with_a_letter_missing_is_recognised(known: list[str], data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(known))
    position = data.draw(st.integers(0, len(word) - 1))
    assert nearest(word[:position] + word[position + 1 :], [word]) == word


def test_dashes_and_case_do_not_matter_and_strangers_get_the_list() -> None:
    assert nearest("Page-Hinkley", ["adwin", "page_hinkley"]) == "page_hinkley"
    assert suggest("qqq", ["adwin", "ddm"]) == "known: adwin, ddm"
    assert suggest("qqq", []) == ""
