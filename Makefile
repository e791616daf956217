# One command each, on a fresh machine: `make run` and `make test` make .venv and reuse it.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check -q
OUT ?= out
SOURCES := $(shell find theory sim calibrate figures api cli -name '*.py' -o -name '*.csv' -o -name '*.md' -o -name '*.toml' -o -name '*.json' -o -name '*.json.gz' -o -name '*.jsonl' -o -name py.typed)

.PHONY: run test figures lint types bench mutations sheet clean

run: $(VENV)/.wheel
	$(VENV)/bin/howspec paper --out $(OUT)

figures: $(VENV)/.wheel
	$(VENV)/bin/howspec figures --out $(OUT)

# The tests run against the installed wheel, from a folder that cannot shadow it.
test: lint types
	cd tests && ../$(PY) -m pytest -c ../pyproject.toml --rootdir .. -n 2 .

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.test
	cd $(VENV) && bin/mypy --config-file ../pyproject.toml

# Benchmarks run alone and one after the other; mutations take an hour and have their own target.
BENCHES := theory_speed cold_start sim_rounds sim_selection sim_replay sim_fleet sim_sweep sim_lossless
bench: $(VENV)/.test
	$(PIP) install -c constraints.txt "$$(ls $(VENV)/wheels/howspec-*.whl)[bench]"
	cd benchmarks && for b in $(BENCHES); do echo "== $$b"; ../$(PY) $$b.py || exit 1; done

mutations: $(VENV)/.test
	cd benchmarks && ../$(PY) mutations.py

$(PY):
	$(PYTHON) -m venv $(VENV)
	$(PIP) install 'setuptools>=77' wheel

# The formula sheet is printed from the formulas.
sheet: $(VENV)/.wheel
	cd $(VENV) && bin/python -m howspec.theory.sheet > ../theory/README.md

# A stale build/ would put deleted files back into the wheel.
$(VENV)/.wheel: $(PY) pyproject.toml constraints.txt README.md $(SOURCES)
	rm -rf build *.egg-info $(VENV)/wheels
	$(PIP) wheel . --no-deps --no-build-isolation -w $(VENV)/wheels
	$(PIP) install -c constraints.txt $(VENV)/wheels/howspec-*.whl
	$(PIP) install --no-deps --force-reinstall $(VENV)/wheels/howspec-*.whl
	rm -rf build *.egg-info
	touch $@

$(VENV)/.test: $(VENV)/.wheel
	$(PIP) install -c constraints.txt "$$(ls $(VENV)/wheels/howspec-*.whl)[test,dev,calibrate]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info $(OUT)
