# shellcheck shell=bash
# Sourced by setup.sh: the steps that create the service, in stages; steps of the same stage are independent.

make_steps() {
  # a deployment makes the function's service anew, without what an earlier run has changed of it
  known "deployed $function $source_label" || forget "cpu-boost $function"
  stage "services"
  enable_services
  stage "accounts, buckets, dataset, topic, images' repository, secrets"
  make_accounts
  make_buckets
  step "dataset $dataset" "dataset $dataset in $region" \
    "${b[@]}" mk --dataset --description "Prices and forecasts by tickercast" "$project:$dataset"
  step "topic $dead_letter" "topic $dead_letter" "${g[@]}" pubsub topics create "$dead_letter"
  make_repository
  make_secrets
  if wanted mlflow; then make_database; fi
  stage "settings and permissions"
  set_up_buckets
  step "subscription $dead_letter" "subscription $dead_letter, which keeps what was put aside for a week" \
    "${g[@]}" pubsub subscriptions create "$dead_letter" "--topic=$dead_letter" --message-retention-duration=7d --expiration-period=never
  grant_all project data models builds mlflow dataset dead-letter
  grant_all trigger-account runtime-account trainer-account builder-account scheduler-account mlflow-account dashboard-account api-account
  grant_all alert-urls digest-urls mlflow-database mlflow-password mlflow-key
  end_former_grants
  fill_secrets
  put_watchlist
  put_hourly_watchlist
  if wanted mlflow; then make_databases; fi
  stage "images of the jobs"
  build_images
  if wanted mlflow; then make_user; fi
  stage "tables and the champion"
  make_tables
  stage "function, the day's jobs, and servers"
  step "deployed $function $source_label" "function $function, $memory_mib MiB, from dist/function" deploy_function
  if wanted mlflow; then deploy_mlflow; fi
  if wanted dashboard; then deploy_dashboard; fi
  if wanted api; then deploy_api; fi
  deploy_jobs
  stage "what belongs to the function and to the day"
  step "cpu-boost $function" "more CPU while $function starts" \
    "${g[@]}" run services update "$function" "--region=$region" --cpu-boost
  grant_all function subscription daily watch hourly mlflow-service dashboard-service dashboard-page api-service
  step "dead-letter $(trigger_subscription) $dead_letter 100" "what fails a hundred times goes to $dead_letter" put_aside
  make_schedules
  disable_former
  make_alert function "tickercast: the function fails"
  make_alert dead-letter "tickercast: events are put aside"
  make_alert day "tickercast: the day has failed"
  if wanted hourly; then make_alert hour "tickercast: the hour has failed"; fi
  make_alert watch "tickercast: nothing arrived on a trading day"
  if wanted budget; then make_budget; fi
  if [ "$mode" = plan ]; then name_others; name_former_registry; fi
}

