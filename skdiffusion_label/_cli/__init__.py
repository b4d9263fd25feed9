"""The command line: tables on disk in, tables and pages on disk out."""

from skdiffusion_label._cli._main import main

__all__ = ["main"]
