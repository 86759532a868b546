# shellcheck shell=bash
# Sourced by setup.sh: the options of `cloud` and `destroy`, and the names that follow from them.

read_options() {
  project='' region='' dry_run='' yes='' data='' channel='' max_file_mb=64 concurrency=3 max_instances=20
  time_zone=America/New_York watchlist='' alert_urls='' digest_urls='' day_memory_gib=8 prefect='' budget='' deployer=''
  with_mlflow='' with_dashboard='' with_api='' with_ai_forecast='' models=champion hourly='' without='' given=' '
  while [ $# -gt 0 ]; do
    given+="$1 "
    case $1 in
      --project) project=${2-} ;;
      --region) region=${2-} ;;
      --notify) channel=${2-} ;;
      --max-file-mb) max_file_mb=${2-} ;;
      --concurrency) concurrency=${2-} ;;
      --max-instances) max_instances=${2-} ;;
      --time-zone) time_zone=${2-} ;;
      --models) models=${2-} ;;
      --watchlist) watchlist=${2-} ;;
      --hourly) hourly=${2-} ;;
      --alert-urls) alert_urls=${2-} ;;
      --digest-urls) digest_urls=${2-} ;;
      --day-memory-gib) day_memory_gib=${2-} ;;
      --prefect) prefect=${2-} ;;
      --budget) budget=${2-} ;;
      --deployer) deployer=${2-} ;;
      --with-dashboard) with_dashboard=${2-} ;;
      --with-api) with_api=${2-} ;;
      --without) without=${2-} ;;
      --with-mlflow) with_mlflow=yes; shift; continue ;;
      --with-ai-forecast) with_ai_forecast=yes; shift; continue ;;
      --dry-run) dry_run=yes; shift; continue ;;
      --yes) yes=yes; shift; continue ;;
      --data) data=yes; shift; continue ;;
      *) fail "'$1' was given, and an option was needed: see the head of this file." ;;
    esac
    [ -n "${2-}" ] || fail "$1 was given without a value. Give it one: $1 VALUE."
    shift 2
  done
  check_options
}

check_options() {
  [[ $project =~ ^[a-z][a-z0-9-]{4,28}[a-z0-9]$ ]] ||
    fail "--project is '$project', and a project's id was needed: ./setup.sh cloud --project my-project --region europe-west3"
  [[ $region =~ ^[a-z]+-[a-z]+[0-9]+$ ]] ||
    fail "--region is '$region', and a region was needed: ./setup.sh cloud --project my-project --region europe-west3"
  local number
  for number in "$max_file_mb" "$concurrency" "$max_instances"; do
    [[ $number =~ ^[1-9][0-9]{0,3}$ ]] ||
      fail "'$number' was given, and a whole number from 1 to 9999 was needed for --max-file-mb, --concurrency and --max-instances."
  done
  local others='ewma-t|historical-simulation|garch|auto-arima|auto-ets|auto-theta|prophet|xgb-direction'
  [[ $models =~ ^champion(,($others))*$ ]] ||
    fail "--models is '$models', and champion was needed, with any of ${others//|/, } behind commas."
  [[ -z $hourly || $hourly =~ ^[A-Z0-9]{2,20}(,[A-Z0-9]{2,20})*$ ]] ||
    fail "--hourly is '$hourly', and coins as Binance spells them were needed, with commas between: --hourly BTCUSDT,ETHUSDT"
  [[ $day_memory_gib =~ ^([1-9]|[12][0-9]|3[0-2])$ ]] ||
    fail "--day-memory-gib is '$day_memory_gib', and a whole number from 1 to 32 was needed."
  [[ -z $budget || $budget =~ ^[1-9][0-9]{0,6}$ ]] ||
    fail "--budget is '$budget', and whole US dollars a month were needed: --budget 40"
  [[ $time_zone =~ ^[A-Z][A-Za-z]+(/[A-Z][A-Za-z_-]+)*$ ]] ||
    fail "--time-zone is '$time_zone', and the exchange's was needed: --time-zone America/New_York"
  choose_python
  known_time_zone ||
    fail "--time-zone is '$time_zone', which the time zone database does not know: the exchange's was needed: --time-zone America/New_York"
  [[ -z $prefect || $prefect =~ ^https?://[^[:space:]]+$ ]] ||
    fail "--prefect is '$prefect', and the URL of a Prefect API was needed: --prefect https://HOST/api"
  [[ -z $deployer || $deployer =~ ^(user|serviceAccount|group):[^[:space:]@,]+@[^[:space:]@,]+$ ]] ||
    fail "--deployer is '$deployer', and who deploys was needed: --deployer serviceAccount:NAME@PROJECT.iam.gserviceaccount.com"
  [[ -z $with_dashboard || $with_dashboard =~ ^((user|group|serviceAccount):[^[:space:]@,]+@[^[:space:]@,]+|domain:[^[:space:]@,]+)$ ]] ||
    fail "--with-dashboard is '$with_dashboard', and who may see it was needed: --with-dashboard group:people@example.org"
  [[ -z $with_api || $with_api == allUsers || $with_api =~ ^((user|group|serviceAccount):[^[:space:]@,]+@[^[:space:]@,]+|domain:[^[:space:]@,]+)$ ]] ||
    fail "--with-api is '$with_api', and who may reach it was needed: --with-api allUsers, or --with-api group:people@example.org"
  local parts='mlflow|dashboard|api|ai-forecast|hourly'
  [[ -z $without || $without =~ ^($parts)(,($parts))*$ ]] ||
    fail "--without is '$without', and any of ${parts//|/, } were needed, with commas between."
  [[ -z $channel || $channel =~ ^projects/[^/,[:space:]]+/notificationChannels/[0-9]+$ ]] ||
    fail "--notify is '$channel', and the name of a notification channel was needed: --notify projects/$project/notificationChannels/ID, as gcloud beta monitoring channels list has it"
  check_given watchlist "$watchlist"
  check_given coins "$hourly"
  check_given receivers "$alert_urls"
  check_given receivers "$digest_urls"
}

# check_given KIND VALUE: refuse a file or list that what is deployed could not use.
check_given() {
  local said
  [ -z "$2" ] || said=$(PYTHONPATH=src "$python" deploy/given.py "$1" "$2") || fail "$said"
}

# Where this machine has no time zone database, any will do.
known_time_zone() {
  "$python" -c 'import sys, zoneinfo; known = zoneinfo.available_timezones(); sys.exit(bool(known) and sys.argv[1] not in known)' "$time_zone"
}

set_names() {
  g=(gcloud --project "$project" --quiet)
  b=(bq --project_id "$project" --location "$region" --headless --quiet)
  function=tickercast-forecast dead_letter=tickercast-dead-letter dataset=tickercast
  data_bucket=$project-tickercast-data models_bucket=$project-tickercast-models builds_bucket=$project-tickercast-builds
  mlflow_bucket=$project-tickercast-mlflow
  repository=$region-docker.pkg.dev/$project/tickercast
  instance=tickercast-mlflow
  services=(artifactregistry bigquery cloudbuild cloudfunctions cloudresourcemanager cloudscheduler eventarc iam logging
            monitoring pubsub run secretmanager serviceusage storage)
  buckets=(data models builds)
  images=(worker)
  if [ -n "$with_mlflow" ]; then services+=(sql-component sqladmin); buckets+=(mlflow); images+=(mlflow); fi
  if [ -n "$with_dashboard" ]; then services+=(iap); images+=(dashboard); fi
  if [ -n "$with_api" ]; then images+=(api); fi
  if [ -n "$budget" ]; then services+=(billingbudgets cloudbilling); fi
  source_label='' number=PROJECT_NUMBER
}

# Refuse a run that would undo an option of the deployed service, or leave a part of it on the version before. facts.py
# lists what is deployed as `option --NAME VALUE`; the value of an option is kept in the variable of its name.
refuse_to_drop() {
  local option value name part dropped='' parts=$without defaults=''
  while read -r option value; do
    name=${option#--} part=${option#--}
    name=${name//-/_} part=${part#with-}
    if [[ $given == *" $option "* || $value = "${!name}" || ,$without, == *,$part,* ]]; then continue; fi
    case $option in
      --with-dashboard | --with-api) [ "$value" != yes ] || value=WHO ;;
      --with-*) value= ;;
    esac
    dropped+=" $option${value:+ $value}"
    case $option in
      --with-* | --hourly) parts+="${parts:+,}$part" ;;
      *) defaults+=" $option ${!name}" ;;
    esac
  done < <(sed -n 's/^option //p' "$state/facts")
  [ -z "$dropped" ] ||
    fail "$project was deployed with$dropped, which this run leaves out. Nothing was changed. Add these options; or, if it is meant, this:${parts:+ --without $parts}$defaults"
}

