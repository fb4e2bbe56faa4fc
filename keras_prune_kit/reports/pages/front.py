"""The HTML page of a search."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from keras_prune_kit.reports.front import ParetoFront, SearchTrial
from keras_prune_kit.reports.pages import charts
from keras_prune_kit.reports.pages.layout import rendered
from keras_prune_kit.reports.printed import Table, shares
from keras_prune_kit.reports.tables import percent

# Those that a search with a hypermodel of the user's own may lack: headings and texts.
_MEASURES = {
    "file_bytes": ("bytes", "{:,.0f}".format),
    "sparsity": ("sparsity", percent),
    "latency_ms": ("ms", "{:.3f}".format),
}


def front_page(front: ParetoFront) -> str:
    """Return the HTML page of a `ParetoFront`."""
    tables = [
        _table("The trials on the front", front, front.points),
        _table("All trials", front, front.trials),
    ]
    return rendered(
        "front.html.jinja",
        title=f"Search: {len(front.trials)} trials",
        front=front,
        chart=Markup(charts.front(front)),
        tables=[Markup(table.html()) for table in tables],
    )


def _table(title: str, front: ParetoFront, trials: Sequence[SearchTrial]) -> Table:
    names = sorted({name for t in front.trials for name in t.hyperparameters})
    columns = ["trial", front.metric, "gzipped", "ratio"]
    measured = [name for name in _MEASURES if any(name in t.measures for t in trials)]
    columns += [_MEASURES[name][0] for name in measured]
    rows = [
        (
            trial.name,
            f"{trial.accuracy:.4f}",
            f"{trial.gzip_bytes:,}",
            f"{front.size_ratio(trial):.2f}x",
            *(_text(trial, name) for name in measured),
            *(trial.settings.get(name, "") for name in names),
        )
        for trial in trials
    ]
    # Only those that are not a hyperparameter's name, too.
    bars = {
        "gzipped": shares([trial.gzip_bytes for trial in trials]),
        "sparsity": [trial.sparsity for trial in trials],
    }
    own = {name: bars[name] for name in bars if name not in names}
    return Table(title, [*columns, *names], rows, own)


def _text(trial: SearchTrial, name: str) -> str:
    value = trial.measures.get(name)
    return "" if value is None else _MEASURES[name][1](value)
