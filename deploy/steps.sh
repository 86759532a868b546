# shellcheck shell=bash
# Sourced by setup.sh: the steps that create the service, in stages; steps of the same stage are independent.

make_steps() {
  stage "services"
  enable_services
  stage "accounts, buckets, dataset, topic"
  make_accounts
  make_buckets
  step "dataset $dataset" "dataset $dataset in $region" \
    "${b[@]}" mk --dataset --description "Prices and forecasts by tickercast" "$project:$dataset"
  step "topic $dead_letter" "topic $dead_letter" "${g[@]}" pubsub topics create "$dead_letter"
  stage "settings, permissions, tables and the champion"
  set_up_buckets
  step "subscription $dead_letter" "subscription $dead_letter, which keeps what was put aside for a week" \
    "${g[@]}" pubsub subscriptions create "$dead_letter" "--topic=$dead_letter" --message-retention-duration=7d --expiration-period=never
  grant_all project data models dataset dead-letter
  step provisioned "tables, views and the shipped champion" tickercast provision
  stage "function"
  step "deployed $function $source_label" "function $function, $memory_mib MiB, from dist/function" deploy_function
  stage "what belongs to the function"
  step "cpu-boost $function" "more CPU while $function starts" \
    "${g[@]}" run services update "$function" "--region=$region" --cpu-boost
  grant_all function subscription
  step "dead-letter $(trigger_subscription) $dead_letter" "what fails a hundred times goes to $dead_letter" put_aside
  make_alert function "tickercast: the function fails"
  make_alert dead-letter "tickercast: events are put aside"
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

make_accounts() {
  local who what
  while IFS=: read -r who what; do
    step "account $(account "$who")" "account tickercast-$who, $what" \
      "${g[@]}" iam service-accounts create "tickercast-$who" "--display-name=tickercast: $what"
  done <<ACCOUNTS
trigger:which calls the function
runtime:which the function runs as
trainer:which the daily flow runs as
builder:which builds the function
ACCOUNTS
}

make_buckets() {
  local use
  for use in data models; do
    step "bucket $project-tickercast-$use" "bucket $project-tickercast-$use in $region" \
      "${g[@]}" storage buckets create "gs://$project-tickercast-$use" "--location=$region" \
      --uniform-bucket-level-access --public-access-prevention
  done
}

set_up_buckets() {
  local use
  for use in data models; do
    step "settings $project-tickercast-$use $use" "$project-tickercast-$use: versions, closed to the public, old objects expire" \
      "${g[@]}" storage buckets update "gs://$project-tickercast-$use" --versioning --uniform-bucket-level-access \
      --public-access-prevention "--lifecycle-file=deploy/config/lifecycle-$use.json"
  done
}

# grant_all RESOURCE...: grant the permissions that permissions.tsv lists for these resources.
grant_all() {
  local who role on condition _why
  while IFS=$'\t' read -r who role on condition _why <&3; do
    case " $* " in *" $on "*)
      step "grant $(member "$who") $role $on $condition" "$who may ${role#roles/} on $on$(only "$condition")" \
        grant "$who" "$role" "$on" "$condition" ;;
    esac
  done 3< <(tail -n +2 deploy/permissions.tsv)
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
  esac
}

# bind add|remove WHO ROLE RESOURCE CONDITION
bind() {
  local how=$1-iam-policy-binding who role=$3 on=$4 binding
  who=$(member "$2")
  binding=("--member=$who" "--role=$role")
  case $on in
    project) "${g[@]}" projects "$how" "$project" "${binding[@]}" "--condition=$(condition "$5")" ;;
    data | models)
      "${g[@]}" storage buckets "$how" "gs://$project-tickercast-$on" "${binding[@]}" "--condition=$(condition "$5")" ;;
    function) "${g[@]}" run services "$how" "$function" "--region=$region" "${binding[@]}" ;;
    dead-letter) "${g[@]}" pubsub topics "$how" "$dead_letter" "${binding[@]}" ;;
    subscription) "${g[@]}" pubsub subscriptions "$how" "$(trigger_subscription)" "${binding[@]}" ;;
    dataset) bind_dataset "$1" "$role" "$who" ;;
  esac
}

bind_dataset() {
  local words=(GRANT TO)
  [ "$1" = add ] || words=(REVOKE FROM)
  "${b[@]}" query --use_legacy_sql=false "${words[0]} \`$2\` ON SCHEMA \`$project\`.$dataset ${words[1]} \"$3\""
}

