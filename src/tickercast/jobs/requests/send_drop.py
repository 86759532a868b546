"""Send a file that a person has dropped into the folder of a local bucket."""

from datetime import date

from tickercast.domain import objects
from tickercast.jobs.requests.send_file import Sent, send_file
from tickercast.ports import DropFolder, ObjectStore


def send_drop(name: str, *, drops: DropFolder, store: ObjectStore, today: date) -> Sent:
    """Write a dropped file as an object, so that an event follows.

    A file under `ohlc/` keeps its name, which says its date, and so does one under `events/`. Any other is sent for
    today, and removed from there.

    Args:
        name: the path of the file in the folder.
        drops: the folder.
        store: the bucket over the same folder.
        today: the date.

    Raises:
        UsageError: the file is gone, or its name cannot be an object's.
        StoreUnavailable: try again.
    """
    data = drops.read(name)
    if objects.is_upload(name):
        return Sent(name, name, store.write(name, data))
    sent = send_file(name.rpartition("/")[2], data, today, store=store)
    drops.remove(name)
    return sent
