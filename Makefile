# `make demo` and `make test` do everything on a machine with Python (3.11 or newer) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
OLDEST_BIN := $(OLDEST)/bin

.PHONY: demo test test-oldest lint docs clean

demo: $(VENV)/installed
	$(BIN)/python examples/plot_noisy_digits.py

# Two processes of one thread each: threads of several would wait for each other.
test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# The contract and fits with the oldest numerical libraries. Tests of what others make of these are
# left out: polars, skops and cleanlab's Datalab come from the first environment, and Datalab fails
# with the oldest pandas. pytest 9 deprecates the way in which
# scikit-learn 1.6 hands over its checks.
test-oldest: $(OLDEST)/installed
	OMP_NUM_THREADS=1 $(OLDEST_BIN)/python -m pytest --numprocesses 2 \
		-W "ignore:Passing a non-Collection iterable" \
		tests/test_common.py tests/test_versions.py tests/classifier/test_classifier.py \
		tests/classifier/test_persistence.py tests/cleaning/test_cleaner.py \
		tests/label_noise/test_noisy_labels_classifier.py

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

# The floors in pyproject.toml of what calculates, in front of all else from the first environment.
$(OLDEST)/installed: pyproject.toml $(VENV)/installed
	rm -rf $(OLDEST)
	$(BIN)/python -m venv $(OLDEST)
	$(OLDEST_BIN)/python -m pip install --quiet $$(sed -nE \
		's/^    "(joblib|numpy|pandas|scikit-learn|scipy|threadpoolctl)>=(.*)",$$/\1==\2/p' $<)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> $$($(OLDEST_BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/shared.pth
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) docs/_build examples/output .pytest_cache .mypy_cache .ruff_cache
