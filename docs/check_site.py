"""Check the built pages: ``python docs/check_site.py docs/_build/html``.

Every link inside the site leads to a file and a place in it, everything public has a page, and the
gallery has pictures.
"""

import inspect
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOMS = (
    "",
    ".cleaning",
    ".dask",
    ".datasets",
    ".diffusion",
    ".embedding",
    ".label_noise",
    ".retrieval",
    ".review",
)
LEAST_EXAMPLES = 10


class Page(HTMLParser):
    """The links of a page, and the places that links lead to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places = [], {"", "#"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        """Note what an element links to, and its name."""
        values = dict(attributes)
        self.places |= {values.get("id"), values.get("name")}
        self.links += [values[name] for name in ("href", "src") if values.get(name)]


def broken_links(site):
    """Return the links of all pages that lead nowhere."""
    pages = {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages.get(target)
            if not target.exists() or (known and unquote(parts.fragment) not in known.places):
                broken.append(f"{path.relative_to(site)}: {link}")
    return broken


def public_names():
    """Return the public classes and functions, each by the name that its page has."""
    names = {}
    for room in ROOMS:
        module = import_module(f"skdiffusion_label{room}")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isroutine(value):
                names.setdefault(value, []).append(f"{module.__name__}.{name}")
    return list(names.values())


def main(site):
    """Print what is wrong with the site, and return how much that is."""
    site = Path(site).resolve()
    problems = [f"broken link in {link}" for link in broken_links(site)]
    folder = site / "api" / "generated"
    problems += [
        f"no page of {names[0]}"
        for names in public_names()
        if not any((folder / f"{name}.html").exists() for name in names)
    ]
    pictures = {
        path.stem.rsplit("_", 1)[0] for path in (site / "_images").glob("sphx_glr_plot_*_0*.png")
    }
    if len(pictures) < LEAST_EXAMPLES:
        problems.append(f"only {len(pictures)} examples have pictures")
    print(*problems, f"{len(problems)} problems", sep="\n")
    return len(problems)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1]), 1))
