# make demo: set up, fetch the small model, judge real items.   make test: set up, run the suite.
# make live: set up a real vLLM for this CPU as well, and check servers; half an hour, by hand only.
PYTHON ?= python3
VENV := .venv
LIVE := .venv-live
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: setup browser demo test live lint types docs wheels check clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "spct needs Python 3.11 or later; name one with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip
	$(PIP) install --quiet --constraint constraints.txt torch==2.13.0
	$(PIP) install --quiet --constraint constraints.txt --editable '.[all,ray]' --group dev
	@touch $@

# A browser for the tests of the viewer, from Debian's packages; where none can be had those tests are skipped.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	    chromium fonts-dejavu-core >/dev/null; } || echo "no Chromium here: the tests of the viewer's pages are skipped"

demo: setup
	$(BIN)/python examples/demo.py

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=

# Real servers on this machine (docs/live.md); ARGUMENTS are those of benchmarks.live. Never part of make test.
live: setup $(LIVE)/.ready
	$(BIN)/python -m benchmarks.live --live $(LIVE) $(ARGUMENTS)

$(LIVE)/.ready: benchmarks/live/install.py benchmarks/live/requirements.txt
	$(PYTHON) -m venv $(LIVE)
	$(LIVE)/bin/python -m pip --disable-pip-version-check install --quiet --upgrade pip
	$(LIVE)/bin/python benchmarks/live/install.py
	@touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry src
	$(BIN)/deptry tests benchmarks examples --ignore DEP002,DEP004

types: setup
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini

# The generated pages are checked, and the site is made in build/site: open build/site/index.html.
docs: setup
	$(BIN)/python docs/generate.py --check
	$(BIN)/python -m sphinx --fresh-env --fail-on-warning --keep-going --quiet docs build/site

# The package without extras, as sdist and as wheel, on every Python it is for that is installed here.
wheels: setup
	$(BIN)/python tests/wheels.py

check: lint types docs wheels test

clean:
	rm -rf $(VENV) $(LIVE) build runs .mypy_cache .ruff_cache .pytest_cache .coverage*
