"""The demo's files."""

from pathlib import Path

import pytest

from streams.cli.main import main
from streams.demo import setup, world
from streams.demo.view import PSI_LIMIT


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> setup.Files:
    return setup.write(tmp_path_factory.mktemp("demo"), "127.0.0.1:4242", 4343)


def test_address_and_port_are_filled_in(written: setup.Files) -> None:
    pipeline = written.settings.pipeline
    assert pipeline.kafka.bootstrap_servers == "127.0.0.1:4242"
    assert pipeline.http.port == 4343


def test_the_configuration_is_clean(
    written: setup.Files, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", str(written.pipeline)]) == 0
    assert "is fine" in capsys.readouterr().out


def test_both_models_have_a_reference_of_an_undisturbed_world(written: setup.Files) -> None:
    models = written.settings.models
    assert set(models) == {world.FRAUD, world.DELIVERY}
    for model in models.values():
        assert model.reference is not None
        assert model.reference.rows == setup.REFERENCE_ROWS
        assert set(model.reference.features) == set(model.config.features)
    fraud = models[world.FRAUD].reference
    assert fraud is not None
    assert fraud.metrics["accuracy"] > 0.94
    assert fraud.metrics["roc_auc"] > 0.94


def test_the_view_marks_what_the_drift_rules_alert_on(written: setup.Files) -> None:
    for model in written.settings.models.values():
        limits = [r.above for r in model.config.alerts if r.rule == "drift"]
        assert limits == [PSI_LIMIT]


def test_running_it_twice_in_one_folder_is_fine(tmp_path: Path) -> None:
    first = setup.write(tmp_path, "127.0.0.1:1", 1)
    second = setup.write(tmp_path, "127.0.0.1:2", 2)
    assert first.pipeline == second.pipeline
    assert second.settings.pipeline.kafka.bootstrap_servers == "127.0.0.1:2"
