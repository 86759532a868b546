# shellcheck shell=bash
# Sourced by setup.sh: lists the resources of the project, several lists at a time, as JSON files and then as facts.

gather() {
  list services "${g[@]}" services list --enabled
  list project "${g[@]}" projects describe "$project"
  wait_for_lists
  number=$(read_json project projectNumber)
  [ -n "$number" ] || fail "$project tells no project number. Check that the project is there and that you may see it."
  gather_lists
  .venv/bin/python deploy/facts.py "$state" >"$state/facts"
  gather_policies
  .venv/bin/python deploy/facts.py "$state" >"$state/facts"
  [ ! -f "$state/provisioned" ] || echo provisioned >>"$state/facts"
}

gather_lists() {
  list_of iam accounts "${g[@]}" iam service-accounts list
  list_of storage buckets "${g[@]}" storage buckets list "--filter=name=$data_bucket OR name=$models_bucket"
  list_of cloudresourcemanager policy-project "${g[@]}" projects get-iam-policy "$project"
  list_of pubsub topics "${g[@]}" pubsub topics list
  list_of pubsub subscriptions "${g[@]}" pubsub subscriptions list
  list_of cloudfunctions functions "${g[@]}" functions list --v2 "--regions=$region" "--filter=name~/$function\$"
  list_of eventarc triggers "${g[@]}" eventarc triggers list --location=-
  list_of run runs "${g[@]}" run services list "--region=$region" "--filter=metadata.name=$function"
  list_of monitoring alerts "${g[@]}" alpha monitoring policies list '--filter=displayName~^tickercast'
  list_of bigquery dataset show_dataset
  wait_for_lists
}

gather_policies() {
  local bucket subscription
  for bucket in data models; do
    known "bucket $project-tickercast-$bucket" || continue
    list "policy-$bucket" "${g[@]}" storage buckets get-iam-policy "gs://$project-tickercast-$bucket"
  done
  if known "topic $dead_letter"; then
    list policy-dead-letter "${g[@]}" pubsub topics get-iam-policy "$dead_letter"
  fi
  if known "run $function"; then
    list policy-function "${g[@]}" run services get-iam-policy "$function" "--region=$region"
  fi
  subscription=$(fact_value trigger-subscription)
  if [ -n "$subscription" ]; then
    list policy-subscription "${g[@]}" pubsub subscriptions get-iam-policy "$subscription"
  fi
  if [ "${mode-}" != drop ] && known "dataset $dataset" && known "bucket $models_bucket"; then
    (tickercast provision --check >/dev/null 2>"$state/provision.log" && touch "$state/provisioned" || true) &
  fi
  wait_for_lists
  wait
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
  .venv/bin/python -c 'import json, sys; print(json.load(open(sys.argv[1])).get(sys.argv[2], ""))' "$state/$1.json" "$2"
}

tickercast() {
  TICKERCAST_BUCKET=gs://$data_bucket TICKERCAST_MODEL_BUCKET=gs://$models_bucket \
    TICKERCAST_WAREHOUSE="bigquery://$project/$dataset?location=$region" .venv/bin/tickercast "$@"
}
