"""The page as one text: data, style and script in a template that escapes what is put in."""

import base64
import hashlib
import json
from importlib.resources import files

import jinja2
from markupsafe import Markup

_PARTS_OF_SCRIPT = "state", "files", "elements", "card", "list", "keys", "dialogs", "start"
# What would end or comment out the script element that holds the data, or end a line of it.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def render(data, rows):
    """Return the page, encoded.

    Parameters
    ----------
    data : dict
        What the script needs, JSON-ready.
    rows : list of dict
        What the table for readers without JavaScript shows.
    """
    folder = files("skdiffusion_label.review") / "page"
    script = "".join(
        (folder / f"{name}.js").read_text(encoding="utf-8") for name in _PARTS_OF_SCRIPT
    )
    script = f'(() => {{\n"use strict";\n{script}}})();\n'
    style = (folder / "review.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((folder / "review.html").read_text(encoding="utf-8"))
    page = template.render(
        data=data,
        rows=rows,
        payload=Markup(as_script_data(data)),
        script=Markup(script),
        style=Markup(style),
        # Only this script and this style run, whatever the data hold, and nothing is loaded.
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
    )
    # Names of files may hold bytes that are no text.
    return page.encode("utf-8", errors="replace")


def as_script_data(data):
    """Return JSON that stays JSON within a script element, whatever it holds."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(_ESCAPES)


def _hash(source):
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest())
    return f"'sha256-{digest.decode()}'"
