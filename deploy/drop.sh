# shellcheck shell=bash
# Sourced by setup.sh: the steps that remove the service. Buckets and dataset stay unless --data is given. Enabled services
# and the roles of Google's own agents always stay, since others in the project may need them.

drop_steps() {
  local name
  stage "schedules, jobs, servers, function and alerts"
  for name in daily watch hourly; do
    drop "schedule-job tickercast-$name" "schedule of tickercast-$name" \
      "${g[@]}" scheduler jobs delete "tickercast-$name" "--location=$region"
    drop "job-name tickercast-$name" "job tickercast-$name" "${g[@]}" run jobs delete "tickercast-$name" "--region=$region"
  done
  drop "schedule-job tickercast-ai-forecast" "schedule of the query AI.FORECAST" \
    "${g[@]}" scheduler jobs delete tickercast-ai-forecast "--location=$region"
  for name in mlflow dashboard api; do
    drop "run tickercast-$name" "server tickercast-$name" "${g[@]}" run services delete "tickercast-$name" "--region=$region"
  done
  drop "function $function" "function $function with its trigger" \
    "${g[@]}" functions delete "$function" --gen2 "--region=$region"
  drop_alert "tickercast: the function fails"
  drop_alert "tickercast: events are put aside"
  drop_alert "tickercast: the day has failed"
  drop_alert "tickercast: the hour has failed"
  drop_alert "tickercast: nothing arrived on a trading day"
  drop "object hourly.txt" "list of the coins of the hour" "${g[@]}" storage rm "gs://$data_bucket/hourly.txt"
  drop_budget
  stage "what was put aside, images, secrets, and permissions"
  drop "subscription $dead_letter" "subscription $dead_letter" "${g[@]}" pubsub subscriptions delete "$dead_letter"
  drop "topic $dead_letter" "topic $dead_letter" "${g[@]}" pubsub topics delete "$dead_letter"
  drop "repository tickercast" "repository tickercast with its images" \
    "${g[@]}" artifacts repositories delete tickercast "--location=$region"
  for name in alert-urls digest-urls; do drop_secret "$name"; done
  drop "bucket $builds_bucket" "bucket $builds_bucket, which holds uploaded sources" \
    "${g[@]}" storage rm --recursive "gs://$builds_bucket"
  revoke_all
  stage "accounts"
  for name in trigger runtime trainer builder scheduler mlflow dashboard api; do
    drop "account $(account "$name")" "account tickercast-$name" \
      "${g[@]}" iam service-accounts delete "$(account "$name")"
  done
  stage "data"
  if [ -n "$data" ]; then drop_data; elif [ "$mode" = plan ]; then
    echo "    kept    buckets, dataset and database with its passwords, with all that they hold; --data deletes them"
  fi
}

# drop FACT TEXT COMMAND...: the opposite of a step, to be done if its fact is known.
drop() {
  local fact=$1
  shift
  if known "$fact"; then step "nothing like $fact" "$@"; fi
}

drop_secret() { drop "secret tickercast-$1" "secret tickercast-$1" "${g[@]}" secrets delete "tickercast-$1"; }

# A step that failed though it was done may have made two of a name.
drop_alert() {
  local id
  for id in $(alert_values name "$1"); do
    drop "alert-name $id $1" "alert '$1'" "${g[@]}" alpha monitoring policies delete "$id"
  done
}

drop_budget() {
  local name
  name=$(fact_value budget-name)
  if [ -n "$name" ]; then
    drop "budget-name $name" "budget tickercast" "${g[@]}" billing budgets delete "$name"
  elif [ -f "$state/budgets.hidden" ] && [ "$mode" = plan ]; then
    echo "    unknown budget tickercast, since the billing account may not be seen: if there is one, it stays. An administrator of the billing account can delete it."
  fi
}

# What was granted on something that goes too goes with it.
revoke_all() {
  local who role on condition _when _why
  while IFS=$'\t' read -r who role on condition _when _why <&3; do
    case $who:$on in *-agent:*) continue ;; *:project | *:data | *:models | *:mlflow | *:mlflow-database | *:mlflow-password | *:mlflow-key | *:dataset) ;; *) continue ;; esac
    drop "grant $(member "$who") $role $on $condition" "$who may no longer ${role#roles/} on $on" \
      bind remove "$who" "$role" "$on" "$condition"
  done 3< <(tail -n +2 deploy/permissions.tsv)
}

drop_data() {
  local use name
  for use in data models mlflow; do
    drop "bucket $project-tickercast-$use" "bucket $project-tickercast-$use with all its objects" \
      "${g[@]}" storage rm --recursive "gs://$project-tickercast-$use"
  done
  drop "dataset $dataset" "dataset $dataset with all its tables" "${b[@]}" rm --recursive --force --dataset "$project:$dataset"
  drop "database-instance $instance" "database $instance with all its tables" "${g[@]}" sql instances delete "$instance"
  stage "passwords of the database, which nobody could set again"
  for name in mlflow-database mlflow-password mlflow-key; do drop_secret "$name"; done
}
