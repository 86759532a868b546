# shellcheck shell=bash
# Sourced by setup.sh: lists the resources of the project, several lists at a time, as JSON files and then as facts.

gather() {
  list services "${g[@]}" services list --enabled
  list project "${g[@]}" projects describe "$project"
  wait_for_lists
  number=$(read_json project projectNumber)
  [ -n "$number" ] || fail "$project tells no project number. Check that the project is there and that you may see it."
  gather_lists
  "$python" deploy/facts.py "$state" >"$state/facts"
  gather_policies
  "$python" deploy/facts.py "$state" >"$state/facts"
  [ ! -f "$state/provisioned" ] || echo provisioned >>"$state/facts"
  [ ! -f "$state/prefect" ] || cat "$state/prefect" >>"$state/facts"
  cat "$state"/content-* >>"$state/facts"
}

gather_lists() {
  list_of iam accounts "${g[@]}" iam service-accounts list
  list_of storage buckets "${g[@]}" storage buckets list "--filter=name~^$project-tickercast-"
  list_of cloudresourcemanager policy-project "${g[@]}" projects get-iam-policy "$project"
  list_of pubsub topics "${g[@]}" pubsub topics list
  list_of pubsub subscriptions "${g[@]}" pubsub subscriptions list
  list_of cloudfunctions functions "${g[@]}" functions list --v2 "--regions=$region" "--filter=name~/$function\$"
  list_of eventarc triggers "${g[@]}" eventarc triggers list --location=-
  list_of run runs "${g[@]}" run services list "--region=$region" '--filter=metadata.name~^tickercast-'
  list_of run jobs "${g[@]}" run jobs list "--region=$region" '--filter=metadata.name~^tickercast-'
  list_of artifactregistry repositories "${g[@]}" artifacts repositories list "--location=$region" '--filter=name~/tickercast$'
  list_of cloudscheduler schedules "${g[@]}" scheduler jobs list "--location=$region"
  list_of secretmanager secrets "${g[@]}" secrets list '--filter=name~/tickercast-'
  list_of monitoring alerts "${g[@]}" alpha monitoring policies list '--filter=displayName~^tickercast'
  list_of sqladmin instances "${g[@]}" sql instances list "--filter=name=$instance"
  list_of bigquery dataset show_dataset
  wait_for_lists
}

# Lists of what is inside of what has been found.
gather_policies() {
  local use subscription secret service
  for use in data models builds mlflow; do
    known "bucket $project-tickercast-$use" || continue
    list "policy-$use" "${g[@]}" storage buckets get-iam-policy "gs://$project-tickercast-$use"
  done
  if known "bucket $data_bucket"; then
    list objects "${g[@]}" storage objects list "gs://$data_bucket/watchlist.txt" "gs://$data_bucket/hourly.txt"
  fi
  if known "topic $dead_letter"; then
    list policy-dead-letter "${g[@]}" pubsub topics get-iam-policy "$dead_letter"
  fi
  for service in function mlflow-service dashboard-service api-service; do
    known "run $(service_of "$service")" || continue
    list "policy-$service" "${g[@]}" run services get-iam-policy "$(service_of "$service")" "--region=$region"
  done
  if known "run tickercast-dashboard"; then
    list policy-dashboard-page "${g[@]}" beta iap web get-iam-policy --resource-type=cloud-run "--region=$region" \
      --service=tickercast-dashboard
  fi
  gather_policies_of_the_day
  subscription=$(fact_value trigger-subscription)
  if [ -n "$subscription" ]; then
    list policy-subscription "${g[@]}" pubsub subscriptions get-iam-policy "$subscription"
  fi
  if known "database-instance $instance"; then
    list databases "${g[@]}" sql databases list "--instance=$instance"
    list database-users "${g[@]}" sql users list "--instance=$instance"
  fi
  compare_secret alert-urls "$alert_urls" &
  compare_secret digest-urls "$digest_urls" &
  gather_budget
  if [ -n "$prefect" ] && [ "${mode-}" != drop ]; then
    "$python" deploy/prefect_pool.py label --url "$prefect" >"$state/prefect" || fail "Nothing was changed."
    echo "prefect $(cat "$state/prefect")" >"$state/prefect"
  fi
  if [ "${mode-}" != drop ] && known "dataset $dataset" && known "bucket $models_bucket"; then
    check_tables &
  fi
  wait_for_lists
  wait
}

# What tickercast provision would do; it answers 1 where it would do anything.
check_tables() {
  local code=0
  tickercast provision --check >"$state/pending" 2>"$state/provision.log" || code=$?
  case $code in
    0) touch "$state/provisioned" ;;
    1) ;;
    *) touch "$state/provision.failed" ;;
  esac
}

