# `make demo` and `make test` are all that is needed; both prepare .venv on their first call.

PYTHON  ?= python3
VENV    ?= .venv
WORKERS ?= 2
UV      ?= uv
# Options for `make lock`, for example UPGRADE="--upgrade-package streamlit".
UPGRADE ?=
# Options for pytest in `make test`, for example PYTEST="-k fvd".
PYTEST  ?=

# For `make audit`: run folders to draw from beside the clips that are kept, and trials of each row. For
# `make audit-pool`: the runs whose clips to keep.
RUNS    ?=
TRIALS  ?= 2000
# For `make gpu` and `make gate-gpu`.
DEVICE  ?= cuda:0
# For `make gate-gpu`: the commit to compare with.
BASE    ?= HEAD~1

BIN := $(VENV)/bin

# One thread per process: two multi-threaded processes on two cores are slower than one after the other.
# Nothing below may ask a model hub for anything.
OFFLINE := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1

.DELETE_ON_ERROR:
.PHONY: help demo gpu gate-gpu test lint browser format endure bench report-card metric-reference golden audit audit-pool lock setup clean distclean

help:
	@echo 'make demo      run the main job on the embedded tiny world, into runs/demo'
	@echo 'make gpu       what this machine can run, then the real architectures timed with random weights on DEVICE'
	@echo 'make gate-gpu  is this commit worse or slower than BASE on DEVICE? into runs/gate-gpu'
	@echo 'make test      format, lint and type checks, then every test'
	@echo 'make lint      the checks alone'
	@echo 'make format    rewrite the code as the checks want it, where that can be done'
	@echo 'make endure    kill the program at every flush, fill the disk, and what else needs minutes (two hours)'
	@echo 'make bench     time the program, into results.json and viewers.json of tests/benchmarks (half an hour)'
	@echo 'make report-card   which metric sees which fault, into reports/baselines/report_card (minutes)'
	@echo 'make metric-reference   write metrics/REFERENCE.md from the catalogue and the report card'
	@echo 'make golden    take the numbers of the golden clip anew: earlier results are not comparable then'
	@echo 'make audit     how often our own statistics err, into reports/baselines/audit (an hour or less)'
	@echo 'make audit-pool  keep the clips of RUNS (finished runs of shipped specs) for `make audit` on every clone'
	@echo 'make lock      write requirements.lock anew from pyproject.toml (needs uv)'
	@echo 'make clean     delete caches and build output; runs and $(VENV) stay'
	@echo 'make distclean delete $(VENV) too'
	@echo
	@echo 'Variables: PYTHON ($(PYTHON)), VENV ($(VENV)), WORKERS for the tests ($(WORKERS)).'

demo: setup
	@$(BIN)/poc run --out runs/demo

# Needs no download beyond the packages: the architectures are drawn with random weights.
gpu: setup
	@$(BIN)/poc doctor
	@$(BIN)/poc run poc/specs/latency-before-weights.yaml --device $(DEVICE) --out runs/gpu

# Make ends with 2 whatever the gate says, so the gate's own exit code is kept beside its files.
gate-gpu:
	@code=0; DEVICE=$(DEVICE) .ci/gate-gpu $(BASE) runs/gate-gpu || code=$$?; \
	  if [ -d runs/gate-gpu ]; then echo $$code > runs/gate-gpu/exit-code; fi; exit $$code

test: lint browser
	@$(OFFLINE) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST)

lint: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

# Some tests look at the dashboard in Chromium and are skipped where there is none. Debian's package
# is installed where that can be done; that it cannot be is no error.
browser:
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome || { \
	  test "$$(id -u)" = 0 && command -v apt-get && grep -qs '^ID=debian' /etc/os-release && \
	  timeout 300 apt-get install -y -qq chromium; }; } >/dev/null 2>&1 || \
	  echo 'note: no Chromium here; tests in a browser are skipped (Debian: apt-get install chromium)' >&2

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

endure: setup
	@$(OFFLINE) $(BIN)/python -m pytest tests/endurance -s $(PYTEST)

bench: setup
	@code=0; $(BIN)/python tests/benchmarks/speed.py || code=1; \
	  PYTHONPATH=tests $(BIN)/python tests/benchmarks/viewers.py \
	    --out tests/benchmarks/viewers.json || code=1; exit $$code

report-card: setup
	@$(OFFLINE) $(BIN)/python tests/benchmarks/report_card.py
	@$(BIN)/python -m metrics.reference

metric-reference: setup
	@$(BIN)/python -m metrics.reference

golden: setup
	@$(OFFLINE) $(BIN)/python tests/benchmarks/golden.py

audit: setup
	@$(OFFLINE) PYTHONPATH=tests $(BIN)/python tests/benchmarks/audit.py $(RUNS) --trials $(TRIALS) --resume --workers $(WORKERS)

audit-pool: setup
	@$(OFFLINE) PYTHONPATH=tests $(BIN)/python tests/benchmarks/keep_pools.py $(RUNS)

# -- the environment: made once; a second call finds the stamps and does nothing -------------------

setup: $(VENV)/.project

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Python 3.11 or newer is needed; `$(PYTHON)` is older or missing.' >&2; \
	  echo 'Name another one: make PYTHON=python3.12' >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 14))' || \
	  echo 'note: the locked packages are checked with Python 3.11 to 3.13; trying a newer one' >&2
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  echo 'No virtual environment could be made (on Debian and Ubuntu: install python3-venv).' >&2; exit 2; }
	@touch $@

$(VENV)/.locked: requirements.lock $(VENV)/.python
	@echo 'installing the locked packages into $(VENV): some GB, some minutes, only this once'
	@quiet=-qq; if [ -t 1 ]; then quiet=; fi; \
	  $(BIN)/python -m pip install --disable-pip-version-check $$quiet --require-hashes -r requirements.lock
	@touch $@

# setuptools comes from the lock, so nothing is fetched to build.
$(VENV)/.project: pyproject.toml $(VENV)/.locked
	@$(BIN)/python -m pip install --disable-pip-version-check -qq --no-deps --no-build-isolation -e .
	@touch $@

# -- upkeep ----------------------------------------------------------------------------------------

# What is locked stays as it is where it still fits; see UPGRADE.
lock:
	@command -v $(UV) >/dev/null || { echo 'make lock needs uv: pip install uv' >&2; exit 2; }
	@$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 --fork-strategy fewest \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet \
	  $(UPGRADE) --output-file requirements.lock

clean:
	@rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find metrics poc reports tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	@rm -rf $(VENV)
