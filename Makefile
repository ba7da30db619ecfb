# Every target sets up what it needs. `make` alone lists them.
PYTHON ?= python3.11
PORT ?= 5000
# Tests that run at the same time; many wait for a process or a disk.
TEST_PROCESSES ?= 2
# In the order of tests/conftest.py, so that all processes end together.
PARALLEL := -n $(TEST_PROCESSES) --dist loadgroup --no-loadscope-reorder

VENV := .venv
INSTALLED := $(VENV)/.installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help study store ui test test-fast test-long lint hooks format bench scripts clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

# conda.yaml is the one place of versions: its pip list goes into .venv, together with the project, so
# that a pin outside the ranges of pyproject.toml is refused. Only Ray, an extra, is pinned there.
$(INSTALLED): conda.yaml pyproject.toml
	$(PYTHON) -m venv $(VENV)
	sed -n 's/^      - \([][A-Za-z0-9_.-]*==.*\)/\1/p' conda.yaml > $(VENV)/requirements.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check \
		-r $(VENV)/requirements.txt --editable '.[ray]'
	touch $@

study: $(INSTALLED) ## run a small real study (2M, 3 days, 8 trials) and say where to look
	mlflow run . --env-manager=local --experiment-name quickstart \
		-P budget=2M -P horizon=3 -P n_trials=8 -P max_epochs=3
	@echo
	@echo "Look at it: 'make ui', then http://127.0.0.1:$(PORT), experiment quickstart."
	@echo "A whole study: mlflow run . --env-manager=local --experiment-name phase6a -P budget=2M -P horizon=3"

# MLflow makes a SQLite store in many steps without a lock: processes that do so at once break it for good.
store: $(INSTALLED) ## make MLflow's store, before several launches at once
	mlflow experiments search > /dev/null

ui: $(INSTALLED) ## start the MLflow UI on the store of this directory, and say where its studies are
	-@python -m mlproject links --address http://127.0.0.1:$(PORT)
	@# The store goes by the environment: a password in it would show in the list of processes.
	MLFLOW_BACKEND_STORE_URI="$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" \
		mlflow ui --host 127.0.0.1 --port $(PORT)

test: lint ## lint, types and all tests but the long ones
	pytest $(PARALLEL)

test-fast: $(INSTALLED) ## in about a minute: tests that start no process and train nothing of size
	pytest $(PARALLEL) -m 'not end_to_end and not slow and not long'

test-long: $(INSTALLED) ## the long tests: a hundred kills, outages, full disks, clocks that jump
	pytest -m long -s

lint: $(INSTALLED) ## ruff (format and lint), mypy, the order of the packages
	ruff format --check .
	ruff check .
	mypy
	lint-imports --no-cache

hooks: $(INSTALLED) ## lint before each commit, from now on
	pre-commit install

format: $(INSTALLED) ## format the code and mend what ruff can mend
	ruff format .
	ruff check --fix .

bench: $(INSTALLED) ## reproduce the figures of docs/benchmarks.md
	python benchmarks/training_step.py
	python benchmarks/workers.py
	python benchmarks/optimisers.py
	python benchmarks/memory.py
	python benchmarks/cost.py
	python benchmarks/overhead.py
	python benchmarks/scale.py
	python benchmarks/storage_rates.py
	python -m benchmarks.markets build/markets
	python -m benchmarks.markets build/markets --load
	python -m benchmarks.search
	python -m benchmarks.search --learning-rate 3e-4
	python -m benchmarks.search --learning-rate 1e-3
	python -m benchmarks.claims
	python benchmarks/backfill.py sqlite
	python benchmarks/backfill.py server
	python benchmarks/backfill.py parse --megabytes 1000

scripts: $(INSTALLED) ## write experiments/phase6a/
	python -m mlproject regenerate

clean: ## remove the environment and caches; studies and their results stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis build *.egg-info src/*.egg-info