enable_services() {
  local service off=()
  for service in "${services[@]}"; do
    known "service $service.googleapis.com" || off+=("$service.googleapis.com")
  done
  if [ ${#off[@]} -eq 0 ]; then
    step "service run.googleapis.com" "${#services[@]} services" true
  else
    step "services that lack nothing" "${#off[@]} services: ${off[*]%.googleapis.com}" "${g[@]}" services enable "${off[@]}"
  fi
}

# A migration shuts out the version before: so it comes after the images, whose builds may fail, and before the function,
# which would migrate at its first event. rollout.sh reads dist/migrated, which is written before a migration begins.
make_tables() {
  local tables what="tables, views and the shipped champion"
  tables=$(migrates)
  if [ -n "$tables" ]; then
    what+="; $tables: migrated, so that the version before cannot use them: see docs/operations.md, Go back to the version before"
    [ "$mode" = plan ] || echo "$tables" >dist/migrated
  fi
  step provisioned "$what" tickercast provision
}

make_accounts() {
  local who when what
  while IFS=: read -r who when what; do
    ! wanted "$when" || make_account "$who" "$what"
  done <<ACCOUNTS
trigger:-:which calls the function
runtime:-:which the function runs as
trainer:-:which the day runs as
builder:-:which builds the function and the images
scheduler:-:which starts the day
mlflow:mlflow:which MLflow runs as
dashboard:dashboard:which the dashboard runs as
api:api:which the API runs as
ACCOUNTS
}

make_account() {
  local email text="account tickercast-$1, $2" words=(create "tickercast-$1" "--display-name=tickercast: $2")
  email=$(account "$1")
  if known "account $email"; then
    known "active $email" || text+=", which is disabled: enabled again"
    words=(enable "$email")
  fi
  step "active $email" "$text" "${g[@]}" iam service-accounts "${words[@]}"
}

make_buckets() {
  local use
  for use in "${buckets[@]}"; do
    step "bucket $project-tickercast-$use" "bucket $project-tickercast-$use in $region" \
      "${g[@]}" storage buckets create "gs://$project-tickercast-$use" "--location=$region" \
      --uniform-bucket-level-access --public-access-prevention
  done
}

set_up_buckets() {
  local use
  for use in "${buckets[@]}"; do
    step "settings $project-tickercast-$use $use" "$project-tickercast-$use: versions, closed to the public, old objects expire" \
      "${g[@]}" storage buckets update "gs://$project-tickercast-$use" --versioning --uniform-bucket-level-access \
      --public-access-prevention "--lifecycle-file=deploy/config/lifecycle-$use.json"
  done
}

# grant_all RESOURCE...: grant the permissions that permissions.tsv lists for these resources.
grant_all() {
  local who role on condition when _why
  while IFS=$'\t' read -r who role on condition when _why <&3; do
    case " $* " in *" $on "*)
      ! wanted "$when" || step "grant $(member "$who") $role $on $condition" "$who may ${role#roles/} on $on$(only "$condition")" \
        grant "$who" "$role" "$on" "$condition" ;;
    esac
  done 3< <(tail -n +2 deploy/permissions.tsv)
}

# Whom an earlier run let in through --with-dashboard or --with-api may no longer, if this one names somebody else. It comes
# before the servers, whose deployment forgets who that was.
end_former_grants() {
  local who role on condition when former _why
  while IFS=$'\t' read -r who role on condition when _why <&3; do
    case $who in viewer | caller) ;; *) continue ;; esac
    former=$(fact_value "option --with-$when")
    if ! wanted "$when" || [ "$former" = "$(member "$who")" ]; then continue; fi
    drop "grant $former $role $on $condition" "$former may no longer ${role#roles/} on $on" \
      bind remove "$former" "$role" "$on" "$condition"
  done 3< <(tail -n +2 deploy/permissions.tsv)
}

# Name who else has what --with-dashboard, --with-api or --deployer gives: somebody gave it by hand, or an earlier run did
# that left no note of it. It stays.
name_others() {
  local who role on condition when _why fact other held place title
  while IFS=$'\t' read -r who role on condition when _why <&3; do
    case $who in viewer | caller | deployer) wanted "$when" || continue ;; *) continue ;; esac
    while read -r fact other held place title; do
      [ "$fact $held $place $title" = "grant $role $on $condition" ] || continue
      case $other in "$(member "$who")" | "$(fact_value "option --with-$when")") continue ;; esac
      echo "  note   $other has ${role#roles/} on $on, too, and keeps it. To end that:"
      show_commands bind remove "$other" "$role" "$on" "$condition" | sed 's/^/            /'
    done <"$state/facts"
  done 3< <(tail -n +2 deploy/permissions.tsv)
}

# The versions of one registry are unknown to another, whose numbers begin again.
name_former_registry() {
  local former
  former=$(fact_value registry)
  if [ -z "$former" ] || [ "$former" = "$(registry_url)" ]; then return; fi
  echo "  note   the registry moves from $former to $(registry_url), which knows the shipped models alone. The champion serves on; a newly trained version is refused until its number has passed those that are published"
}

only() { [ "$1" = - ] || echo ", only $1"; }

grant() {
  local who=$1 role=$2 on=$3 condition=$4
  create_agent "$who" && bind add "$who" "$role" "$on" "$condition"
}

