"""A study begins with the default, resumes where it was, and its recipe can be trained with."""

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tickercast import cli, engines
from tickercast.cli import app
from tickercast.cli import models as commands
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.learning.recipe import Epoch, Recipe, read_recipe, recipe_json
from tickercast.errors import TooFewSessions, UnknownSymbol, UsageError
from tickercast.jobs.training.tune import tune
from tickercast.ports import RunRecord, StudyResult, Trial
from tickercast.show import tables

pytest.importorskip("optuna")

from tickercast.backends.registry import optuna as search_optuna
from tickercast.backends.registry.optuna import NETWORK, OptunaSearch

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

DEFAULT = Recipe(every=3)
THROUGH = date(2023, 7, 14)

Judge = Callable[[Epoch], None]


def epochs(recipe: Recipe, ratio: float) -> Iterator[Epoch]:
    for fold in range(2):
        for number in range(recipe.epochs):
            yield Epoch(fold, fold + 1, (number + 1) / recipe.epochs, ratio, {"val_z_loss": ratio / 4})


def worth(recipe: Recipe) -> float:
    """A simulated loss with its least value elsewhere than at the default."""
    return 0.9 + abs(recipe.dropout - 0.4) / 10 + abs(recipe.units - 48) / 1000


class TrainingSet:
    """Trains nothing: the loss of a recipe is a formula, and training may be interrupted."""

    default = DEFAULT

    def __init__(self, interrupted_at: int = 10**6) -> None:
        self.tried: list[Recipe] = []
        self.interrupted_at = interrupted_at

    def validation_loss(self, recipe: Recipe, seeds: Sequence[int], on_epoch: Judge) -> float:
        if len(self.tried) == self.interrupted_at:
            raise KeyboardInterrupt
        self.tried.append(recipe)
        for epoch in epochs(recipe, worth(recipe)):
            on_epoch(epoch)
        return worth(recipe) / 4


class Tracker:
    """Remembers what is tracked."""

    def __init__(self) -> None:
        self.trials: dict[int, tuple[RunRecord, bool]] = {}
        self.name, self.common, self.results = "", RunRecord(), list[RunRecord]()

    @contextmanager
    def study(self, name: str, record: RunRecord) -> Iterator["Tracker"]:
        self.name, self.common = name, record
        yield self

    def trial(self, number: int, record: RunRecord, *, pruned: bool) -> None:
        self.trials[number] = record, pruned

    def result(self, record: RunRecord) -> None:
        self.results.append(record)


class Source:
    name = "given"

    def __init__(self, series: Sequence[Bars]) -> None:
        self.bars = {bars.symbol: bars for bars in series}

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        found = {symbol: self.bars[symbol] for symbol in symbols if symbol in self.bars}
        return Reading(found, {symbol: UnknownSymbol(symbol) for symbol in symbols if symbol not in found})


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OptunaSearch:
    monkeypatch.setattr(search_optuna, "RANDOM_TRIALS", 3)
    return OptunaSearch(tmp_path / "new" / "tuning.db", NETWORK)


@pytest.fixture
def run(search: OptunaSearch, make_bars: Callable[..., Bars]) -> Callable[..., StudyResult]:
    def run(
        trials: int, training_set: TrainingSet, tracker: Tracker | None = None, seed: int = 7, **more: Any
    ) -> StudyResult:
        return tune(
            Source([make_bars("MSFT", sessions=50, seed=seed)]),
            ["MSFT", "NONE"],
            date(2000, 1, 1),
            THROUGH,
            trials=trials,
            prepare=lambda series, trained_through: training_set,
            search=search,
            tracker=tracker or Tracker(),
            **more,
        )

    return run


def test_the_default_is_tried_first_and_the_best_is_never_worse(run: Callable[..., StudyResult]) -> None:
    training_set = TrainingSet()
    assert run(1, training_set).best.recipe == training_set.tried[0] == DEFAULT
    study = run(5, training_set)
    assert study.default.recipe == DEFAULT
    assert study.best.loss < study.default.loss
    assert all(recipe.every == 3 for recipe in training_set.tried)


def test_trials_of_earlier_calls_count(run: Callable[..., StudyResult]) -> None:
    training_set = TrainingSet()
    assert len(run(3, training_set).trials) == len(training_set.tried) == 3
    assert len(run(5, training_set).trials) == len(training_set.tried) == 5
    assert len(run(4, training_set).trials) == len(training_set.tried) == 5


def test_a_study_whose_time_is_up_ends_with_what_it_has_and_can_be_resumed(run: Callable[..., StudyResult]) -> None:
    training_set = TrainingSet()
    assert len(run(5, training_set, is_over=lambda: len(training_set.tried) >= 2).trials) == 2
    assert len(run(5, training_set).trials) == len(training_set.tried) == 5


