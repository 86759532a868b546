# The commands that people, hooks and CI use; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: nixtla bench-api flow-demo flow-server flow-serve help setup setup-dev demo test quick lint check lock calendars champion function audit licences bench-accuracy bench-drift bench-event bench-faults bench-growth bench-main bench-serving bench-training bench-warehouse bench-cost infra clean mlflow-ui mlflow-server dashboard screenshots bench-dashboard bundles docs site function-bundle champion-hourly bench-models bench-peers bench-answers bench-strategies

PYTHON := .venv/bin/python
CODE := src aws_function cloud_function flows deploy infra tests benchmarks
DATA := prices
HOURS := hours
STATE := $(abspath $(or $(TICKERCAST_HOME),.tickercast))

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

setup: .venv/.light ## Set up the light environment in .venv: everything that a forecast needs

setup-dev: .venv/.dev ## Set up the full environment in .venv: with training, tests and tools

.venv/.light: requirements.txt requirements-uv.txt pyproject.toml setup.sh
	./setup.sh

.venv/.dev: requirements-dev.txt requirements-uv.txt pyproject.toml setup.sh
	./setup.sh dev

demo: setup ## Forecast MSFT from the bundled sample, beside the closes that followed
	$(PYTHON) src/main.py MSFT 2012-08-15 --source sample --actual

# The tests of one file share its servers and models, so one worker runs them all; the longest files come first.
test: setup-dev ## Run every test
	$(PYTHON) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: setup-dev
	.venv/bin/ruff check $(CODE)
	.venv/bin/ruff format --check $(CODE)
	.venv/bin/mypy
	.venv/bin/lint-imports

quick: lint ## Run linters, type checker, import rules, doctests and the quick tests of the domain
	$(PYTHON) -m pytest --numprocesses 2 -q -m "not slow" $$(grep -rl --include='*.py' '>>>' src/tickercast) tests/unit/domain

check: lint ## Run what quick runs, the linters of scripts, the strict build of the site, and every test
	.venv/bin/shellcheck --external-sources --check-sourced setup.sh deploy/mlflow-server.sh deploy/rollout.sh
	.venv/bin/hadolint Dockerfile
	$(MAKE) site
	$(MAKE) test

DEMO := .tickercast/demo
AT_DEMO := TICKERCAST_BUCKET=file://$(DEMO)/bucket TICKERCAST_WAREHOUSE=duckdb://$(DEMO)/warehouse.duckdb \
	MLFLOW_TRACKING_URI=sqlite:///$(DEMO)/mlflow.db

flow-demo: setup-dev $(DEMO)/.champion ## Run one day of the daily flow on the bundled sample: retrain, compare, promote or keep
	$(AT_DEMO) $(PYTHON) flows/daily.py AAPL GOOG IBM MSFT --source sample --as-of 2012-08-15

$(DEMO)/.champion: | .venv/.dev
	$(AT_DEMO) .venv/bin/tickercast train --source sample --through 2008-12-31 --seeds 1
	$(AT_DEMO) .venv/bin/tickercast publish --version 2
	touch $@

FLOW_PORT := 4200
FLOW_HOME := $(STATE)/prefect
FLOW_LOGIN := $(FLOW_HOME)/login

# Whoever may register a deployment runs commands as this user, so the server asks everybody for a login, pages included.
flow-server: setup-dev $(FLOW_LOGIN) ## Serve the Prefect UI at http://127.0.0.1:4200, which flow-serve needs
	@echo "Prefect's pages ask for the text in $(FLOW_LOGIN)"
	@PREFECT_SERVER_API_AUTH_STRING="$$(cat $(FLOW_LOGIN))" PREFECT_SERVER_CSRF_PROTECTION_ENABLED=true \
		PREFECT_SERVER_CORS_ALLOWED_ORIGINS=http://127.0.0.1:$(FLOW_PORT) PREFECT_SERVER_ANALYTICS_ENABLED=false \
		PREFECT_HOME=$(FLOW_HOME) .venv/bin/prefect server start --host 127.0.0.1 --port $(FLOW_PORT)

$(FLOW_LOGIN):
	umask 077 && mkdir -p $(FLOW_HOME) && printf 'admin:%s' "$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(24))')" >$@

