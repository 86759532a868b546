#!/usr/bin/env bash
# Set up the local environment in .venv, or deploy the service to a Google Cloud project; safe to repeat.
#
#   ./setup.sh        the light environment: everything that a forecast needs
#   ./setup.sh dev    the full environment: with training, tests and tools
#   ./setup.sh lock   pins every dependency again, with hashes
#
#   ./setup.sh cloud --project PROJECT --region REGION      prints the plan and its cost, and carries it out
#     --dry-run                                             prints every command, and changes nothing; needs no login
#     --max-file-mb 64 --concurrency 3 --max-instances 20   the load of an instance, which decides its memory
#     --models champion,ewma-t                              the models that forecast every file
#     --notify CHANNEL                                      the notification channel of the alerts
#     --watchlist FILE                                      the symbols of the day; ten large ones by default
#     --hourly BTCUSDT,ETHUSDT                              coins that are forecast every hour, from Binance
#     --time-zone America/New_York                          of the exchange: the day runs at 18:30 there
#     --day-memory-gib 8                                    memory of the day's job
#     --alert-urls FILE                                     the receivers of alerts, kept in Secret Manager
#     --digest-urls FILE                                    the receivers of the day's digest, likewise
#     --with-mlflow                                         an MLflow server with Cloud SQL; else the registry is a file
#     --with-ai-forecast                                    a query each evening that forecasts with BigQuery's AI.FORECAST
#     --with-dashboard group:people@example.org             the dashboard behind IAP, for these people
#     --with-api allUsers                                   the HTTP API, for these people with a token of its own
#     --prefect URL                                         registers the day with that Prefect API instead of a schedule
#     --budget 40                                           a budget in US dollars a month, which warns
#     --deployer serviceAccount:ADDRESS                     lets this account act as the service's accounts, to deploy
#     --without mlflow,hourly                               leaves out what is deployed, where it would be refused; it stays
#                                                           as it is: mlflow, dashboard, api, ai-forecast or hourly
#   ./setup.sh destroy --project PROJECT --region REGION    removes the service; buckets and dataset stay
#     --dry-run  --yes                                      only prints the plan; does not ask
#     --data                                                deletes buckets and dataset too
#
#   ./setup.sh aws --bucket NAME --region REGION --warehouse URL    the function on AWS Lambda, with a bucket and a queue
#     --dry-run                                             prints resources and commands, and changes nothing
#     --google FILE                                         for bigquery://…: the configuration of a workload identity
#     --access-point ARN --subnets IDS --security-groups IDS    for duckdb:///mnt/warehouse/…: a file system of EFS
#     --notify ARN                                          the SNS topic that the alarm goes to
#     --models champion,ewma-t  --max-file-mb 64            as above
#     --memory-mb 1769 --max-concurrency 5 --stack NAME     memory and number of instances, and the stack's name
set -euo pipefail
cd "$(dirname "$0")"

fail() { echo "setup.sh: $*" >&2; exit 2; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "no Python 3.11, 3.12 or 3.13 was found. Install one, or name it: PYTHON=/path/to/python ./setup.sh"
}

make_venv() {
  [ -x .venv/bin/python ] && return
  local python
  python=$(find_python)
  "$python" -m venv .venv || fail "$python could not create .venv. Install its venv module."
}

make_installer() {
  cmp --silent requirements-uv.txt .tools/installed && return
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    --upgrade --target .tools --requirement requirements-uv.txt || fail "uv could not be fetched from the package index. Check the network."
  cp requirements-uv.txt .tools/installed
}

# uv does not read pip's configuration: with an index or a certificate that only pip knows, pip takes over.
install() {
  echo "installing $1"
  .tools/bin/uv pip install --quiet --system-certs --compile-bytecode --python .venv/bin/python --require-hashes --requirement "$1" ||
    { echo "uv could not; trying pip, which takes minutes" >&2
      .venv/bin/python -m pip install --quiet --require-hashes --requirement "$1"; } ||
    fail "$1 could not be installed. Check the network and the package index, then run this again."
  .tools/bin/uv pip install --quiet --offline --python .venv/bin/python --no-deps --no-build-isolation --editable .
  .venv/bin/python -m compileall -q src cloud_function
}

lock() {
  local compile=(.tools/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes
                 --custom-compile-command "make lock")
  "${compile[@]}" --group installer --output-file requirements-uv.txt
  "${compile[@]}" pyproject.toml --extra train --extra flow --extra dashboard --extra peers --extra boost --extra api --extra aws --extra trade --extra tearsheet --group checkout --group dev --output-file requirements-dev.txt
  "${compile[@]}" --group infra --output-file requirements-infra.txt
  "${compile[@]}" --group nixtla --output-file requirements-nixtla.txt
  "${compile[@]}" pyproject.toml --group checkout --constraint requirements-dev.txt --output-file requirements.txt
}

local_environment() {
  make_venv
  make_installer
  case $1 in
    light) install requirements.txt; touch .venv/.light ;;
    dev) install requirements-dev.txt; touch .venv/.light .venv/.dev ;;
    lock) lock ;;
  esac
}

what=${1:-light}
[ $# -eq 0 ] || shift
case $what in
  light | dev | lock) local_environment "$what" ;;
  cloud | destroy)
    # shellcheck source=deploy/options.sh
    source deploy/options.sh
    # shellcheck source=deploy/cloud.sh
    source deploy/cloud.sh
    # shellcheck source=deploy/gather.sh
    source deploy/gather.sh
    # shellcheck source=deploy/steps.sh
    source deploy/steps.sh
    # shellcheck source=deploy/function.sh
    source deploy/function.sh
    # shellcheck source=deploy/day.sh
    source deploy/day.sh
    # shellcheck source=deploy/extras.sh
    source deploy/extras.sh
    # shellcheck source=deploy/drop.sh
    source deploy/drop.sh
    "$what" "$@" ;;
  aws)
    # shellcheck source=deploy/function.sh
    source deploy/function.sh
    # shellcheck source=deploy/aws.sh
    source deploy/aws.sh
    deploy_to_aws "$@" ;;
  *) fail "'$what' was given, and nothing, dev, lock, cloud, destroy or aws was needed." ;;
esac
