"""Send a file that a person has dropped into the folder of a local bucket."""

from datetime import date

from tickercast.domain import objects
from tickercast.errors import ObjectNotFound
from tickercast.jobs.requests.send_file import Sent, place_file
from tickercast.ports import DropFolder, ObjectStore


def send_drop(name: str, *, drops: DropFolder, store: ObjectStore, today: date) -> Sent | None:
    """Make a dropped file an object, so that an event follows; of several who try, one does.

    A file under `ohlc/` keeps its name, which says its date, and so does one under `events/`. Any other is moved there,
    and sent for today.

    Args:
        name: the path of the file in the folder.
        drops: the folder.
        store: the bucket over the same folder.
        today: the date.

    Returns:
        What was sent; None where the file is gone, or somebody else has sent it.

    Raises:
        UsageError, EngineUnusable: the file cannot be read, or its name cannot be an object's.
        PreconditionFailed: another dropped file is where this one belongs.
        Transient: try again.
    """
    if objects.is_upload(name):
        sent = Sent(name, name, drops.adopt(name, name))
    else:
        try:
            data = drops.read(name)
        except ObjectNotFound:
            return None
        sent = place_file(
            name.rpartition("/")[2],
            data,
            today,
            lambda to, replaced: drops.adopt(name, to, if_generation=replaced),
            store=store,
        )
    return sent if sent.generation else None
