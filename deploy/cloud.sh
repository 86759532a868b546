# shellcheck shell=bash
# Sourced by setup.sh: deploys the service to a Google Cloud project, and removes it.
#
# gather.sh lists the state of the project as facts, the missing steps are planned, and the plan is carried out. Each
# step names the fact that holds once it is done, and is skipped if that fact is listed: the same command continues an
# interrupted run, and a second run changes nothing.

# The environment's Python; before there is one, any that will do, for what needs no packages.
choose_python() {
  python=.venv/bin/python
  [ -x "$python" ] || python=$(find_python)
}

require_tools() {
  local tool
  for tool in gcloud bq; do
    command -v "$tool" >/dev/null || fail "$tool was not found. Install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install"
  done
  "${g[@]}" auth print-access-token >/dev/null 2>&1 || fail "gcloud has no login. Run gcloud auth login, then this again."
}

# Whether there is a login to compare with what exists: a dry run needs none.
has_login() { command -v gcloud >/dev/null && command -v bq >/dev/null && "${g[@]}" auth print-access-token >/dev/null 2>&1; }

known() { grep --quiet --line-regexp --fixed-strings -- "$1" "$state/facts"; }

# forget FACT: it was listed, and a step of this run undoes it.
forget() {
  local kept
  kept=$(grep --invert-match --line-regexp --fixed-strings -- "$1" "$state/facts" || true)
  printf '%s\n' "$kept" >"$state/facts"
}

# The rest of the first fact that begins with these words.
fact_value() { sed -n "s/^$1 //p" "$state/facts" | head -n 1; }

# alert_values KIND NAME: the values of a fact about the alert policies of this name; alert_value: that of the first.
alert_values() { sed -n "s|^alert-$1 \([^ ]*\) $2\$|\1|p" "$state/facts"; }
alert_value() { alert_values "$@" | head -n 1; }

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
    [ -z "$dry_run" ] || show_commands "$@" | sed 's/^/            /'
  fi
}

# show_commands COMMAND...: what a step would run; a function of ours is run with a gcloud and a bq that print.
show_commands() (
  case $(type -t "$1"):$1 in
    function:tickercast | function:at_prefect | file:* | builtin:*) quoted "$@" ;;
    *)
      gcloud() { quoted gcloud "$@"; }
      bq() { quoted bq "$@"; }
      "$@" ;;
  esac
)

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
  create_state
  mode=plan verb=make
  if [ -n "$dry_run" ] && ! has_login; then plan_offline; return; fi
  require_tools
  [ -x .venv/bin/tickercast ] || local_environment light
  choose_python
  bundle
  gather
  refuse_to_drop
  echo "plan for project $project, region $region"
  make_steps
  printf '\n%s steps are done already, %s are to do\n\n' "$there" "$missing"
  estimate
  if [ -n "$dry_run" ]; then permission_table; echo "dry run: nothing was changed"; return; fi
  if [ "$missing" -eq 0 ]; then echo "nothing to do: the project holds all of it"; how_to_use; return; fi
  echo "carrying out"
  mode=apply
  make_steps
  [ "$failed" -eq 0 ] || stop
  echo "$changed changes were made"
  how_to_use
}

# The plan of an empty project, from this checkout alone.
plan_offline() {
  choose_python
  : >"$state/facts"
  memory_mib=$(memory_for "$concurrency" "$max_file_mb")
  source_label=SOURCE
  echo "plan for an empty project $project, region $region: gcloud has no login, so nothing is compared with what exists"
  make_steps
  printf '\n%s steps in all\n\n' "$missing"
  estimate
  permission_table
  echo "dry run: nothing was changed"
}

estimate() {
  local words=(--memory-mib "$memory_mib" --day-memory-gib "$day_memory_gib")
  [ -z "$with_mlflow" ] || words+=(--with-mlflow)
  [ -z "$with_dashboard" ] || words+=(--with-dashboard)
  [ -z "$with_api" ] || words+=(--with-api)
  [ -z "$hourly" ] || words+=("--hourly=$hourly")
  [ -z "$budget" ] || words+=(--budget "$budget")
  "$python" deploy/cost.py "${words[@]}"
  echo
}

permission_table() {
  local who role on condition when why
  echo "who may do what"
  while IFS=$'\t' read -r who role on condition when why <&3; do
    ! wanted "$when" || printf '  %-13s %-34s %-22s %s\n' "$who" "${role#roles/}" "$on$(only "$condition")" "$why"
  done 3< <(tail -n +2 deploy/permissions.tsv)
  echo
}

destroy() {
  read_options "$@"
  set_names
  require_tools
  choose_python
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

how_to_use() {
  local setting
  printf "\nThe service is there. From a laptop with \`gcloud auth application-default login\`:\n"
  while read -r setting; do echo "  export $(quoted "$setting")"; done < <(environment)
  [ "$models" = champion ] || echo "  export TICKERCAST_MODELS=$models"
  if has_mlflow; then how_to_use_mlflow; fi
  cat <<USE
  python src/main.py MSFT 2023-07-22
The day runs at 18:30 in $time_zone on trading days, for the symbols of gs://$data_bucket/watchlist.txt. To run it now:
  gcloud run jobs execute tickercast-daily --project=$project --region=$region
USE
}

how_to_use_mlflow() {
  cat <<USE
  export MLFLOW_TRACKING_USERNAME=admin
  export MLFLOW_TRACKING_PASSWORD="\$(gcloud secrets versions access latest --secret=tickercast-mlflow-password --project=$project)"
MLflow asks for the token of an account as well. For models, train and promote, as who may create tokens of this one:
  gcloud auth application-default login --impersonate-service-account=$(account trainer)
  export GOOGLE_APPLICATION_CREDENTIALS=~/.config/gcloud/application_default_credentials.json
USE
}
