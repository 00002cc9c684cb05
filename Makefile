# make demo   the main job on one machine, nothing to install but Python
# make test   everything that the project checks
# make bench  speed, side by side with the floor and with Faust, Bytewax and Quix (needs a real Kafka)
# make chaos  exactly once, through kills, rebalances and broken disks (needs a real Kafka)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DATA := .driftline/data

.PHONY: demo test lint bench chaos clean data kafka

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Driftline needs Python 3.11 to 3.13; this is " + sys.version.split()[0] + ". Name another with make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@echo "compiling the loops over columns, once"
	$(BIN)/python -c 'from streams.rehearsal import rehearse; rehearse()'
	@touch $@

# The data sets of monitored models that the NannyML wheel carries (Apache-2.0). Only its files are
# wanted, so it goes to a folder of its own, without its dependencies.
$(DATA)/.installed: | $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(DATA) --upgrade nannyml==0.13.1
	@touch $@

data: $(DATA)/.installed

demo: $(STAMP)
	$(BIN)/driftline demo $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(STAMP) data
	$(MAKE) lint
	$(BIN)/pytest $(ARGS)

bench: $(STAMP)
	$(BIN)/python benchmarks/bench.py $(ARGS)

chaos: $(STAMP)
	$(BIN)/python benchmarks/run_chaos.py $(ARGS)

clean:
	rm -rf $(VENV) .driftline build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
