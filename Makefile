PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: train test test-all check bench clean

train: .venv/.run          ## train the default and write its report
	$(BIN)/python train.py $(ARGS)
	$(BIN)/python evaluate.py run=latest

test: .venv/.dev           ## everything but the slow tests
	$(BIN)/python -m pytest

test-all: .venv/.dev       ## everything
	$(BIN)/python -m pytest -m ""

check: .venv/.dev          ## lint, format, types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright

bench: .venv/.run          ## measure against the peers, in an environment of their own
	$(BIN)/python -m benchmarks.bench

.venv/.run: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/.dev: requirements-dev.txt .venv/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:                     ## remove the environment; runs in outputs/ stay
	rm -rf .venv
