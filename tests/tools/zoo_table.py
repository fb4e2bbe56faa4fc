"""The zoo's results as tables: model by model, counted, and the reasons."""

from collections import Counter
from textwrap import wrap

from zoo_checks import CHECKS, NOT_QUANTIZED
from zoo_hub import HUB
from zoo_models import PEOPLE_TRAIN

from keras_prune_kit.reports import render_table
from keras_prune_kit.reports.tables import TABLE_WIDTH

_MARKS = {"passed": "yes", "skipped": "skip", "failed": "FAIL"}
_GROUPS = ("that people train", "of KerasHub", "of keras.applications")
_REASON_LENGTH = 4 * TABLE_WIDTH


def summary(lines):
    """All tables as text, for the worlds that there are results of."""
    worlds = [world for world in CHECKS if any(x["world"] == world for x in lines)]
    parts = []
    for world in worlds:
        own = [line for line in lines if line["world"] == world]
        groups = {group: [] for group in _GROUPS}
        for line in own:
            groups[_group(line["model"])].append(line)
        parts.append(by_model(world, own))
        parts += [counts(f"{world}: models {g}", x) for g, x in groups.items() if x]
        parts += [reasons(world, own), removals(world, own)]
    return "\n\n".join(parts)


def _group(name):
    return _GROUPS[0 if name in PEOPLE_TRAIN else 1 if name in HUB else 2]


def by_model(world, lines):
    checks = [check for check in CHECKS[world] if check != "build"]
    rows = [
        [line["model"], *(_mark(line["checks"].get(check)) for check in checks)]
        for line in lines
    ]
    headings = [check.replace(" ", "\n") for check in checks]
    return render_table(world, ["", *headings], rows)


def _mark(result):
    return _MARKS[result["status"]] if result else "-"


def counts(title, lines):
    rows = []
    for check in CHECKS[lines[0]["world"]]:
        found = Counter(
            line["checks"][check]["status"] for line in lines if check in line["checks"]
        )
        not_reached = len(lines) - found.total()
        rows.append([check, *(str(found[s]) for s in _MARKS), str(not_reached)])
    columns = ["", "passed", "skipped", "failed", "not reached"]
    return render_table(f"{title}, {len(lines)}", columns, rows)


def reasons(world, lines):
    """Why something was skipped or failed, each reason once."""
    models = {}
    for line in lines:
        for check, result in line["checks"].items():
            if result["status"] != "passed" and result["note"] != NOT_QUANTIZED:
                note = " ".join(result["note"].split())[:_REASON_LENGTH]
                key = (check, result["status"], note.replace(line["model"], "..."))
                models.setdefault(key, []).append(line["model"])
    text = []
    for (check, status, note), names in models.items():
        text += wrap(f"{world}, {check}, {status}: {note}", TABLE_WIDTH)
        text += wrap(
            ", ".join(names), TABLE_WIDTH, initial_indent="  ", subsequent_indent="  "
        )
    return "\n".join(text)


def removals(world, lines):
    """What became of the channels of each model, and what stayed and why."""
    text = []
    for line in lines:
        notes = [
            line["checks"][check]["note"]
            for check in ("half out", "zeros out")
            if line["checks"].get(check, {}).get("status") == "passed"
        ]
        if notes:
            note = f"{world}, {line['model']}: {'; '.join(notes)}"
            text += wrap(note, TABLE_WIDTH, subsequent_indent="  ")
    return "\n".join(text)