condition() {
  case $1 in
    quarantine) echo "title=quarantine,expression=resource.name.startsWith(\"projects/_/buckets/$data_bucket/objects/quarantine/\")" ;;
    sources) echo "title=sources,expression=resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-$number-\")" ;;
    -) echo None ;;
  esac
}

# Build the bundle, and the label that identifies it together with its settings.
bundle() {
  .venv/bin/python deploy/bundle.py function
  memory_mib=$(memory_for "$concurrency" "$max_file_mb")
  source_label=$({ cat dist/function/main.py dist/function/requirements.txt; function_settings; } | sha256 | cut -c 1-16)
}

sha256() { .venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'; }

# Measured: 200 MiB, and at most 7 MiB for each MB of the files that are handled at once.
memory_for() {
  local needed=$((200 + $1 * $2 * 7)) size
  for size in 512 1024 2048 4096 8192 16384; do
    if [ "$needed" -le "$size" ]; then echo "$size"; return; fi
  done
  fail "$1 files of $2 MB at once need $needed MiB, and an instance has at most 16384. Lower --concurrency or --max-file-mb."
}

# Cloud Run requires two CPUs above 4 GiB, and four above 8 GiB.
function_settings() {
  local cpu=1
  [ "$memory_mib" -le 4096 ] || cpu=2
  [ "$memory_mib" -le 8192 ] || cpu=4
  cat <<SETTINGS
--gen2
--region=$region
--runtime=python311
--entry-point=forecast
--source=dist/function
--service-account=$(account runtime)
--build-service-account=projects/$project/serviceAccounts/$(account builder)
--trigger-service-account=$(account trigger)
--trigger-location=$(trigger_location)
--trigger-event-filters=type=google.cloud.storage.object.v1.finalized
--trigger-event-filters=bucket=$data_bucket
--retry
--memory=${memory_mib}Mi
--cpu=$cpu
--concurrency=$concurrency
--min-instances=0
--max-instances=$max_instances
--timeout=300s
--ingress-settings=internal-only
--no-allow-unauthenticated
--set-env-vars=TICKERCAST_BUCKET=gs://$data_bucket
--set-env-vars=TICKERCAST_MODEL_BUCKET=gs://$models_bucket
--set-env-vars=TICKERCAST_WAREHOUSE=bigquery://$project/$dataset?location=$region
--set-env-vars=TICKERCAST_MAX_FILE_MB=$max_file_mb
--set-env-vars=TICKERCAST_MAX_EVENT_AGE_H=12
--set-env-vars=GOOGLE_CLOUD_PROJECT=$project
--set-env-vars=THREADS=$concurrency
SETTINGS
}

# A trigger must be in the location of its bucket, which may already exist elsewhere.
trigger_location() {
  local found=
  [ ! -f "$state/facts" ] || found=$(fact_value "location $data_bucket")
  echo "${found:-$region}"
}

deploy_function() {
  local setting settings=()
  while read -r setting; do settings+=("$setting"); done < <(function_settings)
  "${g[@]}" beta services identity create --service=eventarc.googleapis.com &&
    "${g[@]}" functions deploy "$function" "${settings[@]}" "--update-labels=tickercast-source=$source_label"
}

# Eventarc names the subscription after the trigger, whose name the function's deployment generates.
trigger_subscription() {
  local found trigger
  found=$(fact_value trigger-subscription)
  if [ -z "$found" ] && [ "$mode" = apply ]; then
    trigger=$("${g[@]}" functions describe "$function" "--region=$region" '--format=value(eventTrigger.trigger)')
    found=$("${g[@]}" eventarc triggers describe "$trigger" '--format=value(transport.pubsub.subscription)')
    found=${found##*/}
    echo "trigger-subscription $found" >>"$state/facts"
  fi
  echo "${found:-SUBSCRIPTION_OF_THE_TRIGGER}"
}

# With a backoff of at most ten minutes a hundred attempts take sixteen hours; the function itself gives up after twelve.
put_aside() {
  "${g[@]}" pubsub subscriptions update "$(trigger_subscription)" "--dead-letter-topic=$dead_letter" --max-delivery-attempts=100
}

make_alert() {
  local notify=()
  if [ -n "$channel" ]; then notify=("--notification-channels=$channel"); fi
  step "alert $2" "alert '$2'" \
    "${g[@]}" alpha monitoring policies create "--policy-from-file=deploy/config/alert-$1.json" ${notify[@]+"${notify[@]}"}
}
