# Every target builds .venv itself where it is missing or older than the two files that define it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.built

AXE := .tools/node_modules/axe-core/axe.min.js

MUTATOR := .tools/cosmic-ray
MUTANTS ?= 200
SEED ?= 0

# Where it is set, each of the hundreds of processes that tests start compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: env demo docs test test-all bench mutants lint axe clean

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
	$(BIN)/python -m pytest -n auto --dist loadfile -m 'slow or not slow' --hypothesis-profile explore

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# Changes a random sample of places in the code, one at a time: a test must fail each time. Hours.
# Stopped, it goes on; MUTANTS is the size of the sample, SEED draws it.
mutants: $(STAMP) $(MUTATOR)/.built
	OMP_NUM_THREADS=1 $(BIN)/python tools/mutants.py --count $(MUTANTS) --seed $(SEED)

# In a folder of its own: its packages are nobody else's.
$(MUTATOR)/.built: $(STAMP)
	$(BIN)/python -m pip install --quiet --target $(MUTATOR) cosmic-ray==8.7.0
	touch $@

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
