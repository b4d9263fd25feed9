"""What a fitted cleaner has found, in a few lines for a notebook."""

from html import escape

_MAX_CLASSES = 10  # named in the summary; more would be longer than all the rest


class SummaryMixin:
    """Adds what a fitted cleaner has found to scikit-learn's picture of the estimator."""

    def _repr_html_inner(self):
        picture = super()._repr_html_inner()
        return picture + summary_html(self) if hasattr(self, "label_issues_") else picture

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        return bundle | ({"text/html": self._repr_html_inner()} if "text/html" in bundle else {})


def summary_html(cleaner):
    """Return a small table of HTML; names of classes are escaped."""
    table = cleaner.label_issues_
    n_rows, n_issues = len(table), int(table["is_label_issue"].sum())
    actions = table["action"].value_counts()
    names = [str(label) for label in cleaner.classes_.tolist()]
    more = f" and {len(names) - _MAX_CLASSES} more" if len(names) > _MAX_CLASSES else ""
    lines = {
        "rows": f"{n_rows:,}",
        "label issues": f"{n_issues:,} ({n_issues / n_rows:.1%})",
        "actions": ", ".join(f"{action} {count:,}" for action, count in actions.items()),
        "expected wrong labels": f"{cleaner.noise_rate_:.1%}",
        "classes": f"{len(names)}: {', '.join(names[:_MAX_CLASSES])}{more}",
    }
    if cleaner.abstention_ is not None:
        lines["abstention"] = cleaner.abstention_
    cells = "".join(
        f'<tr><th scope="row" style="text-align: left">{escape(name)}</th>'
        f'<td style="text-align: left">{escape(value)}</td></tr>'
        for name, value in lines.items()
    )
    return f"<table><tbody>{cells}</tbody></table>"
