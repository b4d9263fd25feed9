# `make demo` and `make test` do everything on a machine with Python (3.11 or newer) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
OLDEST_BIN := $(OLDEST)/bin

.PHONY: demo test test-oldest lint docs dist picture clean

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
		tests/test_common.py tests/test_versions.py \
		tests/classifier/test_persistence.py tests/cleaning/test_cleaner.py \
		tests/label_noise/test_noisy_labels_classifier.py

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Runs the examples too, two at a time.
docs: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html
	$(BIN)/python docs/check_site.py docs/_build/html

# The picture of the README and the home page, as the gallery has drawn it last.
picture:
	cp docs/auto_examples/images/sphx_glr_plot_find_label_issues_001.png docs/_static/label_issues.png

# Sdist and wheel, each installed where no checkout is, and tried by tests of what packaging may lose: templates,
# entry points, the command line. All else comes from the first environment.
DIST := .venv-dist
DIST_BIN := $(CURDIR)/$(DIST)/bin
dist: $(VENV)/installed
	rm -rf dist $(DIST)
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m venv $(DIST)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> $$($(DIST_BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/shared.pth
	tar -xzf dist/*.tar.gz --directory $(DIST) && rm -r $(DIST)/skdiffusion_label-*/skdiffusion_label
	for file in dist/*.whl dist/*.tar.gz; do \
		$(DIST_BIN)/python -m pip install --quiet --no-deps --force-reinstall $$file && \
		(cd $(DIST)/skdiffusion_label-* && OMP_NUM_THREADS=1 $(DIST_BIN)/python -m pytest -q \
			-p no:cacheprovider tests/cli/test_five_minutes.py tests/cli/test_files.py \
			tests/label_noise/test_transition.py tests/test_typing.py) && \
		(cd / && $(DIST_BIN)/skdiffusion-label --version) || exit 1; \
	done

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
	rm -rf $(VENV) $(OLDEST) $(DIST) dist docs/_build docs/auto_examples docs/api/generated .pytest_cache .mypy_cache .ruff_cache
