# shellcheck shell=bash
# Sourced by setup.sh: deploys the function to AWS: an image in ECR, and the stack of deploy/aws.yaml. Safe to repeat.

aws_options() {
  bucket='' region='' warehouse='' google='' access_point='' subnets='' security_groups='' topic='' models=champion
  stack=tickercast memory_mb=1769 max_file_mb=64 max_concurrency=5 dry_run=''
  while [ $# -gt 0 ]; do
    case $1 in
      --bucket) bucket=${2-} ;;
      --region) region=${2-} ;;
      --warehouse) warehouse=${2-} ;;
      --google) google=${2-} ;;
      --access-point) access_point=${2-} ;;
      --subnets) subnets=${2-} ;;
      --security-groups) security_groups=${2-} ;;
      --notify) topic=${2-} ;;
      --models) models=${2-} ;;
      --stack) stack=${2-} ;;
      --memory-mb) memory_mb=${2-} ;;
      --max-file-mb) max_file_mb=${2-} ;;
      --max-concurrency) max_concurrency=${2-} ;;
      --dry-run) dry_run=yes; shift; continue ;;
      *) fail "'$1' was given, and an option of aws was needed: see the head of this file." ;;
    esac
    [ -n "${2-}" ] || fail "$1 was given without a value. Give it one: $1 VALUE."
    shift 2
  done
  check_aws_options
}

