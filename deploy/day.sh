# shellcheck shell=bash
# Sourced by setup.sh: the day in the cloud: images, jobs, their schedules, the watchlist and the secrets.

make_repository() {
  step "repository tickercast" "repository tickercast of images in $region" \
    "${g[@]}" artifacts repositories create tickercast "--location=$region" --repository-format=docker \
    "--description=Images of tickercast"
}

# build_images: build the images that their content has not been built for; the tag is a digest of that content.
build_images() {
  local target
  for target in "${images[@]}"; do
    step "image $target $(tag_of "$target")" "image tickercast-$target, from dist/images/$target" build_image "$target"
  done
}

tag_of() { if [ -f "dist/images/$1/tag" ] && [ "$source_label" != SOURCE ]; then cat "dist/images/$1/tag"; else echo TAG; fi; }

build_image() {
  local image
  image=$repository/$1:$(tag_of "$1")
  "${g[@]}" builds submit "dist/images/$1/context" --config=deploy/cloudbuild.yaml "--region=$region" --suppress-logs \
    "--service-account=projects/$project/serviceAccounts/$(account builder)" \
    "--gcs-source-staging-dir=gs://$builds_bucket/source" "--substitutions=_TARGET=$1,_IMAGE=$image"
}

# The address of an image by its digest, which nobody can move.
image_of() {
  local digest tag
  tag=$(tag_of "$1")
  if [ "$mode" = plan ]; then echo "$repository/$1@DIGEST"; return; fi
  digest=$(fact_value "digest $1 $tag")
  if [ -z "$digest" ]; then
    digest=$("${g[@]}" artifacts docker images list "$repository/$1" --include-tags "--filter=tags:$tag" '--format=value(version)')
  fi
  [ -n "$digest" ] || { echo "$repository holds no image $1 with the tag $tag. Look at its build in Cloud Build." >&2; return 1; }
  echo "$repository/$1@$digest"
}

# The settings of the jobs, which a laptop needs as well.
environment() {
  cat <<SETTINGS
TICKERCAST_BUCKET=gs://$data_bucket
TICKERCAST_MODEL_BUCKET=gs://$models_bucket
TICKERCAST_WAREHOUSE=bigquery://$project/$dataset?location=$region
TICKERCAST_WATCHLIST=gs://$data_bucket/watchlist.txt
TICKERCAST_HOURLY_WATCHLIST=gs://$data_bucket/hourly.txt
MLFLOW_TRACKING_URI=$(registry_url)
GOOGLE_CLOUD_PROJECT=$project
SETTINGS
}

# The settings of a job; what it runs as is read and tested by its own image.
job_settings() {
  local cpu=2
  [ "$day_memory_gib" -le 8 ] || cpu=4
  [ "$day_memory_gib" -le 16 ] || cpu=8
  cat <<SETTINGS
--region=$region
--service-account=$(account trainer)
--tasks=1
--command=tickercast
SETTINGS
  environment | sed 's/^/--set-env-vars=/'
  case $1 in
    daily) printf '%s\n' --args=daily,--wait=20 "--cpu=$cpu" "--memory=${day_memory_gib}Gi" --task-timeout=6h --max-retries=2 ;;
    watch) printf '%s\n' "--args=alerts,--watchlist=gs://$data_bucket/watchlist.txt,--failures-only$(sends)" --cpu=1 \
      --memory=1Gi --task-timeout=15m --max-retries=1 ;;
    hourly) printf '%s\n' "--args=hourly,$hourly,--wait=120" --cpu=1 --memory=2Gi --task-timeout=20m --max-retries=1 ;;
  esac
  if has_alert_urls; then echo --set-secrets=TICKERCAST_ALERT_URLS=tickercast-alert-urls:latest; fi
  if [ "$1" = daily ] && has_digest_urls; then echo --set-secrets=TICKERCAST_DIGEST_URLS=tickercast-digest-urls:latest; fi
  if has_mlflow; then
    echo --set-env-vars=MLFLOW_TRACKING_USERNAME=admin
    echo --set-secrets=MLFLOW_TRACKING_PASSWORD=tickercast-mlflow-password:latest
  fi
}

sends() { if has_alert_urls; then echo ,--send; fi; }

registry_url() {
  if has_mlflow; then echo "https://tickercast-mlflow-$number.$region.run.app"; else echo bucket://registry/mlflow.db; fi
}

deploy_jobs() {
  local job
  for job in $(jobs); do
    step "job tickercast-$job $(settings_label worker job_settings "$job")" "job tickercast-$job, $(purpose "$job")" deploy_job "$job"
  done
}

purpose() {
  case $1 in
    daily) echo "which runs the day" ;;
    watch) echo "which looks twice a night whether the day arrived" ;;
    hourly) echo "which runs the hour: $hourly" ;;
  esac
}