# Google creates its own agents on the first request for them.
create_agent() {
  case $1 in
    storage-agent) "${g[@]}" storage service-agent ;;
    pubsub-agent) "${g[@]}" beta services identity create --service=pubsub.googleapis.com ;;
    iap-agent) "${g[@]}" beta services identity create --service=iap.googleapis.com ;;
  esac
}

# bind add|remove WHO ROLE RESOURCE CONDITION
bind() {
  local how=$1-iam-policy-binding who role=$3 on=$4 binding
  who=$(member "$2")
  binding=("--member=$who" "--role=$role")
  case $on in
    project) "${g[@]}" projects "$how" "$project" "${binding[@]}" "--condition=$(condition "$5")" ;;
    data | models | builds | mlflow)
      "${g[@]}" storage buckets "$how" "gs://$project-tickercast-$on" "${binding[@]}" "--condition=$(condition "$5")" ;;
    function | mlflow-service | dashboard-service | api-service)
      "${g[@]}" run services "$how" "$(service_of "$on")" "--region=$region" "${binding[@]}" ;;
    dashboard-page)
      "${g[@]}" beta iap web "$how" --resource-type=cloud-run "--region=$region" --service=tickercast-dashboard \
        "${binding[@]}" --condition=None ;;
    daily | watch | hourly) "${g[@]}" run jobs "$how" "tickercast-$on" "--region=$region" "${binding[@]}" ;;
    *-account) "${g[@]}" iam service-accounts "$how" "$(account "${on%-account}")" "${binding[@]}" --condition=None ;;
    alert-urls | digest-urls | mlflow-*) "${g[@]}" secrets "$how" "tickercast-$on" "${binding[@]}" --condition=None ;;
    dead-letter) "${g[@]}" pubsub topics "$how" "$dead_letter" "${binding[@]}" ;;
    subscription) "${g[@]}" pubsub subscriptions "$how" "$(trigger_subscription)" "${binding[@]}" ;;
    dataset) bind_dataset "$1" "$role" "$who" ;;
  esac
}

service_of() { if [ "$1" = function ]; then echo "$function"; else echo "tickercast-${1%-service}"; fi; }

bind_dataset() {
  local words=(GRANT TO)
  [ "$1" = add ] || words=(REVOKE FROM)
  "${b[@]}" query --use_legacy_sql=false "${words[0]} \`$2\` ON SCHEMA \`$project\`.$dataset ${words[1]} \"$3\""
}

condition() {
  case $1 in
    quarantine) echo "title=quarantine,expression=resource.name.startsWith(\"projects/_/buckets/$data_bucket/objects/quarantine/\")" ;;
    prices) echo "title=prices,expression=resource.name.startsWith(\"projects/_/buckets/$data_bucket/objects/ohlc/\")" ;;
    quotas) echo "title=quotas,expression=resource.name.startsWith(\"projects/_/buckets/$models_bucket/objects/access/quota/\")" ;;
    usage) echo "title=usage,expression=resource.name.startsWith(\"projects/$project/datasets/$dataset/tables/usage\")" ;;
    sources) echo "title=sources,expression=resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-$number-\")" ;;
    -) echo None ;;
  esac
}

# make_alert FILE NAME: --notify replaces the channels. Without it those that are there stay, and a new alert goes to those
# of the others.
make_alert() {
  local file=deploy/config/alert-$1.json fact="alert-settings $2" text="alert '$2'" to=$channel id former words
  id=$(alert_value name "$2") former=$(alert_value channels "$2")
  if [ -n "$channel" ]; then
    fact+=" to ${channel##*/}" text+=", to $channel"
    if [ -n "$former" ] && [[ $former == *,* || ${former##*/} != "${channel##*/}" ]]; then text+=" in place of $former"; fi
  elif [ -n "$id" ]; then
    to=$former
  else
    to=$(alert_value channels '.*')
  fi
  if [ -z "$id" ]; then
    words=(create "--policy-from-file=$file" ${to:+"--notification-channels=$to"})
  else
    known "alert-settings $2" || text+=", which is off or differs from $file"
    words=(update "$id" "--policy-from-file=$file" --enabled ${to:+"--set-notification-channels=$to"})
  fi
  step "$fact" "$text" "${g[@]}" alpha monitoring policies "${words[@]}"
}
