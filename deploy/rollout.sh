#!/usr/bin/env bash
# Deploy, check, and go back to what ran before if the check fails.
#
#   deploy/rollout.sh --project PROJECT --region REGION [options of ./setup.sh cloud]
#
# The check runs `tickercast doctor` in the new image, as the day's account: every engine has to answer. The function's
# newest revision has to be ready and to get the traffic.
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
revision() { "${g[@]}" run services describe tickercast-forecast "--region=$region" "--format=value($1)" 2>/dev/null || true; }
image() {
  "${g[@]}" run jobs describe "$1" "--region=$region" '--format=value(spec.template.spec.template.spec.containers[0].image)' 2>/dev/null || true
}

check() {
  local newest
  newest=$(revision status.latestCreatedRevisionName)
  [ -n "$newest" ] && [ "$newest" = "$(revision status.latestReadyRevisionName)" ] ||
    { echo "rollout.sh: revision $newest of the function is not ready." >&2; return 1; }
  "${g[@]}" run services update-traffic tickercast-forecast --to-latest "--region=$region" || return 1
  "${g[@]}" run jobs execute tickercast-watch --args=doctor --wait "--region=$region" ||
    { echo "rollout.sh: an engine did not answer to the new image." >&2; return 1; }
}

back() {
  local number
  if [ -n "$before" ]; then
    "${g[@]}" run services update-traffic tickercast-forecast "--to-revisions=$before=100" "--region=$region"
  fi
  for number in "${!jobs[@]}"; do
    [ -z "${images[number]}" ] || "${g[@]}" run jobs update "${jobs[number]}" "--image=${images[number]}" "--region=$region"
  done
}

before=$(revision status.latestReadyRevisionName)
images=("$(image "${jobs[0]}")" "$(image "${jobs[1]}")" "$(image "${jobs[2]}")")
if ./setup.sh cloud "${arguments[@]}" && check; then
  echo "rollout.sh: the new version serves"
  exit
fi
back
if [ -n "$before" ]; then
  echo "rollout.sh: the check failed, and $before serves as before" >&2
else
  echo "rollout.sh: the check failed, and there is no earlier version to go back to" >&2
fi
exit 1
