# shellcheck shell=bash
# Sourced by setup.sh: the steps that remove the service. Buckets and dataset stay unless --data is given. Enabled services
# and the roles of Google's own agents always stay, since others in the project may need them.

drop_steps() {
  stage "function"
  drop "function $function" "function $function with its trigger" \
    "${g[@]}" functions delete "$function" --gen2 "--region=$region"
  drop_alert "tickercast: the function fails"
  drop_alert "tickercast: events are put aside"
  stage "what was put aside, and permissions"
  drop "subscription $dead_letter" "subscription $dead_letter" "${g[@]}" pubsub subscriptions delete "$dead_letter"
  drop "topic $dead_letter" "topic $dead_letter" "${g[@]}" pubsub topics delete "$dead_letter"
  revoke_all
  stage "accounts"
  local who
  for who in trigger runtime trainer builder; do
    drop "account $(account "$who")" "account tickercast-$who" \
      "${g[@]}" iam service-accounts delete "$(account "$who")"
  done
  stage "data"
  if [ -n "$data" ]; then drop_data; elif [ "$mode" = plan ]; then
    echo "    kept    buckets and dataset, with all that they hold; --data deletes them"
  fi
}

# drop FACT TEXT COMMAND...: the opposite of a step, to be done if its fact is known.
drop() {
  local fact=$1
  shift
  if known "$fact"; then step "nothing like $fact" "$@"; fi
}

drop_alert() {
  local name
  name=$(sed -n "s|^alert-name \([^ ]*\) $1\$|\1|p" "$state/facts" | head -n 1)
  drop "alert $1" "alert '$1'" "${g[@]}" alpha monitoring policies delete "$name"
}

revoke_all() {
  local who role on condition _why
  while IFS=$'\t' read -r who role on condition _why <&3; do
    case $who:$on in *-agent:* | *:function | *:subscription) continue ;; esac
    drop "grant $(member "$who") $role $on $condition" "$who may no longer ${role#roles/} on $on" \
      bind remove "$who" "$role" "$on" "$condition"
  done 3< <(tail -n +2 deploy/permissions.tsv)
}

drop_data() {
  local use
  for use in data models; do
    drop "bucket $project-tickercast-$use" "bucket $project-tickercast-$use with all its objects" \
      "${g[@]}" storage rm --recursive "gs://$project-tickercast-$use"
  done
  drop "dataset $dataset" "dataset $dataset with all its tables" "${b[@]}" rm --recursive --force --dataset "$project:$dataset"
}
