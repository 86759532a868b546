"""The forecast function on AWS Lambda: S3's events in, acknowledged or to be delivered again.

S3 calls it by way of a queue, or by itself. Of a batch from a queue only the messages that failed are delivered again
(`batchItemFailures`); a call that is no batch fails as a whole. What goes on failing ends in the dead-letter queue.
"""

import functools
import logging
import time
from typing import Any

from tickercast import engines, logs, memory
from tickercast.app import App, answers
from tickercast.errors import EventUnreadable, TickercastError

log = logging.getLogger("tickercast.function")

memory.share_one_arena()

service = functools.cache(answers.service)
"""The application, opened at the first event: the platform may fork after it has loaded this file."""

_RESERVE_MS = 60_000
"""Time that a message may need; with less left, the rest of a batch is delivered again rather than cut off."""


def handler(event: Any, context: Any) -> dict[str, list[dict[str, str]]]:
    """Forecast every symbol in the files whose uploads the event announces.

    Args:
        event: a notification of S3, by itself or by way of EventBridge, SQS or SNS.
        context: Lambda's; it knows the time that is left.

    Returns:
        The messages of a queue that have to be delivered again.

    Raises:
        Exception: a call that is no batch has to be made again.
    """
    app, failed, begun = service(), [], False
    with logs.fields(trace=getattr(context, "aws_request_id", "")):
        for message in engines.read_s3_event(event):
            if begun and message.item and context.get_remaining_time_in_millis() < _RESERVE_MS:
                failed.append(message.item)
                continue
            begun = True
            try:
                for write in message.writes:
                    _handle(app, write)
            except Exception:  # it is logged
                if not message.item:
                    raise
                failed.append(message.item)
    return {"batchItemFailures": [{"itemIdentifier": item} for item in failed]}


def _handle(app: App, write: Any) -> None:
    if isinstance(write, TickercastError):
        log.error("%s", write)
        if isinstance(write, EventUnreadable):
            raise write
        return
    with logs.fields(event_id=write.event_id):
        answers.answer(app, write, time.perf_counter())
