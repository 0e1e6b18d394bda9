PYTHON ?= python3
BIN := .venv/bin
export LESION_SEARCH_REAL_DATA ?=

.PHONY: setup demo check test clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dicom,train,notebooks,milvus,ray,dev]'
	touch $@

## The demo archive, its index, one query with its picture, then the service until Ctrl-C.
demo: setup
	$(BIN)/lesion-search demo --out demo $(if $(filter 0,$(SERVE)),--no-serve,)

## The fast checks alone.
check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## Everything.
test: check
	$(BIN)/pytest -m 'not slow'

clean:
	rm -rf .venv demo
