# `make demo` and `make test` do everything on a machine with Python (3.11 or newer) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint docs clean

demo: $(VENV)/installed
	$(BIN)/python examples/plot_noisy_digits.py

# Two processes of one thread each: threads of several would wait for each other.
test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed
	$(BIN)/sphinx-build -W -b html docs docs/_build/html

# One pip call, so that torch, torchvision and open_clip come from one place and fit together.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[test,docs,bench]"
	touch $@

clean:
	rm -rf $(VENV) docs/_build examples/output .pytest_cache .mypy_cache .ruff_cache
