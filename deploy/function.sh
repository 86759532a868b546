# shellcheck shell=bash
# Sourced by setup.sh: the forecast function, its trigger, and what becomes of events that fail.

# Build the bundles, and the labels that identify them together with their settings.
bundle() {
  local target
  TICKERCAST_MODELS=$models "$python" deploy/bundle.py function
  for target in "${images[@]}"; do "$python" deploy/bundle.py image "$target"; done
  memory_mib=$(memory_for "$concurrency" "$max_file_mb")
  source_label=$({ cat dist/function/main.py dist/function/requirements.txt; function_settings; } | sha256 | cut -c 1-16)
}

sha256() { "$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'; }

# needed_mib CONCURRENCY MAX_FILE_MB: measured by `make bench-serving`: 190 MiB, and 6 MiB for each MB of the costliest files
# that are handled at once; here with a margin. The packages of all statistical models take 220 MiB.
needed_mib() {
  local needed=$((200 + $1 * $2 * 7))
  [[ ! ${models-} =~ garch|auto-|prophet ]] || needed=$((needed + 250))
  echo "$needed"
}

memory_for() {
  local needed size
  needed=$(needed_mib "$1" "$2")
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
  [ "$models" = champion ] || echo "--set-env-vars=^;^TICKERCAST_MODELS=$models" # a list, so that gcloud must not split it
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
