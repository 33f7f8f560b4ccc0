# Everything runs in .venv, made here; constraints.txt pins what is installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-slow vlfeat lint docs clean

demo: $(VENV)/.installed
	$(BIN)/preimage demo --out demo --overwrite

# One thread: the tests' tensors are small, and threads that wait for each other cost more than they do.
test: $(VENV)/.test vlfeat
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -m slow

# The reference for HOG and DSIFT; without it their tests use what was recorded from it.
vlfeat:
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get install -y -qq libvlfeat1 >/dev/null 2>&1 || echo "libvlfeat1 is not to be had here"; \
	fi

lint: $(VENV)/.lint
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed
	$(BIN)/python -m preimage.cli.reference docs/cli.md

clean:
	rm -rf $(VENV) demo

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	touch $@

$(VENV)/.test: $(VENV)/.installed
	$(INSTALL) -e ".[test]"
	touch $@

$(VENV)/.lint: $(VENV)/.test
	$(INSTALL) -e ".[test,lint]"
	touch $@
