"""Detectors by name."""

import pytest

from detectors import KINDS, build, restore


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_detector_is_built_by_its_kind_with_its_parameters(kind: str) -> None:
    detector = build(kind)
    assert type(detector) is KINDS[kind]
    assert detector.kind == kind
    assert build(kind, **detector.parameters).parameters == detector.parameters


def test_an_unknown_kind_names_the_near_miss() -> None:
    with pytest.raises(ValueError, match=r"unknown detector 'page_hinkly'.*'page_hinkley'"):
        build("page_hinkly")


def test_a_kind_like_no_other_lists_all() -> None:
    with pytest.raises(ValueError, match="known are adwin, ddm, eddm"):
        build("zzz")


def test_an_unknown_parameter_names_the_near_miss() -> None:
    with pytest.raises(ValueError, match=r"kswin has no parameter 'windowsize'.*'window_size'"):
        build("kswin", windowsize=10)


@pytest.mark.parametrize("state", [{}, {"kind": None}, {"kind": "nope"}, {"kind": ["adwin"]}])
def test_a_state_of_no_known_kind_is_refused(state: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="unknown detector"):
        restore(state)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("adwin", "delta", 0.0),
        ("adwin", "delta", "0.1"),
        ("adwin", "clock", 0),
        ("adwin", "clock", 2.5),
        ("adwin", "max_buckets", True),
        ("ddm", "drift_threshold", -1.0),
        ("ddm", "warm_start", -1),
        ("eddm", "beta", 0.99),
        ("hddm_a", "drift_confidence", 1.0),
        ("hddm_w", "lambda_val", float("nan")),
        ("kswin", "window_size", 59),
        ("page_hinkley", "mode", "sideways"),
        ("page_hinkley", "alpha", 1.1),
        ("page_hinkley", "threshold", 0),
    ],
)
def test_a_parameter_outside_its_range_is_named_with_its_value(
    kind: str, name: str, value: object
) -> None:
    with pytest.raises(ValueError, match=f"^{kind}: {name} must be .*, got {value!r}$"):
        build(kind, **{name: value})


def test_page_hinkley_does_not_fade_by_default() -> None:
    assert build("page_hinkley").parameters["alpha"] == 1.0
