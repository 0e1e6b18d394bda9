PYTHON ?= python3
BIN := .venv/bin
SOAK := tests/service/http/test_soak.py
TESTS ?=
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

## Everything, or TESTS alone; the two minutes of the soak, which mostly waits, run beside the rest.
test: check
	@mkdir -p artefacts
	@$(BIN)/pytest $(SOAK) >artefacts/soak.log 2>&1 & soak=$$!; \
	$(BIN)/pytest -m 'not slow' --ignore $(SOAK) $(TESTS); rest=$$?; \
	wait $$soak; soaked=$$?; tail -n 30 artefacts/soak.log; \
	exit $$((rest + soaked))

clean:
	rm -rf .venv demo
