"""The reference profile of the loans, built once."""

from pathlib import Path

import pytest
from replay import loans
from replay.running import Json, build_profile, write_config
from system import traffic


@pytest.fixture(scope="session")
def model(nannyml_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """Give the model's configuration, with its reference profile."""
    config = write_config(tmp_path_factory.mktemp("profile"), loans.PIPELINE, loans.MODEL)
    data = nannyml_data / "synthetic_car_loan_reference.csv"
    build_profile(config, loans.MODEL, data, loans.PROFILE_OPTIONS)
    return traffic.MODEL | {"reference": str(config.parent / "reference.json")}