# Whether something is wanted: "-" always is, anything else by its option. Permissions and resources are listed so.
wanted() {
  case $1 in
    -) return 0 ;;
    mlflow) [ -n "$with_mlflow" ] ;;
    dashboard) [ -n "$with_dashboard" ] ;;
    api) [ -n "$with_api" ] ;;
    hourly) [ -n "$hourly" ] ;;
    alerts) has_alert_urls ;;
    digest) has_digest_urls ;;
    schedule) [ -z "$prefect" ] ;;
    budget) [ -n "$budget" ] ;;
    ai-forecast) [ -n "$with_ai_forecast" ] ;;
    deployer) [ -n "$deployer" ] ;;
    deployer-mlflow) [ -n "$deployer" ] && [ -n "$with_mlflow" ] ;;
    deployer-dashboard) [ -n "$deployer" ] && [ -n "$with_dashboard" ] ;;
    deployer-api) [ -n "$deployer" ] && [ -n "$with_api" ] ;;
  esac
}

# The jobs that are wanted.
jobs() { echo daily watch; if wanted hourly; then echo hourly; fi; }

# A server that --without mlflow leaves as it is keeps the registry: another would begin with the shipped models.
has_mlflow() { wanted mlflow || known "run tickercast-mlflow"; }

has_alert_urls() { [ -n "$alert_urls" ] || known "secret tickercast-alert-urls"; }

has_digest_urls() { [ -n "$digest_urls" ] || known "secret tickercast-digest-urls"; }

account() { echo "tickercast-$1@$project.iam.gserviceaccount.com"; }

# The IAM member of a name in permissions.tsv; one that is given is itself.
member() {
  case $1 in
    storage-agent) echo "serviceAccount:service-$number@gs-project-accounts.iam.gserviceaccount.com" ;;
    pubsub-agent | iap-agent) echo "serviceAccount:service-$number@gcp-sa-${1%-agent}.iam.gserviceaccount.com" ;;
    deployer) echo "$deployer" ;;
    viewer) echo "$with_dashboard" ;;
    caller) echo "$with_api" ;;
    *:* | allUsers) echo "$1" ;;
    *) echo "serviceAccount:$(account "$1")" ;;
  esac
}
