"""Where the command line starts and ends: exit codes, errors, interruptions."""

import os
import sys
import traceback

from skdiffusion_label._cli._apply import apply
from skdiffusion_label._cli._arguments import make_parser
from skdiffusion_label._cli._find import find, judge
from skdiffusion_label._cli._messages import said_warnings, say
from skdiffusion_label._cli._simulate import simulate

_ERROR = 2
# As shells count processes that were ended by SIGINT and SIGPIPE.
_INTERRUPTED = 130
_CLOSED_PIPE = 141


def main(argv=None):
    """Run a command and return its exit code.

    ``argv`` are the words after the name of the program, those of the process by default.
    """
    commands = {"find": find, "apply": apply, "judge": judge, "simulate": simulate}
    arguments = make_parser(commands).parse_args(argv)
    try:
        with said_warnings():
            code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _forget_stdout()
        return _CLOSED_PIPE
    except KeyboardInterrupt:
        say("interrupted")
        return _INTERRUPTED
    except Exception as error:
        if arguments.verbose:
            traceback.print_exc()
        say(f"error: {_message(error)}")
        return _ERROR


def _message(error):
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = str(error)
    return text if text and isinstance(error, ValueError | OSError | ImportError) else repr(error)


def _forget_stdout():
    """Let the interpreter flush what is left of standard output to nowhere when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
