# Every target builds .venv itself where it is missing or older than the two files that define it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.built

AXE := .tools/node_modules/axe-core/axe.min.js

.PHONY: env demo docs test test-all bench lint axe clean

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/sfumato demo

docs: $(STAMP)
	$(BIN)/python -m papers.headlines
	$(BIN)/python docs/reference.py
	$(BIN)/mkdocs build --strict

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadfile

test-all: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadfile -m 'slow or not slow'

bench: $(STAMP)
	$(BIN)/python -m benchmarks

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Finds faults of access in the report's page; without it that test skips with a message.
axe: $(AXE)

$(AXE):
	npm install --prefix .tools --no-save --no-audit --no-fund axe-core@4.14.1

clean:
	rm -rf $(VENV) .tools demo site .pytest_cache .mypy_cache .ruff_cache
