# `make` lists what there is. What a recipe does is in cli/, the command knn; here is only how to
# get there.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.13 || command -v python3)
LOG := .local/install.log
# What "make notebook" writes, and where.
FORMAT ?= html
OUTPUT ?= .local
# What "make deploy" takes of samconfig.toml, and what else it is to say to "sam deploy".
CONFIG ?= default
DEPLOY ?=
# Parameters that are given take the place of those in samconfig.toml, so these are given as well.
CONFIGURED = $(shell $(BIN)/python -c 'import tomllib; \
	config = tomllib.load(open("samconfig.toml", "rb"))["$(CONFIG)"]; \
	print(config["deploy"]["parameters"].get("parameter_overrides", ""))')
# SAM has no option for it.
PROTECT = $(BIN)/python -c 'import boto3, tomllib; \
	stack = tomllib.load(open("samconfig.toml", "rb"))["$(CONFIG)"]["global"]["parameters"]["stack_name"]; \
	boto3.client("cloudformation").update_termination_protection(EnableTerminationProtection=True, StackName=stack)'
# Which processor the functions are for: x86_64 or arm64. Their wheels are those of it.
ARCHITECTURE ?= x86_64
export ARCHITECTURE
PIP := install --quiet --disable-pip-version-check
# Where Python finds the application's packages: functions, and what their layers bring.
PACKAGES := functions layers/pipeline layers/numeric layers/plotting
COMPILE := $(BIN)/uv pip compile --quiet --no-header --universal --python-version 3.13 --generate-hashes
# These come with Lambda's Python runtime.
RUNTIME := botocore urllib3 python-dateutil six
# A text as one word of the shell, whatever is in it.
quoted = '$(subst ','\'',$(1))'
FUNCTIONS := preprocess split failure validate report predict score teardown sweep

.DEFAULT_GOAL := help
.PHONY: wrong-architecture help run drop events invoke api stop clean logs mail test lint format build deploy lock regions notebook audit

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

run: $(VENV)/run.stamp ## train, deploy, validate and call an iris model on the embedded AWS
	@$(BIN)/knn run

drop: $(VENV)/run.stamp ## drop a file and follow it: make drop CSV=path [LABEL=column] [DATASET=name] [SCHEMA=path]
	@test -n "$(CSV)" || { echo 'Which file? make drop CSV=path [DATASET=name]'; exit 2; }
	@$(BIN)/knn drop $(call quoted,$(CSV)) $(if $(LABEL),--label $(call quoted,$(LABEL))) $(if $(DATASET),--dataset $(call quoted,$(DATASET))) $(if $(SCHEMA),--schema $(call quoted,$(SCHEMA)))

mail: $(VENV)/run.stamp ## read the mail that the embedded AWS has sent last
	@$(BIN)/knn mail

logs: $(VENV)/run.stamp ## the functions' newest log lines
	@$(BIN)/knn logs

events: $(VENV)/run.stamp ## fill events/ with the running stack's names, into .local/events
	@$(BIN)/knn events

invoke: $(VENV)/run.stamp ## a function in a container: make invoke EVENT=predict-json [FUNCTION=name]
	@test -n "$(EVENT)" || { echo 'Which event? make invoke EVENT=name [FUNCTION=name]; events/README.md lists them.'; exit 2; }
	@$(BIN)/knn invoke "$(EVENT)" $(if $(FUNCTION),--function "$(FUNCTION)")

api: $(VENV)/run.stamp ## serve the API by a function in a container, on port 3000
	@$(BIN)/knn api

stop: ## stop the embedded AWS; its state is kept
	@if test -e $(VENV)/run.stamp; then $(BIN)/knn stop; else echo 'Nothing was ever started.'; fi

clean: ## stop the embedded AWS and remove its state
	@if test -e $(VENV)/run.stamp; then $(BIN)/knn clean; else echo 'Nothing was ever started.'; fi

# Unit tests need none of the SageMaker SDKs.
test: $(VENV)/dev.stamp $(if $(findstring tests/unit,$(PYTEST)),,.venv-sdk/stamp .venv-sdk-v2/stamp) ## all tests: unit, integration, end to end
	@$(BIN)/python -m pytest -n 2 $(PYTEST)

lint: $(VENV)/dev.stamp .venv-checkov/stamp ## ruff, mypy, import-linter, cfn-lint, sam validate, checkov (settings, secrets)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	cd embedded && ../$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/cfn-lint template.yaml companions/*.yaml
	AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint
	.venv-checkov/bin/checkov --file template.yaml --framework cloudformation --compact --quiet --skip-download
	# What is recorded in events/ looks like secrets, and was made up.
	.venv-checkov/bin/checkov --framework secrets --directory . --compact --quiet --skip-download \
		$(patsubst %,--skip-path %,events .git .local .aws-sam $(wildcard .venv*))

