# The commands of soliloop. A fresh clone needs stable Rust (cargo, rustfmt, clippy), Python 3.11 or later, a C compiler
# and make. All else is installed below this folder, from the lock files in requirements/.
#
#   V=3.11            use that version of Python, in .venv-3.11 (default: 3.13 where found, in .venv)
#   PYTHON=PATH       the interpreter that a new .venv is made from
#   ARGS='...'        more arguments for py-test, py-libraries, conformance and the benchmarks
#
# Each target makes what it needs first; nothing is built or installed twice.

.DEFAULT_GOAL := help
.PHONY: help demo test test-all build fmt fmt-check lint lint-rust lint-python stubs layers
.PHONY: rust-test fuzz py-test py-slow py-libraries conformance bench bench-check bench-io lock clean
MAKEFLAGS += --no-print-directory

V ?=
ARGS ?=
PYTHON ?=
export PYTHON
VENV := .venv$(if $(V),-$(V))
PY := $(VENV)/bin/python
# A second Python has its own build folder: in a shared one each would undo the other's work.
TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))$(if $(V),/py$(V))
# CI builds what was committed; elsewhere a changed Cargo.toml may change the lock file.
LOCKED := $(if $(CI),--locked)
RUST_FILES := $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml $(wildcard Cargo.lock) pyproject.toml
PY_FILES := $(shell find python/soliloop -name '*.py')
TEST_STEPS := fmt-check lint-rust lint-python stubs layers rust-test py-test py-libraries conformance
MATRIX := 3.11 3.12 3.13 3.14
UV_VERSION := 0.11

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: build  ## build, then run the examples: nested runs, a trading day in simulated time
	$(PY) examples/nested.py
	$(PY) examples/twap/main.py

test: build  ## all that CI runs: format, lints, stubs, layers, Rust and Python tests, conformance
	@$(PY) scripts/steps.py $(TEST_STEPS)

test-all: build  ## test, then the slow tests, ten minutes of fuzzing, and every other Python found
	@steps="$(TEST_STEPS) fuzz py-slow"; \
	have=$$($(PY) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	for v in $(filter-out $(V),$(MATRIX)); do \
	  if [ "$$v" = "$$have" ]; then continue; fi; \
	  if scripts/find-python $$v >/dev/null 2>&1; then steps="$$steps stubs:$$v py-test:$$v py-libraries:$$v conformance:$$v"; \
	  else echo "Python $$v: not found, left out"; fi; \
	done; \
	$(PY) scripts/steps.py $$steps

build: $(VENV)/.built $(VENV)/.compiled  ## release build of the extension into the virtual environment

fmt: $(VENV)/.dev  ## format Rust and Python
	cargo fmt --all
	$(VENV)/bin/ruff check --fix --exit-zero --quiet
	$(VENV)/bin/ruff format

fmt-check: $(VENV)/.dev
	cargo fmt --all --check
	$(VENV)/bin/ruff format --check --output-format concise

lint: lint-rust lint-python  ## clippy, ruff, mypy --strict; warnings are errors

lint-rust: $(VENV)/.dev
	PYO3_PYTHON=$(abspath $(PY)) cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	cargo clippy $(LOCKED) -p soliloop-engine --no-default-features --all-targets -- -D warnings

lint-python: $(VENV)/.dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy

stubs: build  ## the stubs of the extension say what it has (mypy's stubtest)
	$(PY) -m mypy.stubtest soliloop._soliloop

layers: $(VENV)/.dev  ## what each layer may know; unsafe code; headers; file sizes
	@$(PY) scripts/layers.py

rust-test:  ## tests of the crates without Python; the engine also without its real world
	cargo test $(LOCKED) --no-fail-fast --workspace --exclude soliloop-python
	cargo test $(LOCKED) --no-fail-fast -p soliloop-engine --no-default-features

fuzz:  ## ten minutes of programs changed at random, for the checker
	SOLILOOP_FUZZ_SECONDS=600 cargo test $(LOCKED) -p soliloop-cli --test fuzz -- --nocapture

py-test: build  ## pytest but for the slow tests, and those of other people's libraries
	$(PY) -m pytest -m 'not slow' --ignore=tests/simulation/libraries $(ARGS)

py-libraries: build $(VENV)/.libraries  ## aiohttp, httpx, redis and others, unmodified, in simulated time
	$(PY) -m pytest tests/simulation/libraries $(ARGS)

py-slow: build  ## the slow tests alone (none is fine)
	$(PY) -m pytest -m slow $(ARGS) || [ $$? -eq 5 ]

conformance: build $(VENV)/.conformance  ## the suites of CPython, uvloop, nest_asyncio and async_solipsism on our loop; two of them in simulated time too
	$(PY) tests/conformance/run.py $(ARGS)

bench: build $(VENV)/.bench  ## micro benchmarks beside other loops; ARGS=--quick shows that it runs
	$(PY) benches/micro.py $(ARGS)

bench-check: build $(VENV)/.dev  ## `soliloop check` beside ruff on the Python in TREE
	$(PY) benches/checker.py $(TREE) $(ARGS)

bench-io: build $(VENV)/.bench  ## input and output beside other loops; ARGS=--quick shows that it runs
	$(PY) benches/traffic.py $(ARGS)

lock: $(VENV)/.dev  ## make requirements/*.txt anew from the .in files
	$(PY) -m venv .cache/lock
	.cache/lock/bin/pip install --quiet 'uv~=$(UV_VERSION)'
	cd requirements && for name in dev bench conformance solipsism libraries; do \
	  ../.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-annotate --no-emit-index-url --no-emit-find-links $$name.in -o $$name.txt || exit 1; \
	done

clean:  ## remove all that was built or installed here
	rm -rf target .venv .venv-* .cache .mypy_cache .pytest_cache .ruff_cache python/soliloop/*.so
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps below are made once, and again when what they stand on changes.

$(VENV)/.dev: requirements/dev.txt
	@$(PY) -c '' 2>/dev/null || { \
	  found=$$(scripts/find-python $(V)) && echo "$(VENV): $$found" && "$$found" -m venv --clear $(VENV); \
	}
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.bench $(VENV)/.conformance $(VENV)/.libraries: $(VENV)/.%: requirements/%.txt $(VENV)/.dev
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# As pip does for what it installs: else each process compiles the package's modules anew wherever bytecode isn't kept.
$(VENV)/.compiled: $(VENV)/.dev $(PY_FILES)
	$(PY) -m compileall -q python/soliloop
	@touch $@

$(VENV)/.built: $(VENV)/.dev $(RUST_FILES)
	VIRTUAL_ENV=$(abspath $(VENV)) CARGO_TARGET_DIR=$(TARGET_DIR) $(VENV)/bin/maturin develop --release $(LOCKED)
	@touch $@
