# Two commands on an empty machine: `make run` and `make test`. Everything is installed into .venv.
PYTHON ?= python3
PORT ?= 8080
DATA ?= var/demo
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "variables: PYTHON=$(PYTHON) PORT=$(PORT) DATA=$(DATA); to change one: make run PORT=9000"

# tests without a server or child process, and one story of each kind with them
PLAIN := (unit or integration) and not (postgres or slow)
QUICK := story or ($(PLAIN))
# tests wait for servers and browsers: one worker more than there are cores
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# a file's tests stay on one worker, in the order of the folders: shared fixtures are built once
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: install run test test-rest test-all check bench torture messages lock clean

install: .venv/.run-installed ## .venv with the labtrail command in it

run: install ## the whole service in one process, with simulated clinics
	$(BIN)/labtrail up --demo --data $(DATA) --port $(PORT)

test: .venv/.dev-installed ## unit and integration tests, and a story of each kind that this machine can run
	$(BIN)/python -m pytest $(PARALLEL) -m "$(QUICK)"

test-rest: .venv/.dev-installed ## what `make test` leaves out: servers, the command line, fault runs; one at a time
	$(BIN)/python -m pytest -m "not ($(QUICK))"

test-all: test test-rest ## every test; says what this machine can't run and why

check: .venv/.dev-installed ## style, types, floors, unit and integration tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q $(PARALLEL) -m "$(PLAIN)"

bench: .venv/.dev-installed ## rates and latencies beside their peers, measured in the same run
	$(BIN)/python -m bench

torture: .venv/.dev-installed ## the fault runs in their long form: kills, crashes, cuts, full disks; 15 minutes
	TORTURE=long $(BIN)/python -m pytest tests/torture

messages: .venv/.dev-installed ## texts for people, from the sources into the catalogs of each language
	$(BIN)/python -m tests.support.gettext_catalogs

COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q
lock: ## update the locked versions (needs uv)
	echo uv | $(COMPILE) - -o requirements/uv.txt
	$(COMPILE) pyproject.toml -o requirements/run.txt --group build
	$(COMPILE) pyproject.toml -o requirements/dev.txt --group test --group check --group bench --group build

clean: ## remove .venv and var: the installation, and every home in var
	rm -rf .venv var

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Labtrail needs Python 3.11 or later: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.run-installed: .venv/.python requirements/run.txt pyproject.toml
	requirements/install.sh --require-hashes -r requirements/run.txt
	requirements/install.sh --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev-installed: .venv/.run-installed requirements/dev.txt
	requirements/install.sh --require-hashes -r requirements/dev.txt
	@touch $@
