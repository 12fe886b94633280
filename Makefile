# make demo    train on MovieLens 100K, print a list and its quality, serve the page (creates .venv first)
# make test    run the tests on all cores; some of them: make test ARGS='-x tests/data'
# make core    run the tests, but for slow ones, on a copy without firstday.lab
# make coverage   run the tests and report which lines of src they ran
# make check   check format, lint, types, import rules and ceilings of size
# make docs    renew tables, pictures and HTTP responses in the documentation, from the code and docs/results
# make site    build the documentation as a site: build/site/index.html
# make lock    renew requirements.lock: the newest version of every package within the ranges of pyproject.toml
# make lowest  run the tests on the oldest versions that pyproject.toml allows
# make distributions PYTHONS="python3.11 python3.12"   try wheel and sdist in clean environments
# make release check the state of the repository, build wheel and sdist, and print the command that tags
#
# All targets install what requirements.lock pins, and check its hashes; with LOCKED=no, the newest, in .venv-newest.
# torch comes without CUDA, which saves 3 GB; with CUDA: make demo TORCH_INDEX=
# Requires Python 3.11 or newer, make and a package index. Another interpreter: make PYTHON=python3.13 demo
# Another package index: UV_DEFAULT_INDEX and PIP_INDEX_URL

PYTHON ?= python3
LOCKED ?= yes
ifeq ($(LOCKED),no)
VENV := .venv-newest
TORCH := torch
FRESH := --clear
EACH_TIME := always # new versions may have appeared
else ifeq ($(LOCKED),yes)
VENV := .venv
TORCH = $$(grep -o '^torch==[0-9.]*' requirements.lock)
PINS := --constraint requirements.lock --build-constraint requirements.lock
else
$(error LOCKED is '$(LOCKED)'; set it to yes or no)
endif
BIN := $(VENV)/bin
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# pip retries an unreachable index for minutes, so ask for it first.
ASK := import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)
FROM_INDEX = $(if $(TORCH_INDEX),$(shell \
	if $(PYTHON) -c '$(ASK)' $(TORCH_INDEX)/torch/ 2>/dev/null; then echo --index-url $(TORCH_INDEX); \
	else echo "note: $(TORCH_INDEX) cannot be reached; torch comes from the default package index." >&2; fi))
# Builds of torch differ in their hashes, so it comes first, alone, without them; uv checks those of all other packages.
define INSTALL
$(BIN)/python -m pip install --quiet --no-deps $(FROM_INDEX) $(TORCH)
$(BIN)/uv pip install --quiet --python $(BIN)/python $(PINS) --editable
endef

.DEFAULT_GOAL := help
.PHONY: help install demo test core coverage check format docs site lock lowest distributions release clean always

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

%/bin/uv: $(EACH_TIME)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than Python 3.11; run: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(FRESH) $*
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock | \
		$*/bin/python -m pip install --quiet --require-hashes --requirement /dev/stdin

$(VENV)/.train $(VENV)/.dev: pyproject.toml requirements.lock $(EACH_TIME) | $(BIN)/uv

$(VENV)/.train:
	$(INSTALL) '.[train]'
	@touch $@

$(VENV)/.dev:
	$(INSTALL) '.[dev]'
	@touch $@ $(VENV)/.train

install: $(VENV)/.dev

demo: $(VENV)/.train
	$(BIN)/firstday train movielens-100k --out demo/model
	$(BIN)/firstday recommend demo/model -k 10 --user '{"age": 24, "interactions": [["stream", "item", "1"]]}'
	$(BIN)/firstday evaluate movielens-100k --report demo/report.html
	@if [ -t 1 ]; then set -x; $(BIN)/firstday serve demo/model; else echo "The page: $(BIN)/firstday serve demo/model"; fi

# Tests also wait for servers and browsers, hence one process more than cores.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
test lowest: export OMP_NUM_THREADS := 1
# Without bytecode, each of hundreds of processes would compile what it imports.
test lowest core: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

CORE := build/core
core: export OMP_NUM_THREADS := 1
core: $(VENV)/.dev
	rm -rf $(CORE) && git worktree prune && git archive --prefix=$(CORE)/ HEAD | tar x
	rm -r $(CORE)/src/firstday/lab $(CORE)/tests/lab $(CORE)/benchmarks/lab
	sed -i.bak '/"firstday\.lab\./d' $(CORE)/pyproject.toml
	$(PYTHON) -m venv --without-pip $(CORE)/.venv
	$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' > "$$(echo $(CORE)/.venv/lib/python3.*/site-packages)/all.pth"
	$(BIN)/uv pip install --quiet --no-deps --python $(CORE)/.venv/bin/python --editable $(CORE)
	cd $(CORE) && .venv/bin/python -m pytest -n $(WORKERS) --dist worksteal -m 'not slow' \
		--ignore tests/page --ignore tests/docs --ignore tests/spark $(ARGS)

coverage: override ARGS += --cov --cov-report term --cov-report xml
coverage: test

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python release/check_size.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev
	$(BIN)/python docs/write_tables.py
	$(BIN)/python docs/write_http.py

site: $(VENV)/.dev
	rm -rf build/site build/doctrees build/jupyter_execute
	$(BIN)/sphinx-build --fail-on-warning --keep-going -q -j auto -c docs -d build/doctrees . build/site
	@echo build/site/index.html

MAX_TORCH := 2.13.0 # newest version tested; raise it after make test LOCKED=no
lock: | .venv-lock/bin/uv
	echo 'torch<=$(MAX_TORCH)' | .venv-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--fork-strategy fewest --all-extras --generate-hashes --annotation-style line \
		--custom-compile-command 'make lock' --constraint - --output-file requirements.lock pyproject.toml

LOWEST := .venv-lowest/bin
lowest: | .venv-lowest/bin/uv
	$(LOWEST)/uv pip compile --quiet --resolution lowest-direct --no-annotate --no-header \
		$(foreach extra,train experiment redis postgres,--extra $(extra)) --output-file .venv-lowest/lowest.txt pyproject.toml
	$(LOWEST)/python -m pip install --quiet --no-deps $(FROM_INDEX) $$(grep -o '^torch==[0-9.]*' .venv-lowest/lowest.txt)
	$(LOWEST)/uv pip install --quiet --python $(LOWEST)/python --constraint .venv-lowest/lowest.txt \
		--editable '.[train,experiment,redis,postgres,test]'
	$(LOWEST)/python -m pytest -n auto --dist worksteal --ignore tests/spark --ignore tests/page --ignore tests/docs \
		--ignore tests/test_notebooks.py $(ARGS)

PYTHONS ?= $(PYTHON)
distributions: $(VENV)/.dev
	$(BIN)/python release/try_distributions.py $(PYTHONS)

release: $(VENV)/.dev
	$(BIN)/python release/make_release.py $(TAG)

clean:
	rm -rf .venv .venv-* demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage* coverage.xml
