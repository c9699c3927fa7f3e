# What one does with a clone. Everything is installed into .venv, once; a second call is quick.
# The benchmarks have an environment of their own, with the peers at pinned versions: .cache/bench.
#
#   make demo            install the package and show it at work
#   make test            all tests, on the compiled and on the pure build
#   make lint            formatting, lint, types
#   make leaks           a million messages, a hundred thousand connections: does memory grow?
#   make autobahn        the Autobahn test suite: 517 cases, four front ends, both sides and builds (hours)
#   make autobahn-quick  the same without the compression groups (301 cases, a few minutes)
#   make ecosystem       packages that use websockets, on ropeway and on websockets: is it the same?
#   make bench           the benchmarks, ropeway and its peers: a quick run, its tables and goals
#   make bench-full      the same with all contenders, on two loops, for longer (hours)
#   make attacks         attacks on servers, ropeway's and its peers': what they cost, as a table (an hour)
#   make sanitize        tests of the wire with gcc's address and undefined behaviour sanitizers
#   make fuzz            inputs that nobody thought of, for ten minutes (FUZZ_SECONDS=600, FUZZ_JOBS=1)
#   make soak            5,000 connections on a bad network, for half an hour (SOAK_SECONDS=1800)
#   make coverage        branch coverage of each module by its own tests
#   make build           only compile what changed
#   make clean

PYTHON ?= python3
# Passed on to pytest, e.g. make test PYTEST_ARGS="-x -k close"
PYTEST_ARGS ?=
# How many tests run at a time; 0 runs them in pytest's own process, for debuggers.
WORKERS ?= auto
FUZZ_SECONDS ?= 600
FUZZ_JOBS ?= 1
SOAK_SECONDS ?= 1800

VENV := .venv
BENCH := .cache/bench
BENCHMARK := PYTHONPATH=src $(BENCH)/venv/bin/python -m bench
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
DECLARATIONS := $(shell find src -name '*.pxd')
COMPILED := $(DECLARATIONS) $(shell find src -name '*.pyx' -o -name '*.h') \
            $(wildcard $(DECLARATIONS:.pxd=.py))

.PHONY: demo test leaks lint sanitize fuzz soak coverage autobahn autobahn-quick ecosystem bench \
        bench-full attacks build clean

demo: $(VENV)/built
	$(BIN)/python -m ropeway.demo

test: $(VENV)/built $(VENV)/test
	ROPEWAY_PURE=0 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)
	ROPEWAY_PURE=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

leaks: $(VENV)/built $(VENV)/test
	ROPEWAY_PURE=0 $(BIN)/python -m pytest -s --full-leaks tests/leaks $(PYTEST_ARGS)
	ROPEWAY_PURE=1 $(BIN)/python -m pytest -s --full-leaks tests/leaks $(PYTEST_ARGS)

# On PATH, because the linters call each other and Python by name.
lint: export PATH := $(CURDIR)/$(BIN):$(PATH)
lint: $(VENV)/package $(VENV)/lint
	ruff format --check .
	ruff check .
	mypy
	pyright
	pyright --verifytypes ropeway --ignoreexternal
	cython-lint src

# A build of its own; Python's allocator gives way to one whose objects have an end to run over.
SANITIZED := build/sanitize
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SANITIZED_TESTS ?= tests/wire tests/core tests/extensions tests/fuzz

sanitize: $(VENV)/package $(VENV)/test
	mkdir -p $(SANITIZED)
	for flags in "" -DROPEWAY_PLAIN; do \
	    gcc -std=c11 -O2 -g -Wall -Wextra -Werror $(SANITIZERS) $$flags -Isrc/ropeway/_wire \
	        fuzz/kernels/random.c -o $(SANITIZED)/random && $(SANITIZED)/random || exit 1; \
	done
	CC=gcc CFLAGS="-g $(SANITIZERS)" LDFLAGS="$(SANITIZERS)" \
	    $(BIN)/python setup.py --quiet build --build-base $(SANITIZED) --build-lib $(SANITIZED)/lib
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" PYTHONMALLOC=malloc \
	    ASAN_OPTIONS=detect_leaks=0 ROPEWAY_PURE=0 PYTHONPATH=$(SANITIZED)/lib \
	    $(BIN)/python -m pytest -p no:cacheprovider --timeout 300 $(SANITIZED_TESTS) $(PYTEST_ARGS)

# The compiled build beside the pure one, which is what atheris follows. libFuzzer comes with clang.
fuzz: $(VENV)/built $(VENV)/fuzz
	ROPEWAY_PURE=0 $(BIN)/python -m fuzz run --seconds $(FUZZ_SECONDS) --jobs $(FUZZ_JOBS)
	$(BIN)/python -m fuzz coverage

soak: $(VENV)/built $(VENV)/test
	ROPEWAY_PURE=0 $(BIN)/python -m tests.soak.run --seconds $(SOAK_SECONDS)

coverage: $(VENV)/built $(VENV)/test
	$(BIN)/python tools/branches.py

autobahn: $(VENV)/built $(VENV)/test
	$(BIN)/python tests/autobahn/run.py

autobahn-quick: $(VENV)/built $(VENV)/test
	$(BIN)/python tests/autobahn/run.py --quick

ecosystem: $(VENV)/built $(VENV)/test
	$(BIN)/python -m tests.ecosystem.environments
	$(BIN)/python -m pytest tests/ecosystem $(PYTEST_ARGS)

bench: $(VENV)/built $(BENCH)/installed
	$(BENCHMARK) run --quick --out build/bench/quick.json
	$(BENCHMARK) report build/bench/quick.json

bench-full: $(VENV)/built $(BENCH)/installed
	$(BENCHMARK) run --full --out build/bench/full.json
	$(BENCHMARK) report build/bench/full.json

# The peers are in the environment of the tests.
attacks: $(VENV)/built $(VENV)/test
	$(BIN)/python -m tests.attacks --fresh

build: $(VENV)/built

clean:
	rm -rf $(VENV) .cache build dist src/*.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests tools bench -name __pycache__ -prune -exec rm -rf {} +
	find src -name '*.so' -delete

$(VENV)/tools: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' > $(VENV)/build-requirements.txt
	$(PIP) install --quiet -r $(VENV)/build-requirements.txt
	touch $@

# Editable: Python finds the package in src, where the next rule puts the compiled modules.
$(VENV)/package: $(VENV)/tools
	ROPEWAY_BUILD_PURE=1 $(PIP) install --quiet --no-build-isolation --editable .
	touch $@

# An extension whose .pxd is gone would still be imported in place of its source.
$(VENV)/built: $(VENV)/package setup.py $(COMPILED)
	for module in $$(find src -name '*.so'); do test -e "$${module%%.*}.pxd" || rm "$$module"; done
	$(BIN)/python setup.py --quiet build_ext --inplace
	touch $@

$(VENV)/test $(VENV)/lint $(VENV)/fuzz: $(VENV)/%: $(VENV)/package
	ROPEWAY_BUILD_PURE=1 $(PIP) install --quiet --no-build-isolation --editable '.[$*]'
	touch $@

# ropeway itself is found in src, compiled by the rule above. Without npm, node's ws does not run.
$(BENCH)/installed: bench/requirements.txt bench/package.json
	$(PYTHON) -m venv $(BENCH)/venv
	$(BENCH)/venv/bin/python -m pip --disable-pip-version-check install --quiet -r bench/requirements.txt
	! command -v npm >/dev/null || { cp bench/package.json $(BENCH) && npm install --silent --no-package-lock --prefix $(BENCH); }
	touch $@