# settings_label IMAGE COMMAND...: a label that stands for an image and the settings that a command prints.
settings_label() {
  local target=$1
  shift
  { tag_of "$target"; "$@"; } | sha256 | cut -c 1-16
}

deploy_job() {
  deploy worker job_settings "$1" -- run jobs deploy "tickercast-$1"
}

# deploy IMAGE SETTINGS... -- COMMAND...: run a command of gcloud with an image by digest and with settings.
deploy() {
  local target=$1 image setting made=() settings=()
  shift
  while [ "$1" != -- ]; do made+=("$1"); shift; done
  shift
  image=$(image_of "$target") || return 1
  while read -r setting; do settings+=("$setting"); done < <("${made[@]}")
  "${g[@]}" "$@" "--image=$image" "${settings[@]}" "--labels=tickercast-settings=$(settings_label "$target" "${made[@]}")"
}

# The evening: a bar is final some hours after the close. The night: after the day, and before the next one closes.
make_schedules() {
  if wanted schedule; then make_schedule daily "30 18 * * 1-5"; else register_with_prefect; fi
  make_schedule watch "0 3,6 * * *"
  if wanted hourly; then make_schedule hourly "2 * * * *" UTC; fi
  if wanted ai-forecast; then make_ai_forecast; fi
}

# Cloud Scheduler starts the query itself. A newer query is told from the description, since a list has no bodies.
make_ai_forecast() {
  local name=tickercast-ai-forecast how=create headers=--headers label uri
  label=$(ai_forecast | sha256 | cut -c 1-16)
  uri=https://bigquery.googleapis.com/bigquery/v2/projects/$project/jobs
  if known "schedule-job $name"; then how=update headers=--update-headers; fi
  step "schedule $name $late_evening $time_zone $uri $label" \
    "schedule of the query AI.FORECAST: '$late_evening' in $time_zone$(if_paused $name)" \
    resumed $name schedule_query "$how" "$uri" "$headers" "$label"
}

# Some hours after the day, and before the next session closes.
late_evening="30 22 * * 1-5"

ai_forecast() { "$python" deploy/ai_forecast.py "$project" "$dataset" "$region"; }

schedule_query() {
  local how=$1 uri=$2 headers=$3 label=$4
  [ "$mode" = plan ] || ai_forecast >dist/ai-forecast.json || return 1
  "${g[@]}" scheduler jobs "$how" http tickercast-ai-forecast "--location=$region" "--schedule=$late_evening" \
    "--time-zone=$time_zone" "--description=$label" \
    "--uri=$uri" --http-method=POST \
    "$headers=Content-Type=application/json" --message-body-from-file=dist/ai-forecast.json \
    "--oauth-service-account-email=$(account trainer)" --max-retry-attempts=3
}

# make_schedule JOB CRON [TIME_ZONE]: by default that of the exchange.
make_schedule() {
  local name=tickercast-$1 how=create zone=${3-$time_zone} uri
  uri=https://run.googleapis.com/v2/projects/$project/locations/$region/jobs/$name:run
  ! known "schedule-job $name" || how=update
  step "schedule $name $2 $zone $uri" "schedule of $name: '$2' in $zone$(if_paused "$name")" \
    resumed "$name" "${g[@]}" scheduler jobs "$how" http "$name" "--location=$region" "--schedule=$2" "--time-zone=$zone" \
    "--uri=$uri" --http-method=POST "--oauth-service-account-email=$(account scheduler)" --max-retry-attempts=3
}

if_paused() { ! known "paused $1" || echo ", which is paused: resumed"; }

# resumed SCHEDULE COMMAND...: change a schedule, and let it go on if it is paused.
resumed() {
  "${@:2}" || return 1
  ! known "paused $1" || "${g[@]}" scheduler jobs resume "$1" "--location=$region"
}

# The day has one start: its schedule goes once Prefect has the day.
register_with_prefect() {
  local before=$failed
  step "prefect $(settings_label worker job_settings daily)-$time_zone" "deployment daily/evening on the work pool tickercast of $prefect" \
    at_prefect
  [ "$failed" -gt "$before" ] || drop "schedule-job tickercast-daily" "schedule of tickercast-daily, which Prefect starts now: deleted" \
    "${g[@]}" scheduler jobs delete tickercast-daily "--location=$region"
}

at_prefect() {
  local image
  image=$(image_of worker) || return 1
  job_settings daily | "$python" deploy/prefect_pool.py register --url "$prefect" --image "$image" \
    --time-zone "$time_zone" --label "$(settings_label worker job_settings daily)-$time_zone"
}

