"""What works on which architecture, in both worlds, and what TFMOT does with the same.

The models that people train, keras.applications and, where it is installed, backbones
of KerasHub, with random weights and small pictures: prune a few steps to exactly 80 %
(KerasHub: 50 %), save and load, export in float32, dynamic and int8, compare each file
with Keras and count its zeros (zoo_checks.py has the tolerances). Then
quantization-aware training: ours on Keras 3, TFMOT's on tf_keras, where TFMOT prunes
too, by itself.

    python tests/tools/zoo.py --out results.jsonl
        [--only unet MobileNetV2 ...] [--worlds keras tf_keras] [--all] [--minutes 20]

Each model has a process of its own: one that crashes or takes too long has failed, and
the next one starts. A line of JSON is added for each; what the file holds already is
not run again. Without --all there are one or two models of each family.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from zoo_applications import WORLDS, zoo
from zoo_checks import CHECKS, Subject, run
from zoo_table import summary

_MARK = "zoo: "


def check_here(name, world):
    """Runs all checks of one model, and prints a line after each."""
    subject = Subject(WORLDS[world], zoo(WORLDS[world], everything=True)[name])
    for check, function in CHECKS[world].items():
        result = run(function, subject)
        print(_MARK + json.dumps({check: result}), flush=True)
        if result["status"] == "failed" and check in ("build", "prune"):
            break


def check_apart(name, world, minutes):
    """The same in a process of its own, as a record of all checks."""
    command = [sys.executable, __file__, "--here", "--only", name, "--worlds", world]
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60 * minutes
        )
        output, end = done.stdout, f"the process ended with {done.returncode}"
    except subprocess.TimeoutExpired as expired:
        output = (expired.stdout or b"").decode()
        end = f"not done after {minutes} minutes"
    checks = {}
    for line in output.splitlines():
        if line.startswith(_MARK):
            checks |= json.loads(line.removeprefix(_MARK))
    failed = any(result["status"] == "failed" for result in checks.values())
    under_way = next((check for check in CHECKS[world] if check not in checks), None)
    if under_way and not (failed and under_way in ("prune", "reload")):
        checks[under_way] = {"status": "failed", "note": end}
    seconds = round(time.perf_counter() - started)
    return {"model": name, "world": world, "seconds": seconds, "checks": checks}


def todo(options, lines):
    """Names and worlds that are not in the file yet, small models first."""
    done = {(line["model"], line["world"]) for line in lines}
    zoos = {world: zoo(WORLDS[world], options.all) for world in options.worlds}
    names = dict.fromkeys(name for models in zoos.values() for name in models)
    for name in options.only or names:
        for world in options.worlds:
            is_there = name in zoo(WORLDS[world], everything=True)
            if is_there and (name, world) not in done:
                yield name, world


def arguments(given=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a .jsonl file")
    parser.add_argument("--only", nargs="+", help="names of models")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--all", action="store_true", help="all of keras.applications")
    parser.add_argument("--minutes", type=float, default=20, help="for each model")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main():
    options = arguments()
    if options.here:
        check_here(options.only[0], options.worlds[0])
        return
    text = options.out.read_text() if options.out and options.out.exists() else ""
    lines = [json.loads(line) for line in text.splitlines()]
    for name, world in list(todo(options, lines)):
        lines.append(check_apart(name, world, options.minutes))
        print(json.dumps(lines[-1]), flush=True)
        if options.out:
            with options.out.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    print(summary(lines))


if __name__ == "__main__":
    main()