flow-serve: setup-dev $(FLOW_LOGIN) ## Run the daily flow every trading evening; needs flow-server
	@PREFECT_API_URL=http://127.0.0.1:$(FLOW_PORT)/api PREFECT_API_AUTH_STRING="$$(cat $(FLOW_LOGIN))" $(PYTHON) flows/daily.py --serve

lock: ## Pin every dependency again, with hashes
	./setup.sh lock

calendars: setup-dev ## Write the sessions of all exchanges again, from the pinned exchange_calendars
	$(PYTHON) -m deploy.calendars

audit: setup-dev ## Check every pinned dependency for known vulnerabilities; needs the network
	.tools/bin/uv tool run pip-audit --strict --require-hashes --disable-pip \
		--requirement requirements.txt --requirement requirements-dev.txt --requirement requirements-uv.txt --requirement requirements-infra.txt --requirement requirements-nixtla.txt

licences: setup-dev ## List the licences of what is shipped, and fail for the GPL and the AGPL
	$(PYTHON) deploy/licences.py

champion-hourly: setup-dev ## Train the shipped models of hourly bars again from the bars in the folder HOURS (hours)
	test -d $(HOURS)
	rm -rf $(foreach name,champion-1h.json har-season ewma-season tickercast-lstm-1h tickercast-plain-1h xgb-direction,src/tickercast/shipped/models/$(name))
	registry=$$(mktemp -d) && export MLFLOW_TRACKING_URI=sqlite:///$$registry/mlflow.db && \
		$(PYTHON) -m tickercast train --every 1h --source $(HOURS) --through 2022-06-30 --out src/tickercast/shipped && \
		$(PYTHON) -m tickercast train --every 1h --direction --trials 25 --source $(HOURS) --through 2022-06-30 --out src/tickercast/shipped; \
		status=$$?; rm -rf "$$registry"; exit $$status

champion: setup-dev ## Train the shipped champion again from the bars and results days in the folder DATA (prices)
	test -d $(DATA)
	rm -rf src/tickercast/shipped/models/champion.json src/tickercast/shipped/models/tickercast-lstm
	registry=$$(mktemp -d) && MLFLOW_TRACKING_URI=sqlite:///$$registry/mlflow.db \
		$(PYTHON) -m tickercast train --source $(DATA) --events $(DATA)/events/results.csv --through 2018-12-31 --hold-out 3 \
			--out src/tickercast/shipped; \
		status=$$?; rm -rf "$$registry"; exit $$status

function: setup ## Serve the forecast function on localhost:8080
	.venv/bin/functions-framework --source cloud_function/main.py --target forecast \
		--signature-type cloudevent --host localhost --port 8080

# Six of the eight processes of an MLflow server would run jobs for language models.
MLFLOW := MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false .venv/bin/mlflow server

mlflow-ui: setup-dev ## Browse trainings and models at http://127.0.0.1:5000
	mkdir -p $(STATE)
	$(MLFLOW) --host 127.0.0.1 --port 5000 --workers 1 \
		--backend-store-uri sqlite:///$(STATE)/mlflow.db --artifacts-destination $(STATE)/mlartifacts

mlflow-server: setup-dev ## Serve MLflow from MLFLOW_BACKEND_STORE_URI and MLFLOW_ARTIFACTS_DESTINATION
	@test -n "$$MLFLOW_BACKEND_STORE_URI" -a -n "$$MLFLOW_ARTIFACTS_DESTINATION" || { \
		echo "MLFLOW_BACKEND_STORE_URI (postgresql://USER:PASSWORD@HOST/DATABASE) and MLFLOW_ARTIFACTS_DESTINATION" \
			"(gs://BUCKET/FOLDER) were needed. Set both." >&2; exit 2; }
	@$(MLFLOW)

dashboard: setup-dev ## Serve the dashboard at http://127.0.0.1:8501: forecasts, track record and operations
	$(PYTHON) -m tickercast dashboard

screenshots: setup-dev ## Take the screenshots of the documentation again; needs /usr/bin/chromium
	$(PYTHON) -m benchmarks.screenshots

function-bundle: setup ## Build dist/function, which Cloud Run installs and runs
	$(PYTHON) deploy/bundle.py function

bundles: function-bundle ## Build the bundles for the containers of Dockerfile and compose.yaml
	$(PYTHON) deploy/bundle.py aws
	$(PYTHON) deploy/bundle.py worker
	$(PYTHON) deploy/bundle.py dashboard
	$(PYTHON) deploy/bundle.py api
	$(PYTHON) deploy/bundle.py mlflow

