"""Translation of S3's errors, and of botocore's, to those of tickercast."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import urllib3.exceptions
from botocore import exceptions as boto

from tickercast.backends.object_store import sentences as said
from tickercast.errors import (
    EngineUnusable,
    NotOffered,
    ObjectNotFound,
    PreconditionFailed,
    StoreUnavailable,
    TickercastError,
    UsageError,
)
from tickercast.plain import shortened

_VENDOR_ERRORS = (
    boto.BotoCoreError,
    boto.ClientError,
    urllib3.exceptions.HTTPError,
    ConnectionError,
    TimeoutError,
)

_CODES: Sequence[tuple[str, type[TickercastError], str]] = (
    (
        "ExpiredToken|InvalidToken|InvalidAccessKeyId|SignatureDoesNotMatch|TokenRefreshRequired|ExpiredTokenException",
        EngineUnusable,
        "{url} does not accept the credentials: {message}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY anew, or "
        "run `aws sso login`.",
    ),
    (
        "RequestTimeTooSkewed",
        EngineUnusable,
        "{url} refuses this machine's clock: {message}. Set the clock.",
    ),
    (
        "NoSuchBucket|InvalidBucketName",
        EngineUnusable,
        said.NO_BUCKET,
    ),
    (
        "PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException|301",
        EngineUnusable,
        "{url} is in another region: {message}. Name it behind the bucket: ?region=REGION.",
    ),
    (
        "NoSuchKey|NoSuchVersion|404|405|MethodNotAllowed",
        ObjectNotFound,
        said.NOT_THERE,
    ),
    (
        "PreconditionFailed|412",
        PreconditionFailed,
        said.ANOTHER_GENERATION,
    ),
    (
        "ConditionalRequestConflict|OperationAborted|409",
        StoreUnavailable,
        "{url} was writing {target} for somebody else at the same moment: {message}. Try again.",
    ),
    (
        "SlowDown|Throttling|ThrottlingException|RequestLimitExceeded|TooManyRequests|429",
        StoreUnavailable,
        said.TOO_MANY,
    ),
    (
        "BadDigest|InvalidDigest|XAmzContentSHA256Mismatch|XAmzContentChecksumMismatch|IncompleteBody",
        StoreUnavailable,
        said.DAMAGED,
    ),
    (
        "AccessDenied|AllAccessDisabled|AccountProblem|Forbidden|403|401",
        EngineUnusable,
        "{url} refuses access to {target}: {message}. Allow s3:GetObject, s3:GetObjectVersion, s3:PutObject, "
        "s3:DeleteObject, s3:DeleteObjectVersion, s3:ListBucket, s3:ListBucketVersions and s3:GetBucketVersioning.",
    ),
    (
        "NotImplemented|501",
        NotOffered,
        "{url} does not offer what is needed for {target}: {message}. Use a store that does: docs/object-stores.md.",
    ),
    (
        "RequestTimeout|5..|.*Unavailable|InternalError|InternalServerError",
        StoreUnavailable,
        said.NO_ANSWER,
    ),
    (
        ".*",
        UsageError,
        said.NOT_ACCEPTED,
    ),
)
"""Our error and its text, by the code of S3's answer, or by its status where it has none; the first match counts."""

_CREDENTIALS = (
    "{url} needs valid credentials, and none were found: {message}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "run `aws configure` or `aws sso login`, or give the function a role."
)
_CLASSES: Sequence[tuple[tuple[type[BaseException], ...], type[TickercastError], str]] = (
    (
        (boto.SSLError, boto.ProxyConnectionError, boto.InvalidProxiesConfigError),
        EngineUnusable,
        "{url} cannot be reached safely: {message}. Correct the endpoint or the proxy, or name the certificates in "
        "AWS_CA_BUNDLE.",
    ),
    (
        (
            boto.NoCredentialsError,
            boto.PartialCredentialsError,
            boto.NoAuthTokenError,
            boto.ProfileNotFound,
            boto.SSOError,
            boto.TokenRetrievalError,
            boto.UnknownCredentialError,
            boto.InfiniteLoopConfigError,
            boto.RefreshWithMFAUnsupportedError,
            boto.MissingDependencyException,
            boto.LoginError,
        ),
        EngineUnusable,
        _CREDENTIALS,
    ),
    ((boto.CredentialRetrievalError, boto.MetadataRetrievalError), StoreUnavailable, _CREDENTIALS),
    (
        (
            boto.ChecksumError,
            boto.FlexibleChecksumError,
        ),
        StoreUnavailable,
        said.DAMAGED,
    ),
    (
        (
            boto.ConnectionError,
            boto.HTTPClientError,
            boto.IncompleteReadError,
            boto.CapacityNotAvailableError,
            boto.WaiterError,
            urllib3.exceptions.HTTPError,
            ConnectionError,
            TimeoutError,
        ),
        StoreUnavailable,
        said.NO_ANSWER,
    ),
    (
        (boto.ParamValidationError, boto.ValidationError, boto.UnsupportedS3ControlArnError),
        UsageError,
        said.NOT_ACCEPTED,
    ),
    (
        (boto.BotoCoreError,),
        EngineUnusable,
        "{url} cannot be used as it is configured: {message}. Correct TICKERCAST_BUCKET, or AWS's variables and files.",
    ),
)
"""Our error and its text, by the class of an error that is no answer of S3's; the first match counts."""


@contextmanager
def translated(url: str, target: str) -> Iterator[None]:
    """Raise the vendor errors of the block as errors of tickercast.

    Args:
        url: the bucket, for the message.
        target: the object, for the message.

    Raises:
        EngineUnusable: the bucket is closed to us, until somebody acts.
        ObjectNotFound, PreconditionFailed, UsageError: trying again cannot help.
        StoreUnavailable: trying again may help.
    """
    try:
        yield
    except _VENDOR_ERRORS as error:
        kind, text = _of_code(error) if isinstance(error, boto.ClientError) else _of_class(error)
        raise kind(text.format(url=url, target=target, message=_message(error))) from error


def _of_code(error: boto.ClientError) -> tuple[type[TickercastError], str]:
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    code = error.response.get("Error", {}).get("Code") or status
    if "version id" in _message(error).lower():  # one that the store never gave
        code = "NoSuchVersion"
    for wanted in (code, status):
        for pattern, kind, text in _CODES[:-1]:
            if re.fullmatch(pattern, wanted):
                return kind, text
    return _CODES[-1][1:]


def _of_class(error: BaseException) -> tuple[type[TickercastError], str]:
    return next((kind, text) for types, kind, text in _CLASSES if isinstance(error, types))


def _message(error: BaseException) -> str:
    """The message of an error in one line, without the query of an address."""
    text = str(error)
    if isinstance(error, boto.ClientError):
        found = error.response.get("Error", {})
        text = found.get("Message") or found.get("Code") or text
    return shortened(re.sub(r"\?[^\s\"']*", "", str(text)), 300)
