PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := $(shell grep ^uv== requirements-dev.txt)

.PHONY: train test test-all mutants torture check bench lock audit help clean

train: .venv/.run          ## train the default and write its report; ARGS="…" is handed on
	$(BIN)/python train.py $(ARGS)
	$(BIN)/python evaluate.py run=latest

test: .venv/.dev           ## everything but the slow tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test-all: .venv/.dev       ## everything
	$(BIN)/python -m pytest -m "" -n auto --dist loadfile --no-loadscope-reorder

mutants: .venv/.dev        ## plant each listed fault in a copy of the project, and see a test catch it
	$(BIN)/python -m pytest -m "" -n auto tests/test_faults.py

torture: .venv/.dev        ## kill runs at random moments, 180 times in all; ARGS="--kills 5" for fewer
	$(BIN)/python -m tests.reliability.torture $(ARGS)

check: .venv/.dev          ## lint, format, types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright

bench: .venv-bench/.run    ## measure against the peers, in an environment of their own; writes BENCHMARKS.md
	.venv-bench/bin/python -m benchmarks.bench $(ARGS)

lock: .venv-lock/.run      ## write requirements.lock anew: every package with its hashes, but torch
	grep -v '^torch==' requirements.txt | .venv-lock/bin/uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --no-header --quiet --output-file requirements.lock > /dev/null

audit: .venv-audit/.run    ## compare what requirements.lock pins with known advisories
	.venv-audit/bin/pip-audit --requirement requirements.lock --no-deps --disable-pip --strict

# uv installs in half of pip's time; torch comes by pip, whose settings may say which build of it to take, and so does
# all else where only those settings lead to packages
define install
	test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' requirements.txt)
	$(1)/bin/uv pip install --quiet --python $(1)/bin/python --compile-bytecode -r $(2) \
		|| $(1)/bin/python -m pip install --quiet --disable-pip-version-check -r $(2)
	touch $(1)/$(3)
endef

.venv/.run: requirements.txt
	$(call install,.venv,$<,.run)

.venv/.dev: requirements-dev.txt .venv/.run
	$(call install,.venv,$<,.dev)

.venv-bench/.run: benchmarks/requirements.txt requirements.txt
	$(call install,.venv-bench,$<,.run)

.venv-lock/.run:
	test -x .venv-lock/bin/python || $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	touch $@

.venv-audit/.run:
	test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	touch $@

help:                      ## these lines
	@sed -nE 's/^([a-z][a-z-]*):.*## (.*)$$/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

clean:                     ## remove the environments; runs in outputs/ stay
	rm -rf .venv .venv-bench .venv-lock .venv-audit
