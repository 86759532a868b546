# shellcheck shell=bash
# Sourced by setup.sh: what is made only if it is asked for: MLflow with its database, the dashboard, the API, a budget.

# A database of PostgreSQL that only Cloud Run's own connector reaches; it takes some minutes to make.
make_database() {
  step "database-instance $instance" "database $instance, PostgreSQL on the smallest machine" \
    "${g[@]}" sql instances create "$instance" --database-version=POSTGRES_16 --edition=enterprise --tier=db-f1-micro \
    "--region=$region" --storage-size=10 --storage-auto-increase --backup --connector-enforcement=REQUIRED
}

make_databases() {
  step "database mlflow" "database mlflow" "${g[@]}" sql databases create mlflow "--instance=$instance"
}

make_user() {
  step "database-user mlflow" "user mlflow of that database" make_database_user
}

database_url() {
  echo -n "postgresql://mlflow:$(random_text)@/mlflow?host=/cloudsql/$project:$region:$instance"
}

make_database_user() {
  local url
  url=postgresql://mlflow:PASSWORD@
  [ "$mode" = plan ] || url=$("${g[@]}" secrets versions access latest --secret=tickercast-mlflow-database) || return 1
  url=${url#postgresql://mlflow:}
  "${g[@]}" sql users create mlflow "--instance=$instance" "--password=${url%%@*}"
}

mlflow_settings() {
  cat <<SETTINGS
--region=$region
--service-account=$(account mlflow)
--no-allow-unauthenticated
--set-cloudsql-instances=$project:$region:$instance
--set-env-vars=MLFLOW_ARTIFACTS_DESTINATION=gs://$mlflow_bucket/artifacts
--set-env-vars=MLFLOW_SERVER_ALLOWED_HOSTS=*.run.app
--set-env-vars=MLFLOW_WORKERS=1
--set-secrets=MLFLOW_BACKEND_STORE_URI=tickercast-mlflow-database:latest
--set-secrets=MLFLOW_ADMIN_PASSWORD=tickercast-mlflow-password:latest
--set-secrets=MLFLOW_FLASK_SERVER_SECRET_KEY=tickercast-mlflow-key:latest
--cpu=1
--memory=2Gi
--min-instances=0
--max-instances=1
--cpu-boost
--timeout=300s
SETTINGS
}

deploy_mlflow() {
  step "server tickercast-mlflow $(settings_label mlflow mlflow_settings)" "server tickercast-mlflow, whose callers need a token and a password" \
    deploy mlflow mlflow_settings -- run deploy tickercast-mlflow
}

# IAP lets in whom --with-dashboard names, and the dashboard checks its signature. SETUP_WITH tells a later run whom this
# one let in; the server does not read it.
dashboard_settings() {
  cat <<SETTINGS
--region=$region
--service-account=$(account dashboard)
--no-allow-unauthenticated
--iap
--port=8501
--set-env-vars=TICKERCAST_BUCKET=gs://$data_bucket
--set-env-vars=TICKERCAST_MODEL_BUCKET=gs://$models_bucket
--set-env-vars=TICKERCAST_WAREHOUSE=bigquery://$project/$dataset?location=$region
--set-env-vars=GOOGLE_CLOUD_PROJECT=$project
--set-env-vars=TICKERCAST_IAP_AUDIENCE=/projects/$number/locations/$region/services/tickercast-dashboard
--set-env-vars=TICKERCAST_DASHBOARD_VIEWERS=*
--set-env-vars=SETUP_WITH=$with_dashboard
--cpu=1
--memory=1Gi
--min-instances=0
--max-instances=2
--session-affinity
--timeout=3600s
SETTINGS
}

deploy_dashboard() {
  step "server tickercast-dashboard $(settings_label dashboard dashboard_settings)" "dashboard tickercast-dashboard, behind IAP" \
    deploy dashboard dashboard_settings -- beta run deploy tickercast-dashboard
}

# Whoever may reach it needs a token of its own as well. --no-allow-unauthenticated takes allUsers their permission.
api_settings() {
  local open=--no-allow-unauthenticated
  [ "$with_api" != allUsers ] || open=--allow-unauthenticated
  cat <<SETTINGS
--region=$region
--service-account=$(account api)
$open
--port=8080
--set-env-vars=TICKERCAST_BUCKET=gs://$data_bucket
--set-env-vars=TICKERCAST_MODEL_BUCKET=gs://$models_bucket
--set-env-vars=TICKERCAST_WAREHOUSE=bigquery://$project/$dataset?location=$region
--set-env-vars=GOOGLE_CLOUD_PROJECT=$project
--set-env-vars=SETUP_WITH=$with_api
--cpu=1
--memory=1Gi
--concurrency=40
--min-instances=0
--max-instances=4
--cpu-boost
--timeout=60s
SETTINGS
}

deploy_api() {
  step "server tickercast-api $(settings_label api api_settings)" "API tickercast-api, whose callers need a token" \
    deploy api api_settings -- run deploy tickercast-api
}

# A budget warns at half, at all, and when all is foreseen; it stops nothing.
make_budget() {
  step "budget tickercast $budget" "budget of $budget USD a month, which warns" keep_budget
}

keep_budget() {
  local account known_budget
  local rules=("--budget-amount=${budget}USD" --calendar-period=month)
  account=ACCOUNT
  [ "$mode" = plan ] || account=$("${g[@]}" billing projects describe "$project" '--format=value(billingAccountName)') || return 1
  account=${account#billingAccounts/}
  [ -n "$account" ] || { echo "$project has no billing account. Link one: gcloud billing projects link $project" >&2; return 1; }
  known_budget=$(fact_value budget-name)
  if [ -n "$known_budget" ]; then
    "${g[@]}" billing budgets update "$known_budget" "${rules[@]}"
  else
    "${g[@]}" billing budgets create "--billing-account=$account" --display-name=tickercast "${rules[@]}" \
      "--filter-projects=projects/$project" --threshold-rule=percent=0.5 --threshold-rule=percent=1.0 \
      --threshold-rule=percent=1.0,basis=forecasted-spend
  fi
}
