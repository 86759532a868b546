"""Train the hourly networks again each half-year, and serve them in the roles of those before.

Whether the LSTM becomes the champion is decided by `review`, on the half-year that it has not seen.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime

from tickercast.domain.cards.model_card import HOURLY_KIND, learned_through
from tickercast.jobs.hourly.refresh import next_version, renewed, repointed
from tickercast.jobs.hourly.review import month_before
from tickercast.jobs.training.train_hourly import HALF_YEAR, HourlyTraining
from tickercast.model_store import ModelStore

Train = Callable[[Sequence[str], date], HourlyTraining]
"""Trains and registers the hourly models up to a date: `jobs.training.train_hourly`."""


def retrain_networks(symbols: Sequence[str], *, train: Train, models: ModelStore, now: datetime) -> str:
    """Train the networks without the last half-year, if those that are served learned half a year less.

    Args:
        symbols: the symbols whose bars they learn from.
        train: trains and registers them.
        models: the published models of hourly bars.
        now: the time.

    Returns:
        What was done, or why nothing was.

    Raises:
        TooFewSessions: the source does not reach back far enough.
        UsageError: training is not installed.
        PreconditionFailed: another model has come to be served meanwhile.
        Transient: try again.
    """
    generation, pointer = models.generation(), models.pointer()
    if pointer.returned_in_month(now):
        return "somebody went back to other networks or tables in this month: nothing newer is trained before the next"
    versions = {pointer.name: pointer.version, **{one.name: one.version for one in pointer.served}}
    cards = {name: models.read(name, version).card for name, version in versions.items() if models.versions(name)}
    through = month_before(now) - HALF_YEAR
    networks = [card for card in cards.values() if card.kind == HOURLY_KIND]
    learned = min((learned_through(card) for card in networks), default=through)
    if through - learned < HALF_YEAR:
        return f"the networks learned up to {learned}: nothing was due"
    made = {}
    for bundle in train(symbols, through).bundles:
        card = cards.get(bundle.card.name)
        if card and card.kind == HOURLY_KIND and card.hour_tables:
            version = next_version(models, card.name)
            made[card.name] = renewed(bundle, version, card.hour_tables, card.trained_through)
            models.write(made[card.name])
    models.point(repointed(pointer, made), replacing=generation)
    named = ", ".join(f"{name} {bundle.card.version}" for name, bundle in made.items())
    return f"trained up to {through}: {named}"
