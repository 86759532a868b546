# shellcheck shell=bash
# Sourced by setup.sh: deploys the service to a Google Cloud project, and removes it.
#
# gather.sh lists the state of the project as facts, the missing steps are planned, and the plan is carried out. Each
# step names the fact that holds once it is done, and is skipped if that fact is listed: the same command continues an
# interrupted run, and a second run changes nothing.

function=tickercast-forecast dead_letter=tickercast-dead-letter dataset=tickercast
services=(artifactregistry bigquery cloudbuild cloudfunctions cloudresourcemanager eventarc iam logging monitoring
          pubsub run serviceusage storage)

read_options() {
  project='' region='' dry_run='' yes='' data='' channel='' max_file_mb=64 concurrency=4 max_instances=20
  while [ $# -gt 0 ]; do
    case $1 in
      --project) project=${2-} ;;
      --region) region=${2-} ;;
      --notify) channel=${2-} ;;
      --max-file-mb) max_file_mb=${2-} ;;
      --concurrency) concurrency=${2-} ;;
      --max-instances) max_instances=${2-} ;;
      --dry-run) dry_run=yes; shift; continue ;;
      --yes) yes=yes; shift; continue ;;
      --data) data=yes; shift; continue ;;
      *) fail "'$1' was given, and an option was needed: see the head of this file." ;;
    esac
    [ $# -gt 1 ] || fail "$1 was given without a value. Give it one: $1 VALUE."
    shift 2
  done
  [[ $project =~ ^[a-z][a-z0-9-]{4,28}[a-z0-9]$ ]] ||
    fail "--project is '$project', and a project's id was needed: ./setup.sh cloud --project my-project --region europe-west3"
  [[ $region =~ ^[a-z]+-[a-z]+[0-9]+$ ]] ||
    fail "--region is '$region', and a region was needed: ./setup.sh cloud --project my-project --region europe-west3"
  local number
  for number in "$max_file_mb" "$concurrency" "$max_instances"; do
    [[ $number =~ ^[1-9][0-9]{0,3}$ ]] ||
      fail "'$number' was given, and a whole number from 1 to 9999 was needed for --max-file-mb, --concurrency and --max-instances."
  done
}

set_names() {
  g=(gcloud --project "$project" --quiet)
  b=(bq --project_id "$project" --location "$region" --headless --quiet)
  data_bucket=$project-tickercast-data models_bucket=$project-tickercast-models
  source_label=
  require_tools
}

require_tools() {
  local tool
  for tool in gcloud bq; do
    command -v "$tool" >/dev/null || fail "$tool was not found. Install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install"
  done
}

account() { echo "tickercast-$1@$project.iam.gserviceaccount.com"; }

# The IAM member of a name in permissions.tsv.
member() {
  case $1 in
    storage-agent) echo "serviceAccount:service-$number@gs-project-accounts.iam.gserviceaccount.com" ;;
    pubsub-agent) echo "serviceAccount:service-$number@gcp-sa-pubsub.iam.gserviceaccount.com" ;;
    *) echo "serviceAccount:$(account "$1")" ;;
  esac
}

known() { grep --quiet --line-regexp --fixed-strings -- "$1" "$state/facts"; }

# The rest of the first fact that begins with these words.
fact_value() { sed -n "s/^$1 //p" "$state/facts" | head -n 1; }

# step FACT TEXT COMMAND...: plan a step or carry it out, unless its fact is known.
step() {
  local fact=$1 text=$2
  shift 2
  if known "$fact"; then
    there=$((there + 1))
    [ "$mode" = apply ] || echo "  there  $text"
  elif [ "$mode" = apply ]; then
    carry_out "$text" "$@"
  else
    missing=$((missing + 1))
    echo "  $verb   $text"
    [ -z "$dry_run" ] || printf '            %s\n' "$(quoted "$@")"
  fi
}

# stage TITLE: begin a stage, whose steps depend on those of earlier stages only.
stage() {
  [ "$failed" -eq 0 ] || stop
  [ "$mode" = apply ] || printf '\n%s\n' "$1"
}

stop() {
  fail "$failed of the steps above failed, and the steps that need them were skipped. Remove the cause, then run the same command again: it continues from there."
}

carry_out() {
  local text=$1
  shift
  echo "  $verb   $text"
  if attempt "$@"; then
    changed=$((changed + 1))
  else
    failed=$((failed + 1))
    sed 's/^/            /' "$state/log" >&2
  fi
}

# Run a command, and again after a pause if an account or agent is not known everywhere yet, which takes seconds.
attempt() {
  "$@" >"$state/log" 2>&1 </dev/null && return
  grep --quiet -e 'does not exist' -e 'Service Agent' "$state/log" || return 1
  echo "            not known everywhere yet, trying again in ${SETUP_PAUSE_S:-20} s"
  sleep "${SETUP_PAUSE_S:-20}"
  "$@" >"$state/log" 2>&1 </dev/null
}

quoted() {
  local words
  words=$(printf ' %q' "$@")
  echo "${words# }"
}

create_state() {
  state=$(mktemp -d)
  trap 'rm -rf "$state"' EXIT
  there=0 missing=0 changed=0 failed=0
}

cloud() {
  read_options "$@"
  set_names
  [ -x .venv/bin/tickercast ] || local_environment light
  create_state
  bundle
  gather
  verb=make mode=plan
  echo "plan for project $project, region $region"
  make_steps
  printf '\n%s steps are done already, %s are to do\n\n' "$there" "$missing"
  .venv/bin/python deploy/cost.py --memory-mib "$memory_mib"
  budget_hint
  if [ -n "$dry_run" ]; then echo "dry run: nothing was changed"; return; fi
  if [ "$missing" -eq 0 ]; then echo "nothing to do: the project holds all of it"; return; fi
  echo "carrying out"
  mode=apply
  make_steps
  [ "$failed" -eq 0 ] || stop
  echo "$changed changes were made"
  how_to_use
}

destroy() {
  read_options "$@"
  set_names
  create_state
  mode=drop
  gather
  verb=drop mode=plan
  echo "plan to take down project $project, region $region"
  drop_steps
  if [ -n "$dry_run" ]; then echo; echo "dry run: nothing was changed"; return; fi
  if [ "$missing" -eq 0 ]; then echo; echo "nothing to do: the project holds none of it"; return; fi
  confirm
  printf '\ncarrying out\n'
  mode=apply
  drop_steps
  [ "$failed" -eq 0 ] || stop
  echo "$changed changes were made"
}

confirm() {
  [ -z "$yes" ] || return 0
  local answer=
  echo
  printf 'Type the project id to go on: '
  read -r answer || true
  [ "$answer" = "$project" ] || fail "'$answer' was typed, and $project was needed. Nothing was changed. Without a terminal: --yes."
}

budget_hint() {
  cat <<HINT

A budget that warns is made once, by who holds the billing account:
  gcloud billing budgets create --billing-account=ACCOUNT_ID --display-name=tickercast --budget-amount=10USD \\
    --filter-projects=projects/$project --threshold-rule=percent=0.5 --threshold-rule=percent=1.0

HINT
}

how_to_use() {
  cat <<USE

The service is there. From a laptop with \`gcloud auth application-default login\`:
  export TICKERCAST_BUCKET=gs://$data_bucket TICKERCAST_MODEL_BUCKET=gs://$models_bucket
  export TICKERCAST_WAREHOUSE=bigquery://$project/$dataset?location=$region
  python src/main.py MSFT 2023-07-22
USE
}
