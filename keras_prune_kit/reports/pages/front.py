"""The HTML page of a search."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from keras_prune_kit.reports.front import ParetoFront, SearchTrial
from keras_prune_kit.reports.pages import charts
from keras_prune_kit.reports.pages.layout import rendered
from keras_prune_kit.reports.printed import Table, shares
from keras_prune_kit.reports.tables import percent


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
    columns = ["trial", front.metric, "gzipped", "ratio", "bytes", "sparsity", "ms"]
    rows = [
        (
            trial.name,
            f"{trial.accuracy:.4f}",
            f"{trial.gzip_bytes:,}",
            f"{front.size_ratio(trial):.2f}x",
            f"{trial.measures['file_bytes']:,.0f}",
            percent(trial.measures["sparsity"]),
            f"{trial.measures['latency_ms']:.3f}",
            *(trial.settings.get(name, "") for name in names),
        )
        for trial in trials
    ]
    # Only those that are not a hyperparameter's name, too.
    bars = {
        "gzipped": shares([trial.gzip_bytes for trial in trials]),
        "sparsity": [trial.measures["sparsity"] for trial in trials],
    }
    own = {name: bars[name] for name in bars if name not in names}
    return Table(title, [*columns, *names], rows, own)