format: $(VENV)/dev.stamp ## let ruff put the code in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

build: $(VENV)/run.stamp ## build what is deployed: functions, layer, template
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/sam build --config-env $(CONFIG) \
		--cache-dir .aws-sam/cache/$(ARCHITECTURE) --parameter-overrides Architecture=$(ARCHITECTURE)

deploy: $(if $(findstring Architecture=,$(PARAMETERS)),wrong-architecture) build ## build and deploy to AWS: make deploy [CONFIG=dev|prod] [ADDRESS=mail,mail…] [PARAMETERS='NAME=VALUE …']
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/sam deploy --config-env $(CONFIG) $(DEPLOY) \
		--parameter-overrides $(CONFIGURED) Architecture=$(ARCHITECTURE) \
		FunctionRevision=$(shell date +%s) $(ADDRESS:%=ReportAddresses=%) $(PARAMETERS)
	$(if $(filter prod,$(CONFIG)),$(PROTECT))

wrong-architecture:
	@echo 'The functions have to be built for it, too: make deploy ARCHITECTURE=arm64' >&2; exit 1

audit: $(VENV)/dev.stamp .venv-audit/stamp ## ask for known vulnerabilities of all that is pinned; takes the network
	@set -e; for file in requirements/*.txt functions/*/requirements.txt; do \
		echo "pip-audit $$file"; .venv-audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r $$file; done

notebook: .venv-sdk/stamp ## run docs/iris_knn.ipynb against what make run has started, as a page
	@url=$${AWS_ENDPOINT_URL:-$$($(BIN)/knn endpoint)} && AWS_ENDPOINT_URL=$$url \
		.venv-sdk/bin/python -m nbconvert --execute --to $(FORMAT) --output-dir $(abspath $(OUTPUT)) docs/iris_knn.ipynb

regions: $(VENV)/dev.stamp .venv-sdk/stamp ## write what is known of regions into template.yaml: k-NN images, services
	.venv-sdk/bin/python tools/regions.py images
	$(BIN)/python tools/regions.py services

lock: $(VENV)/dev.stamp ## compile the requirements anew, with hashes
	$(COMPILE) --upgrade requirements/dev.in embedded/pyproject.toml --output-file requirements/dev.txt
	$(COMPILE) --constraint requirements/dev.txt requirements/run.in embedded/pyproject.toml --output-file requirements/run.txt
	$(COMPILE) --upgrade requirements/sdk.in --output-file requirements/sdk.txt
	$(COMPILE) --upgrade requirements/sdk-v2.in --output-file requirements/sdk-v2.txt
	$(COMPILE) --upgrade requirements/checkov.in --output-file requirements/checkov.txt
	$(COMPILE) --upgrade requirements/audit.in --output-file requirements/audit.txt
	@set -e; for function in $(FUNCTIONS); do \
		(cd functions/$$function && ../../$(COMPILE) --upgrade $(RUNTIME:%=--no-emit-package %) \
			requirements.in --output-file requirements.txt); done
	cd layers/numeric && ../../$(COMPILE) --upgrade requirements.in --output-file requirements.txt
	@set -e; for layer in learning plotting; do \
		(cd layers/$$layer && ../../$(COMPILE) --upgrade --no-emit-package numpy requirements.in --output-file requirements.txt); done

# A stamp says that a virtual environment is whole; what an interruption has left is made anew.
$(VENV)/venv.stamp .venv-sdk/venv.stamp .venv-sdk-v2/venv.stamp .venv-checkov/venv.stamp .venv-audit/venv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || { \
		echo 'Python 3.13 is needed and was not found: install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.13' >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(@D) && touch $@

$(VENV)/run.stamp: requirements/run.txt embedded/pyproject.toml pyproject.toml Makefile | $(VENV)/venv.stamp
	@echo 'Installing what $< lists into $(VENV), about a minute …'
	@mkdir -p .local && { $(BIN)/pip $(PIP) --require-hashes -r $< && \
		$(BIN)/pip $(PIP) --no-deps --no-build-isolation --editable embedded --editable .; } >$(LOG) 2>&1 || { cat $(LOG) >&2; exit 1; }
	@printf '%s\n' $(PACKAGES:%='$(CURDIR)/%') >"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/application.pth"
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	@echo 'Installing what $< lists into $(VENV) …'
	@mkdir -p .local && $(BIN)/pip $(PIP) --require-hashes -r $< >$(LOG) 2>&1 || { cat $(LOG) >&2; exit 1; }
	@touch $@

.venv-%/stamp: requirements/%.txt | .venv-%/venv.stamp
	@echo 'Installing what $< lists into $(@D) …'
	@mkdir -p .local && $(@D)/bin/pip $(PIP) --require-hashes -r $< >$(LOG) 2>&1 || { cat $(LOG) >&2; exit 1; }
	@touch $@
