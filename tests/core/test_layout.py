"""Both stages derive one layout, and another configuration has another fingerprint."""

from typing import Any

import pytest
from core.join.topics import MODELS, settings_of

from streams.core.layout import Layout, layout_of


def layout(**changes: Any) -> Layout:
    return layout_of(settings_of([{**MODELS[0], **changes}]).models["fraud"])


def test_equal_configurations_have_equal_fingerprints() -> None:
    assert layout().fingerprint == layout().fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["yes", "no"]},
        {"positive_class": "no"},
        {"windows": [{"size": "20s"}]},
        {"outcomes": {"buy": {"value": True}, "click": {}}},
        {"features": {**MODELS[0]["features"], "w": {"kind": "numeric"}}},
        {"features": {**MODELS[0]["features"], "x": {"kind": "numeric", "range": [-6, None]}}},
        {"features": {**MODELS[0]["features"], "plan": {"kind": "categorical"}}},
    ],
    ids=str,
)
def test_whatever_changes_a_statistic_changes_the_fingerprint(change: dict[str, Any]) -> None:
    assert layout(**change).fingerprint != layout().fingerprint


@pytest.mark.parametrize("change", [{"label_horizon": "1h"}, {"owner": "me"}, {"segments": []}])
def test_what_changes_no_statistic_leaves_it_alone(change: dict[str, Any]) -> None:
    assert layout(**change).fingerprint == layout().fingerprint


def test_features_stand_in_configured_order_with_their_bins_side_by_side() -> None:
    price = layout_of(settings_of(MODELS).models["price"])
    assert (price.numeric, price.categorical) == (("x",), ())
    assert price.bin_offsets == (0, 4)
    assert price.prediction_bins is not None
    fraud = layout()
    assert fraud.numeric == ("x", "z")
    assert fraud.ranges[0] == (-5.0, float("inf"))
    assert fraud.category_offsets == (0, 3)
    assert fraud.closed == (True,)
    assert (fraud.positive, fraud.pane) == (1, 10_000)


def test_cut_offs_ascend_and_belong_to_rankings() -> None:
    models = settings_of(MODELS).models
    assert layout_of(models["feed"]).top_k == (1, 3)
    assert layout_of(models["shop"]).top_k == ()