docs: setup-dev ## Generate the reference pages of docs/ and build the site; recording a deployment needs gcloud
	$(PYTHON) -m deploy.docs
	$(PYTHON) -m deploy.notebook
	if command -v gcloud >/dev/null; then $(PYTHON) -m tests.support.deployment_page; \
		else echo "gcloud was not found, so docs/deployment.md stays as it is"; fi
	$(MAKE) site

site: setup-dev ## Build the documentation into site/; warnings are errors
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

bench-accuracy: setup-dev ## Measure the champion on unseen symbols and dates in the folder DATA (prices)
	$(PYTHON) -m benchmarks.bench_accuracy $(DATA)

bench-answers: setup-dev ## Measure odds, paths and portfolios on unseen symbols and dates in the folder DATA (prices)
	$(PYTHON) -m benchmarks.bench_answers $(DATA)

bench-peers: setup-dev ## Measure the statistical models beside the champion on unseen stocks in the folder DATA (prices)
	$(PYTHON) -m benchmarks.bench_peers $(DATA)

bench-models: setup-dev ## Compare the models of hourly bars, and of their direction, in the folder HOURS (hours)
	$(PYTHON) -m benchmarks.bench_models $(HOURS)

bench-api: setup-dev ## Measure the API beside bare FastAPI and the function, and let two servers race for a quota
	$(PYTHON) -m benchmarks.bench_api

bench-drift: setup-dev ## Count false drift alarms, and the sessions until March 2020 is detected, in the folder DATA (prices)
	$(PYTHON) -m benchmarks.bench_drift $(DATA)

bench-dashboard: setup-dev ## Time the dashboard in a browser with 500 symbols × 20 years; needs /usr/bin/chromium
	$(PYTHON) -m benchmarks.bench_dashboard

bench-faults: setup-dev ## Kill and fail the function in a thousand events, and count lost and duplicate rows
	$(PYTHON) -m benchmarks.bench_faults

bench-main: setup-dev ## Time the main command against the same job with TensorFlow
	$(PYTHON) -m benchmarks.bench_main

bench-serving: setup-dev ## Measure the function, cold, warm and in batches, against TensorFlow and slow models
	$(PYTHON) -m benchmarks.bench_serving

bench-training: setup-dev ## Time the training of five networks on the first 100 stocks in the folder DATA (prices)
	$(PYTHON) -m benchmarks.bench_training $(DATA)

bench-strategies: setup-dev ## Measure strategies after costs, beside zipline, and the direction of Bitcoin in the folder HOURS (hours)
	$(PYTHON) -m benchmarks.bench_strategies $(HOURS)

bench-warehouse: setup-dev ## Time the views on DuckDB with 500 symbols × 20 years and a million forecasts
	$(PYTHON) -m benchmarks.bench_warehouse

bench-event: setup-dev ## Compare an event of 500 symbols with that of an older commit, by turns
	$(PYTHON) -m benchmarks.bench_event

bench-growth: setup-dev ## Handle a year of daily files of 500 symbols, and time the views along the way
	$(PYTHON) -m benchmarks.bench_growth

infra: .infra/installed setup-dev ## Check that infra/, the same as Pulumi resources, makes what setup.sh makes
	$(PYTHON) -m pytest -q tests/e2e/test_infra.py

.infra/installed: requirements-infra.txt | .venv/.light
	.tools/bin/uv venv --quiet --clear --python .venv/bin/python .infra
	.tools/bin/uv pip install --quiet --system-certs --python .infra/bin/python --require-hashes --requirement requirements-infra.txt
	touch $@

nixtla: .nixtla/installed setup-dev ## Check that Nixtla's own client forecasts through the API
	$(PYTHON) -m pytest -q tests/e2e/test_nixtla.py

.nixtla/installed: requirements-nixtla.txt | .venv/.light
	.tools/bin/uv venv --quiet --clear --python .venv/bin/python .nixtla
	.tools/bin/uv pip install --quiet --system-certs --python .nixtla/bin/python --require-hashes --requirement requirements-nixtla.txt
	touch $@

bench-cost: setup-dev ## Count the bytes that BigQuery would bill for a day, a page and a track record, and the bill
	$(PYTHON) -m benchmarks.bench_cost

clean: ## Remove everything that these commands created, including the local bucket and warehouse
	rm -rf .venv .infra .nixtla .tools .tickercast dist site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