# The watchlist of a project is its own: only --watchlist replaces one that is there.
put_watchlist() {
  local file=${watchlist:-deploy/config/watchlist.txt} fact
  fact="object watchlist.txt"
  [ -z "$watchlist" ] || fact+=" $(md5 <"$file")"
  step "$fact" "watchlist $file, as gs://$data_bucket/watchlist.txt" \
    "${g[@]}" storage cp "$file" "gs://$data_bucket/watchlist.txt"
}

# The coins that are forecast every hour, for the alerts of all jobs. Only --hourly replaces a list that is there.
put_hourly_watchlist() {
  local coins fact="object hourly.txt"
  coins=$(coins_of_the_hour)
  [ -z "$hourly" ] || fact+=" $(hourly_watchlist | md5)"
  step "$fact" "list of the coins of the hour, as gs://$data_bucket/hourly.txt${coins:+: $coins}" copy_hourly_watchlist
}

copy_hourly_watchlist() {
  [ "$mode" = plan ] || hourly_watchlist >dist/hourly.txt || return 1
  "${g[@]}" storage cp dist/hourly.txt "gs://$data_bucket/hourly.txt"
}

hourly_watchlist() {
  local coins
  coins=$(coins_of_the_hour)
  cat deploy/config/hourly.txt
  [ -z "$coins" ] || echo "${coins//,/ }"
}

# Those of --hourly, or of the job that stays as it is.
coins_of_the_hour() { echo "${hourly:-$(fact_value "option --hourly")}"; }

md5() { "$python" -c 'import base64, hashlib, sys; print(base64.b64encode(hashlib.md5(sys.stdin.buffer.read()).digest()).decode())'; }

make_secrets() {
  if [ -n "$alert_urls" ]; then make_secret alert-urls "the receivers of alerts"; fi
  if [ -n "$digest_urls" ]; then make_secret digest-urls "the receivers of the digest"; fi
  if wanted mlflow; then
    make_secret mlflow-password "the password of MLflow's administrator"
    make_secret mlflow-key "the key of MLflow's forms"
    make_secret mlflow-database "the address of MLflow's database"
  fi
}

make_secret() {
  step "secret tickercast-$1" "secret tickercast-$1, $2" \
    "${g[@]}" secrets create "tickercast-$1" --replication-policy=user-managed "--locations=$region"
}

# What was made here is kept; a file that is given becomes the newest version, unless that holds the same.
fill_secrets() {
  if [ -n "$alert_urls" ]; then fill_from alert-urls "$alert_urls"; fi
  if [ -n "$digest_urls" ]; then fill_from digest-urls "$digest_urls"; fi
  if wanted mlflow; then
    fill_secret mlflow-password random_text
    fill_secret mlflow-key random_text
    fill_secret mlflow-database database_url
  fi
}

fill_secret() {
  step "secret-version tickercast-$1" "content of tickercast-$1" keep_secret "$@"
}

fill_from() {
  local text="content of tickercast-$1, from $2"
  if known "secret-version tickercast-$1" && ! known "secret-content tickercast-$1 $2"; then
    text+=", as a new version"
    ! known "secret-hidden tickercast-$1" || text+=", since the one there may not be read to compare"
  fi
  step "secret-content tickercast-$1 $2" "$text" keep_secret "$1" cat "$2"
}

# Only the newest version is read. Those before hold former receivers and passwords, and can be enabled again.
disable_former() {
  local name number
  for name in alert-urls digest-urls mlflow-database mlflow-password mlflow-key; do
    for number in $(former_versions "$name"); do
      step "secret-disabled tickercast-$name $number" "version $number of tickercast-$name, which a newer one replaces: disabled" \
        "${g[@]}" secrets versions disable "$number" "--secret=tickercast-$name"
    done
  done
}

former_versions() {
  local secret=tickercast-$1
  if is_renewed "$1"; then
    sed -n "s/^secret-newest $secret //p" "$state/facts"
  elif ! known "secret-version $secret"; then
    return
  fi
  sed -n "s/^secret-former $secret //p" "$state/facts"
}

# Whether this run stores a new version.
is_renewed() {
  case $1 in
    alert-urls) [ -n "$alert_urls" ] && ! known "secret-content tickercast-$1 $alert_urls" ;;
    digest-urls) [ -n "$digest_urls" ] && ! known "secret-content tickercast-$1 $digest_urls" ;;
    *) wanted mlflow && ! known "secret-version tickercast-$1" ;;
  esac
}

# keep_secret NAME COMMAND...: what the command prints becomes the secret's content.
keep_secret() {
  local name=$1
  shift
  if [ "$mode" = plan ]; then set -- true; fi
  "$@" | "${g[@]}" secrets versions add "tickercast-$name" --data-file=-
}

random_text() { "$python" -c 'import secrets; print(secrets.token_urlsafe(24), end="")'; }