def test_other_data_begin_another_study(run: Callable[..., StudyResult]) -> None:
    first, again, other = run(2, TrainingSet()), run(2, TrainingSet()), run(2, TrainingSet(), seed=8)
    assert first == again
    assert first.study != other.study
    assert first.study.startswith("recipe-1-2023-07-14-")


def test_an_interrupted_study_ends_as_one_that_was_not(
    run: Callable[..., StudyResult], tmp_path: Path, search: OptunaSearch
) -> None:
    whole = run(6, TrainingSet())
    search._path = tmp_path / "other.db"
    for interrupted_at in (0, 3):
        with pytest.raises(KeyboardInterrupt):
            run(6, TrainingSet(interrupted_at))
    parts = run(6, TrainingSet())
    assert [(trial.recipe, trial.loss) for trial in parts.trials] == [
        (trial.recipe, trial.loss) for trial in whole.trials
    ]


def test_a_trial_that_was_killed_blocks_nothing_and_is_tried_again(search: OptunaSearch) -> None:
    search._path.parent.mkdir()
    killed = search._open("study")
    killed.enqueue_trial({"units": 8})
    killed.ask()
    assert [trial.recipe for trial in search.run("study", DEFAULT, attempt(TrainingSet()), trials=1)] == [DEFAULT]
    assert [trial.state.name for trial in search._open("study").trials] == ["FAIL", "COMPLETE"]


def attempt(training_set: TrainingSet) -> Callable[[int, Recipe, Judge], float]:
    return lambda number, recipe, judge: training_set.validation_loss(recipe, (1, 2), judge)


def test_only_one_process_at_a_time_runs_studies(search: OptunaSearch) -> None:
    running = search.run("study", DEFAULT, attempt(TrainingSet()), trials=2)
    next(running)
    with pytest.raises(UsageError, match="in use by another"):
        next(search.run("study", DEFAULT, attempt(TrainingSet()), trials=2))
    running.close()
    assert len(list(search.run("study", DEFAULT, attempt(TrainingSet()), trials=2))) == 2


def test_a_file_that_holds_no_studies_is_refused(search: OptunaSearch) -> None:
    search._path.parent.mkdir()
    search._path.write_bytes(b"this is no database" * 100)
    with pytest.raises(UsageError, match="Move the file away"):
        next(search.run("study", DEFAULT, attempt(TrainingSet()), trials=1))


def test_what_promises_nothing_is_pruned_and_marked(run: Callable[..., StudyResult]) -> None:
    tracker, done = Tracker(), list[float]()
    study = run(12, TrainingSet(), tracker, on_progress=lambda share, study: done.append(share))
    pruned = [trial for trial in study.trials if trial.loss is None]
    assert 0 < len(pruned) == study.pruned < 9
    assert all(worth(trial.recipe) / 4 > study.best.loss for trial in pruned)
    for trial in study.trials:
        record, marked = tracker.trials[trial.number]
        assert marked == (trial.loss is None)
        assert record.parameters == asdict(trial.recipe)
        assert record.metrics == ({} if marked else {"validation_sp": trial.loss})
        assert len(record.curves["seed_1/val_z_loss"]) <= trial.recipe.epochs
    assert done == sorted(done)
    assert done[-1] == 12


def test_the_tracker_is_given_the_data_and_the_result(run: Callable[..., StudyResult]) -> None:
    tracker = Tracker()
    study = run(3, TrainingSet(), tracker)
    assert tracker.name == study.study
    assert tracker.common.datasets["training"].symbols == ("MSFT",)
    assert tracker.common.datasets["training"].last == THROUGH
    (result,) = tracker.results
    assert result.metrics["validation_sp"] == study.best.loss
    assert result.metrics["validation_sp_default"] == study.default.loss
    assert read_recipe(result.artifacts["recipe.json"]) == study.best.recipe


def test_a_loss_that_is_no_number_is_pruned(run: Callable[..., StudyResult]) -> None:
    class Diverging(TrainingSet):
        def validation_loss(self, recipe: Recipe, seeds: Sequence[int], on_epoch: Judge) -> float:
            return super().validation_loss(recipe, seeds, on_epoch) if recipe == DEFAULT else float("nan")

    assert run(3, Diverging()).pruned == 2