check_aws_options() {
  local example='./setup.sh aws --bucket my-bars --region eu-central-1 --warehouse bigquery://PROJECT/DATASET --google FILE'
  [[ $bucket =~ ^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$ ]] ||
    fail "--bucket is '$bucket', and a bucket's name was needed: $example"
  [[ ! $bucket =~ \.\.|^[0-9]+(\.[0-9]+){3}$|^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$ ]] ||
    fail "--bucket is '$bucket', and a name that S3 allows was needed: no two periods together, no IP address, and none of S3's own beginnings and endings, such as xn-- and -s3alias."
  [[ $region =~ ^[a-z]{2}(-[a-z]+)+-[0-9]$ ]] ||
    fail "--region is '$region', and a region of AWS was needed: $example"
  [[ ${#stack} -ge 2 && ${#stack} -le 100 && $stack =~ ^[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*$ ]] ||
    fail "--stack is '$stack', and 2 to 100 letters and digits were needed, a letter first, with single hyphens between: it names a repository of ECR too."
  [[ -z $topic || $topic =~ ^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]+:[A-Za-z0-9_-]+$ ]] ||
    fail "--notify is '$topic', and the ARN of an SNS topic was needed: --notify arn:aws:sns:$region:ACCOUNT:TOPIC"
  [[ $max_concurrency =~ ^([2-9]|[1-9][0-9]{1,2})$ ]] ||
    fail "--max-concurrency is '$max_concurrency', and a whole number from 2 to 999 was needed."
  [[ $memory_mb =~ ^[1-9][0-9]{2,4}$ ]] && [ "$memory_mb" -ge 1024 ] && [ "$memory_mb" -le 10240 ] ||
    fail "--memory-mb is '$memory_mb', and a whole number from 1024 to 10240 was needed."
  [[ $max_file_mb =~ ^[1-9][0-9]{0,3}$ ]] || fail "--max-file-mb is '$max_file_mb', and a whole number from 1 to 9999 was needed."
  local needed
  needed=$(needed_mib 1 "$max_file_mb")
  [ "$needed" -le "$memory_mb" ] ||
    fail "a file of $max_file_mb MB needs $needed MiB, and --memory-mb is $memory_mb. Lower --max-file-mb$([ "$needed" -gt 10240 ] || echo ", or give more: --memory-mb $needed")."
  [[ $models =~ ^champion(,(ewma-t|historical-simulation))*$ ]] ||
    fail "--models is '$models', and champion, with ewma-t or historical-simulation behind commas, was needed: the function has no packages of others."
  case $warehouse in
    bigquery://*/*)
      [ -n "$google" ] || fail "--warehouse is in BigQuery, and --google FILE was needed: the configuration of a workload identity, which holds no key. See docs/aws.md."
      grep --quiet '"external_account"' "$google" 2>/dev/null ||
        fail "$google is no configuration of a workload identity (\"type\": \"external_account\"): one was needed, and no key of a service account. See docs/aws.md." ;;
    duckdb:///mnt/warehouse/?*)
      [[ $access_point =~ ^arn:aws[a-z-]*:elasticfilesystem:.*:access-point/ && -n $subnets && -n $security_groups ]] ||
        fail "--warehouse is a DuckDB file, and --access-point ARN, --subnets and --security-groups of an EFS file system were needed: nothing else of a function is kept." ;;
    *) fail "--warehouse is '$warehouse', and bigquery://PROJECT/DATASET or duckdb:///mnt/warehouse/FILE was needed: $example" ;;
  esac
}

# run COMMAND...: carry a command out, or print it in a dry run.
run() {
  if [ -n "$dry_run" ]; then printf '  %s\n' "$(printf '%q ' "$@" | sed 's/ $//')"; else "$@"; fi
}

aws_resources() {
  awk '/^Resources:/ {on = 1} /^Outputs:/ {on = 0}
       on && /^  [A-Z][A-Za-z]*:$/ {name = $1; sub(":", "", name)}
       on && /^    Type: AWS::/ {printf "  %-28s %s\n", $2, name}' deploy/aws.yaml
}

deploy_to_aws() {
  aws_options "$@"
  local account=ACCOUNT repository tag image parameters
  repository=$(tr '[:upper:]' '[:lower:]' <<<"$stack")
  echo "plan for the stack $stack in $region: an image in the ECR repository $repository, and"
  aws_resources
  if [ -z "$dry_run" ]; then
    local tool
    for tool in aws docker; do command -v "$tool" >/dev/null || fail "$tool was not found. Install it, then run this again."; done
    account=$(aws sts get-caller-identity --query Account --output text) ||
      fail "aws has no valid login. Run aws configure or aws sso login, then this again."
    [ -x .venv/bin/python ] || local_environment light
    echo "carrying out"
  else
    echo "commands"
  fi
  run .venv/bin/python deploy/bundle.py image aws
  tag=TAG
  [ -n "$dry_run" ] || tag=$(cat dist/images/aws/tag)
  if [ -n "$google" ]; then
    run cp "$google" dist/images/aws/context/dist/aws/google.json
    [ -n "$dry_run" ] || tag=$tag-$(sha256sum "$google" | cut -c 1-8)
  fi
  image=$account.dkr.ecr.$region.amazonaws.com/$repository:$tag
  push_image
  parameters=(BucketName="$bucket" ImageUri="$image" Warehouse="$warehouse" Models="$models" MemoryMb="$memory_mb"
              MaxFileMb="$max_file_mb" MaxConcurrency="$max_concurrency" AlarmTopicArn="$topic" AccessPointArn="$access_point"
              Subnets="$subnets" SecurityGroups="$security_groups")
  if [ -n "$google" ]; then
    local project=${warehouse#bigquery://}
    parameters+=(GoogleCredentials=/opt/function/google.json GoogleProject="${project%%/*}")
  fi
  run aws cloudformation deploy --region "$region" --stack-name "$stack" --template-file deploy/aws.yaml \
    --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset --parameter-overrides "${parameters[@]}"
  if [ -n "$dry_run" ]; then echo "dry run: nothing was changed"; return; fi
  next_steps
}

# A DuckDB file is on the file system of the access point alone: provisioned elsewhere, the function would not find it.
next_steps() {
  local check=
  if [ -n "$access_point" ]; then
    check='mountpoint /mnt/warehouse && '
    cat <<USE

On a machine in the network of the file system, with amazon-efs-utils, mount it first:
  sudo mkdir -p /mnt/warehouse
  sudo mount -t efs -o tls,accesspoint=${access_point##*/} \\
    "\$(aws efs describe-access-points --region $region --access-point-id ${access_point##*/} --query 'AccessPoints[0].FileSystemId' --output text)" /mnt/warehouse
USE
  fi
  cat <<USE

Create the tables and the first champion, then ask every engine:
  export TICKERCAST_BUCKET='s3://$bucket?region=$region' TICKERCAST_WAREHOUSE=$warehouse
  ${check}tickercast provision && tickercast doctor
USE
}

# A tag names one content, so an image that is there is not built again.
push_image() {
  if [ -n "$dry_run" ] || ! aws ecr describe-repositories --region "$region" --repository-names "$repository" >/dev/null 2>&1; then
    run aws ecr create-repository --region "$region" --repository-name "$repository" --image-tag-mutability IMMUTABLE \
      --image-scanning-configuration scanOnPush=true
  fi
  if [ -z "$dry_run" ] && aws ecr describe-images --region "$region" --repository-name "$repository" --image-ids "imageTag=$tag" >/dev/null 2>&1; then
    echo "the image $tag is there"
    return
  fi
  if [ -n "$dry_run" ]; then
    echo "  aws ecr get-login-password --region $region | docker login --username AWS --password-stdin ${image%%/*}"
  else
    aws ecr get-login-password --region "$region" | docker login --username AWS --password-stdin "${image%%/*}"
  fi
  # Lambda takes neither an index of images nor attestations.
  run docker build --platform linux/amd64 --provenance=false --target aws --tag "$image" dist/images/aws/context
  run docker push "$image"
}