# The tables that would be migrated: the version that made them cannot use them then.
migrates() {
  local how name named=
  [ -f "$state/pending" ] || return 0
  while read -r how name; do
    [ "$how" != changed ] || [ ! -f "sql/tables/$name.sql" ] || named+="${named:+, }$name"
  done <"$state/pending"
  echo "$named"
}

gather_policies_of_the_day() {
  local job secret who target
  for job in daily watch hourly; do
    known "job-name tickercast-$job" || continue
    list "policy-$job" "${g[@]}" run jobs get-iam-policy "tickercast-$job" "--region=$region"
  done
  for secret in alert-urls digest-urls mlflow-database mlflow-password mlflow-key; do
    known "secret tickercast-$secret" || continue
    list "policy-$secret" "${g[@]}" secrets get-iam-policy "tickercast-$secret"
    list "versions-$secret" "${g[@]}" secrets versions list "tickercast-$secret"
  done
  if known "repository tickercast"; then
    for target in worker mlflow dashboard api; do
      list "images-$target" "${g[@]}" artifacts docker images list "$repository/$target" --include-tags
    done
  fi
  [ -n "$deployer" ] || return 0
  for who in trigger runtime trainer builder scheduler mlflow dashboard api; do
    known "account $(account "$who")" || continue
    list "policy-$who-account" "${g[@]}" iam service-accounts get-iam-policy "$(account "$who")"
  done
}

# compare_secret NAME FILE: whether the secret holds what the file does. What it holds is neither printed nor kept.
compare_secret() {
  local held
  : >"$state/content-$1"
  if [ -z "$2" ] || ! known "secret tickercast-$1"; then return; fi
  if held=$("${g[@]}" secrets versions access latest "--secret=tickercast-$1" 2>/dev/null </dev/null); then
    [ "$held" != "$(cat "$2")" ] || echo "secret-content tickercast-$1 $2" >"$state/content-$1"
  else
    echo "secret-hidden tickercast-$1" >"$state/content-$1"
  fi
}

# A budget belongs to the billing account, which only its administrators may see. destroy looks for one without --budget,
# too, and goes on where it may not.
gather_budget() {
  local account
  if [ -z "$budget" ] && [ "${mode-}" != drop ]; then return; fi
  if ! known_service billingbudgets || ! known_service cloudbilling; then return; fi
  if ! account=$("${g[@]}" billing projects describe "$project" '--format=value(billingAccountName)' 2>/dev/null); then
    [ -z "$budget" ] || fail "$project does not tell its billing account. Leave --budget out, or get the role Billing Account Viewer."
    touch "$state/budgets.hidden"
  elif [ -n "$account" ]; then
    list budgets list_budgets "${account#billingAccounts/}"
  fi
}

list_budgets() {
  "${g[@]}" billing budgets list "--billing-account=$1" '--filter=displayName=tickercast' "${@:2}" && return
  if [ -n "$budget" ]; then return 1; fi
  touch "$state/budgets.hidden"
}

# list NAME COMMAND...: keep the list of a command as JSON, in the background; at most four run at a time.
list() {
  local name=$1
  shift
  while [ "$(jobs -rp | wc -l)" -ge 4 ]; do sleep 0.05; done
  ("$@" --format=json >"$state/$name.json" 2>"$state/$name.log" </dev/null || touch "$state/$name.failed") &
}

# list_of API NAME COMMAND...: list only if the API is enabled, since the call would be refused otherwise.
list_of() {
  local api=$1
  shift
  if known_service "$api"; then list "$@"; fi
}

known_service() { grep --quiet --fixed-strings "\"name\": \"$1.googleapis.com\"" "$state/services.json"; }

# bq reports a missing dataset on standard output, and has its own form of --format.
show_dataset() {
  "${b[@]}" show --format=json "$project:$dataset" && return
  if grep --quiet 'Not found' "$state/dataset.json"; then : >"$state/dataset.json"; else cat "$state/dataset.json" >&2; return 1; fi
}

wait_for_lists() {
  wait
  local failure
  for failure in "$state"/*.failed; do
    [ -e "$failure" ] || return 0
    fail "$project cannot be listed: $(cat "${failure%.failed}.log")"
  done
}

read_json() {
  "$python" -c 'import json, sys; print(json.load(open(sys.argv[1])).get(sys.argv[2], ""))' "$state/$1.json" "$2"
}

tickercast() {
  TICKERCAST_BUCKET=gs://$data_bucket TICKERCAST_MODEL_BUCKET=gs://$models_bucket TICKERCAST_MODELS=$models \
    TICKERCAST_WAREHOUSE="bigquery://$project/$dataset?location=$region" .venv/bin/tickercast "$@"
}