def test_symbols_that_the_source_lacks_are_reported_and_none_at_all_is_refused(
    run: Callable[..., StudyResult], search: OptunaSearch
) -> None:
    failed: list[str] = []
    run(1, TrainingSet(), on_failure=lambda symbol, reason: failed.append(symbol))
    assert failed == ["NONE"]
    with pytest.raises(TooFewSessions, match="given gave no bars of NONE"):
        tune(
            Source([]),
            ["NONE"],
            THROUGH,
            THROUGH,
            trials=1,
            prepare=lambda series, trained_through: pytest.fail("prepared"),
            search=search,
            tracker=Tracker(),
        )


def test_a_study_is_shown_as_a_table_of_what_differs() -> None:
    from rich.console import Console

    study = StudyResult(
        "recipe-1", [Trial(0, DEFAULT, 0.25), Trial(2, replace(DEFAULT, units=48, rate=0.00123456), 0.24)]
    )
    console = Console(width=100, record=True)
    console.print(tables.study_table(study))
    text = console.export_text()
    assert "0.25000" in text
    assert "0.24000" in text
    assert "0.001235" in text
    assert "hidden" not in text
    assert tables.study_line(study) == "trials, best loss 0.24000 (tuned)"


# ---------------------------------------------------------------- the command


def test_the_command_tunes_writes_a_recipe_and_resumes_after_ctrl_c(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow")
    training_set = TrainingSet(interrupted_at=2)
    monkeypatch.setattr(engines, "prepare", lambda: lambda series, trained_through: training_set)
    command = ["tune", "MSFT", "--source", "sample", "--trials", "3", "--out", "made/recipe.json"]
    with pytest.raises(SystemExit) as stopped:
        cli.run(command)
    assert stopped.value.code == 130
    said = capsys.readouterr().err
    kept = Path(".tickercast/tuning.db").absolute()
    assert f"Interrupted. The finished trials are kept in sqlite:///{kept}" in said
    assert "the same command resumes the search" in said
    assert not Path("made").exists()
    training_set.interrupted_at = 10**6
    finished = CliRunner().invoke(app, command)
    assert finished.exit_code == 0, finished.output
    assert "3 trials, 0 pruned" in finished.stdout
    assert "tickercast train --recipe made/recipe.json" in finished.stdout
    best = min(training_set.tried, key=worth)
    assert read_recipe(Path("made/recipe.json").read_bytes()) == best
    assert len(training_set.tried) == 3


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ('{"rate": 5}', "The recipe's rate is 5")])
def test_train_refuses_a_wrong_recipe_before_anything_else(workspace: Path, content: str | None, said: str) -> None:
    if content:
        Path("recipe.json").write_text(content)
    refused = CliRunner().invoke(app, ["train", "--source", "sample", "--recipe", "recipe.json"])
    assert isinstance(refused.exception, UsageError)
    assert said in str(refused.exception)


# ---------------------------------------------------------------- the recipe's file


def test_a_recipe_survives_its_file() -> None:
    recipe = Recipe(units=48, rate=1.5e-3, every=3)
    assert read_recipe(recipe_json(recipe).encode()) == recipe
    assert set(json.loads(recipe_json(recipe))) == set(asdict(Recipe()))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b'{"rate": 5}', "The recipe's rate is 5: it should be less than or equal to 0.1."),
        (b'{"units": "32"}', "The recipe's units is '32': it should be a valid integer."),
        (b'{"units": true}', "The recipe's units is True: it should be a valid integer."),
        (b'{"unitss": 32}', "'unitss' is not a field of a recipe: did you mean units?"),
        (b'{"dropout": NaN}', "The recipe's dropout is nan: it should be a finite number."),
        (b"[1]", "A recipe is a JSON object"),
        (b"not json", "A recipe is a JSON object"),
        (b"\xff\xfe", "A recipe is a JSON object"),
    ],
)
def test_a_wrong_recipe_is_refused_with_a_sentence(text: bytes, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_recipe(text)
    assert str(refused.value).startswith(sentence)


def test_every_wrong_field_has_its_sentence() -> None:
    with pytest.raises(UsageError) as refused:
        read_recipe(b'{"rate": 5, "units": 0, "unknown": 1}')
    assert str(refused.value).count("The recipe's") == 2
    assert "'unknown' is not a field" in str(refused.value)


def test_ctrl_c_is_heeded_between_epochs_and_a_second_one_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    reached: list[int] = []

    def search(presses: int) -> None:
        with commands._resumable("sqlite:///x.db") as end_if_asked:
            end_if_asked()
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)
            reached.append(presses)
            end_if_asked()
            reached.append(0)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        for presses in (1, 2):
            with pytest.raises(KeyboardInterrupt):
                search(presses)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert reached == [1]
    assert "Ending after this epoch" in capfd.readouterr().err
