# Two commands on a fresh machine: make run, make test. Both set up first.
PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 8501
# The tests start hundreds of processes: compiled once, not in each of them
test test-fast: export PYTHONDONTWRITEBYTECODE =

.PHONY: setup setup-dev lock vtracer-0.6 run test test-fast check audit bench model format docs pictures clean

setup: $(VENV)/.installed
setup-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# With hashes; what is done where they differ, or the lock does not fit, .ci/install.py says. UNLOCKED=1: without hashes.
$(VENV)/.installed: requirements.txt requirements.lock requirements-cuda.lock | $(VENV)/bin/python
	@UNLOCKED="$(UNLOCKED)" $(PY) .ci/install.py
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt requirements-bench.txt requirements-ray.txt requirements-search.txt requirements-signin.txt requirements-trackers.txt requirements-vtracer06.txt | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/vtracer-0.6 -r requirements-vtracer06.txt
	touch $@

lock: setup-dev  ## both locks again from requirements.txt, as the indexes that pip uses have the packages now
	$(PY) .ci/lock.py

vtracer-0.6: setup  ## VTracer 0.6.15 beside 1.0, for who wants to compare
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/vtracer-0.6 -r requirements-vtracer06.txt

run: setup  ## open the console on http://localhost:8501
	@$(PY) -m core console --port $(PORT)

test-fast: setup-dev  ## unit tests: no process, no training, no browser; under a minute
	$(PY) -m pytest -n 2 --dist worksteal tests/unit

test: setup-dev  ## all tests: two at a time, and apart from them what kills and measures for long
	$(PY) -m pytest -n 2 --dist loadgroup tests/browser tests/integration tests/unit
	$(PY) -m pytest tests/endurance

check: setup-dev  ## what CI runs: format, lint, types, imports, tests
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-cache
	$(MAKE) test

# pip-audit asks PyPI for advisories; --strict: a package that it could not ask about is a failure, not a pass
audit: setup-dev  ## dependencies: licences, bandit, known advisories (the last needs PyPI)
	$(PY) -m core licences --sbom sbom.json
	$(PY) -m bandit -q -c pyproject.toml -r app.py core pages storage
	$(PY) -m pip_audit --strict --disable-pip --no-deps -r requirements.lock

bench: setup-dev  ## measures this machine and writes docs/benchmarks.md; about half an hour, with nothing else running
	@for what in throughput telemetry ingest ui optimize; do $(PY) -m core bench $$what || exit 1; done

model: setup  ## makes models/default again from the built-in logos; about a quarter of an hour
	rm -rf runs/model
	$(PY) -m core train --config configs/model.yaml --run-dir runs/model
	$(PY) -m core export runs/model/checkpoints/last --format onnx --out models/default

format: setup-dev
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

docs: setup-dev  ## makes what docs/ says of the code again: settings, commands, the tree of modules; and configs/*.yaml
	$(PY) docs/make_pages.py

pictures: setup-dev  ## the pictures of README and docs/, from the runs there are
	$(PY) docs/draw_result.py
	$(PY) docs/take_pictures.py
