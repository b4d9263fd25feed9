"""What is said to people, on standard error, and to programs, on standard output."""

import json
import sys
import warnings
from contextlib import contextmanager
from functools import partial

PROGRAM = "skdiffusion-label"


def teller(arguments):
    """Return a function that says what is going on, or nothing if nobody wants to know."""
    return (lambda message: None) if arguments.quiet else say


def shows_progress(arguments):
    """Tell whether somebody watches: a terminal, or who has asked for it."""
    return arguments.verbose or (sys.stderr.isatty() and not arguments.quiet)


def say(message):
    """Print a line on standard error."""
    print(f"{PROGRAM}: {message}", file=sys.stderr, flush=True)


@contextmanager
def said_warnings():
    """Say each warning that is meant for users once, without the place in the code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = partial(_say_once, set())
        yield


def _say_once(said, message, *_, **__):
    if str(message) not in said:
        said.add(str(message))
        say(f"warning: {message}")


def report(summary, arguments):
    """Say what has been done: in words, or as JSON on standard output."""
    if arguments.format == "json":
        print(json.dumps(summary, ensure_ascii=False), flush=True)
    elif not arguments.quiet:
        for name, value in summary.items():
            say(f"{name.replace('_', ' ')}: {_in_words(value)}")


def _in_words(value):
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    if isinstance(value, float):
        return f"{value:.3g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
