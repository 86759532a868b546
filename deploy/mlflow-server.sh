#!/usr/bin/env bash
# Start the MLflow server of the container, which asks for a password. The first administrator's comes from the
# environment; MLflow reads it from a file, which is created here and readable by this process only.
set -euo pipefail

need() {
  [ -n "${!1-}" ] || { echo "$1 is not set: $2" >&2; exit 2; }
}

need MLFLOW_BACKEND_STORE_URI "name the database: postgresql://USER:PASSWORD@HOST/mlflow"
need MLFLOW_ARTIFACTS_DESTINATION "name where files are kept: gs://BUCKET/mlflow"
need MLFLOW_ADMIN_PASSWORD "choose the password of the user admin, of 12 characters or more"
need MLFLOW_FLASK_SERVER_SECRET_KEY "choose any long random text; it signs the forms of the web page"

# A % begins a reference to another setting in such a file, unless it is doubled.
escaped() { printf '%s' "${1//%/%%}"; }

umask 077
MLFLOW_AUTH_CONFIG_PATH=$(mktemp)
export MLFLOW_AUTH_CONFIG_PATH
cat >"$MLFLOW_AUTH_CONFIG_PATH" <<SETTINGS
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = $(escaped "${MLFLOW_AUTH_DATABASE_URI:-$MLFLOW_BACKEND_STORE_URI}")
admin_username = admin
admin_password = $(escaped "$MLFLOW_ADMIN_PASSWORD")
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
SETTINGS

# The database's address has a password, and arguments are for everybody to read: MLflow takes both from the environment.
export MLFLOW_BACKEND_STORE_URI MLFLOW_ARTIFACTS_DESTINATION
# Most of the processes of an MLflow server would run jobs for language models.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
exec mlflow server \
  --host "${MLFLOW_HOST:-0.0.0.0}" --port "${PORT:-${MLFLOW_PORT:-5000}}" --app-name basic-auth --workers "${MLFLOW_WORKERS:-2}" \
  --allowed-hosts "${MLFLOW_SERVER_ALLOWED_HOSTS:-localhost:*,127.0.0.1:*,mlflow:*}"
