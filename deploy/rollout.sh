#!/usr/bin/env bash
# Deploy, check, and go back to what ran before if the check fails, unless tables were migrated.
#
#   deploy/rollout.sh --project PROJECT --region REGION [options of ./setup.sh cloud]
#
# The check runs `tickercast doctor` in the new image, as the day's account: every engine has to answer. The function's
# newest revision has to be ready and to get the traffic. Once tables were migrated there is no way back: the earlier
# version cannot use them.
set -euo pipefail
cd "$(dirname "$0")/.."

project='' region=''
arguments=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --project) project=${2-} ;;
    --region) region=${2-} ;;
  esac
  shift
done
[ -n "$project" ] && [ -n "$region" ] || { echo "rollout.sh: --project and --region were needed: see the head of this file." >&2; exit 2; }
g=(gcloud --project "$project" --quiet)
jobs=(tickercast-daily tickercast-watch tickercast-hourly)

# Nothing is printed for what is not there yet: before a first deployment.
describe() { "${g[@]}" run services describe tickercast-forecast "--region=$region" "$@" 2>/dev/null || true; }
revision() { describe "--format=value($1)"; }
image() {
  "${g[@]}" run jobs describe "$1" "--region=$region" '--format=value(spec.template.spec.template.spec.containers[0].image)' 2>/dev/null || true
}

# REVISION=PERCENT of all that serve, with commas between. The newest that is ready serves where no traffic is stated.
traffic() {
  local stated newest
  stated=$(describe '--flatten=status.traffic[]' '--format=csv[no-heading,separator="="](status.traffic.revisionName,status.traffic.percent)' |
    sed -n '/=[1-9]/p' | paste -sd , -)
  newest=$(revision status.latestReadyRevisionName)
  echo "${stated:-${newest:+$newest=100}}"
}

# Whether every engine answers to the image of the jobs.
answers() { "${g[@]}" run jobs execute tickercast-watch --args=doctor --wait "--region=$region"; }

check() {
  local newest
  newest=$(revision status.latestCreatedRevisionName)
  [ -n "$newest" ] && [ "$newest" = "$(revision status.latestReadyRevisionName)" ] ||
    { echo "rollout.sh: revision $newest of the function is not ready." >&2; return 1; }
  "${g[@]}" run services update-traffic tickercast-forecast --to-latest "--region=$region" || return 1
  answers || { echo "rollout.sh: an engine did not answer to the new image." >&2; return 1; }
}

# Without its label a job is deployed again by the next run, which would take it for done.
back() {
  local number
  "${g[@]}" run services update-traffic tickercast-forecast "--to-revisions=$before" "--region=$region" || return 1
  for number in "${!jobs[@]}"; do
    [ -z "${images[number]}" ] ||
      "${g[@]}" run jobs update "${jobs[number]}" "--image=${images[number]}" --remove-labels=tickercast-settings "--region=$region" ||
      return 1
  done
  is_back=yes
}

before=$(traffic) is_back=
serving=${before//=100/}
images=("$(image "${jobs[0]}")" "$(image "${jobs[1]}")" "$(image "${jobs[2]}")")
rm -f dist/migrated
if ./setup.sh cloud "${arguments[@]}" && check; then
  echo "rollout.sh: the new version serves"
  exit
fi
if [ -z "$before" ]; then
  echo "rollout.sh: the deployment or its check failed, and there is no earlier version to go back to" >&2
elif [ -s dist/migrated ]; then
  echo "rollout.sh: the deployment or its check failed after a migration of $(cat dist/migrated), which $serving cannot use then: nothing was taken back." \
    "Remove the cause and roll out again, or restore the copy of the dataset: docs/operations.md, Go back to the version before." >&2
elif back && answers; then
  echo "rollout.sh: the deployment or its check failed, and $serving serves as before" >&2
elif [ -n "$is_back" ]; then
  echo "rollout.sh: the deployment or its check failed, and $serving serves again, but does not answer either: see the log of tickercast-watch." \
    "If tables were migrated, roll out again: docs/operations.md, Go back to the version before." >&2
else
  echo "rollout.sh: the deployment or its check failed, and not all could be taken back to $serving: see above. Do it by hand: docs/operations.md, Go back to the version before." >&2
fi
exit 1
