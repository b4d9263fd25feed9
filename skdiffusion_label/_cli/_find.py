"""The commands that judge labels: those of one table, and new ones by the table before."""

import sys
from contextlib import redirect_stdout

import numpy as np

from skdiffusion_label._cli._columns import (
    WHY_LEFT_OUT,
    cells_of,
    feature_names,
    groups_of,
    labels_of,
    rows_of,
    verified_of,
)
from skdiffusion_label._cli._files import (
    STREAM,
    check_outputs,
    name_of,
    read_table,
    whole_file,
    write_table,
)
from skdiffusion_label._cli._messages import report, teller
from skdiffusion_label._cli._models import (
    image_root,
    make_classifier,
    paths_in,
    without_missing,
)


def find(arguments):
    """Write a table of label issues, and a page to review them."""
    check_outputs([arguments.out], arguments, arguments.review)
    table, style = read_table(arguments.data, arguments)
    rows, labels = rows_of(table, arguments, style), labels_of(table, arguments)
    cleaner = fit_cleaner(table, rows, labels, arguments)
    out = arguments.out
    if out is None and arguments.review is None and arguments.format != "json":
        out = STREAM
    if out is not None:
        write_issues(cleaner.label_issues_, out, arguments)
    if arguments.review is not None:
        _write_page(cleaner, rows, arguments)
    summary = summarize(cleaner, cleaner.label_issues_)
    summary |= _judged_by_truth(table, cleaner.label_issues_, arguments)
    report(summary | _named(out=out, review=arguments.review), arguments)
    return int(arguments.fail_on_issues and summary["issues"] > 0)


def judge(arguments):
    """Write the table of label issues of new rows, by what rows before them have taught."""
    check_outputs([arguments.out], arguments)
    if len(arguments.label) > 1:
        raise ValueError("judge takes one --label.")
    table, style = read_table(arguments.data, arguments)
    new_table, new_style = read_table(arguments.new_data, arguments)
    rows, labels = rows_of(table, arguments, style), labels_of(table, arguments)
    new_labels = labels_of(new_table, arguments)
    _check_likeness(rows, labels, new_table, new_labels, arguments)
    numbers = [name for name in rows.columns if rows[name].dtype.kind == "f"]
    new_rows = rows_of(new_table, arguments, new_style, numbers).reindex(columns=rows.columns)
    cleaner = fit_cleaner(table, rows, labels, arguments)
    issues = cleaner.judge(new_rows, new_labels)
    write_issues(issues, arguments.out, arguments)
    summary = summarize(cleaner, issues) | _judged_by_truth(new_table, issues, arguments)
    report(summary | _named(out=arguments.out), arguments)
    return int(arguments.fail_on_issues and summary["issues"] > 0)


def _check_likeness(rows, labels, new_table, new_labels, arguments):
    """Raise if new rows lack a column that is learned from, or have labels that nobody knows."""
    only = arguments.text or arguments.image
    for name in [only] if only is not None else feature_names(rows, arguments)[0]:
        if name not in new_table.columns:
            raise ValueError(
                f"{arguments.new_data} has no column {name!r}, unlike {arguments.data}."
            )
    unknown = sorted(set(new_labels.dropna()) - set(labels.dropna()), key=str)
    if unknown:
        raise ValueError(
            f"{arguments.new_data} has the label {unknown[0]!r}, which {arguments.data} has not."
        )


def _make_cleaner(rows, arguments, tell):
    """Return a cleaner of the labels of ``rows``."""
    from skdiffusion_label.cleaning import LabelCleaner

    names, left_out = feature_names(rows, arguments)
    if left_out and arguments.text is None and arguments.image is None:
        tell(f"not learned from: {', '.join(left_out)} ({WHY_LEFT_OUT})")
    return LabelCleaner(
        make_classifier(rows, names, arguments, tell),
        target_precision=arguments.target_precision,
        random_state=arguments.random_state,
        verbose=int(arguments.verbose),
    )


def fit_cleaner(table, rows, labels, arguments, **options):
    """Return a cleaner fitted on all rows, with decisions among the options if there are any."""
    tell = teller(arguments)
    cleaner = _make_cleaner(rows, arguments, tell)
    options |= _named(
        verified=verified_of(table, arguments.verified), groups=groups_of(table, arguments.group)
    )
    decisions = options.get("decisions")
    decided = "" if decisions is None else f", {len(decisions)} of them decided"
    tell(f"judging {len(rows)} labels of {name_of(arguments.data)}{decided}")
    with redirect_stdout(sys.stderr):  # whatever libraries print
        return cleaner.fit(rows, labels, **options)


def write_issues(issues, path, arguments):
    """Write a table of issues with the numbers of the rows, and the users' names for them."""
    issues = issues.reset_index(names="id")
    if arguments.id is None:
        issues = issues.drop(columns="id")
    issues.insert(0, "row", range(len(issues)))
    if arguments.only_issues:
        issues = issues[issues["is_label_issue"]]
    write_table(issues, path, arguments)


def summarize(cleaner, issues):
    """Return what a table of issues amounts to."""
    summary = {
        "rows": len(issues),
        "issues": int(issues["is_label_issue"].sum()),
        "expected_share_of_wrong_labels": float(issues["p_label_error"].mean()),
        "actions": {name: int(count) for name, count in issues["action"].value_counts().items()},
        "classes": [str(label) for label in cleaner.classes_],
    }
    return summary | _named(fingerprint=getattr(cleaner, "fingerprint_", None))


def _judged_by_truth(table, issues, arguments):
    """Return how many issues are wrong labels, where the right ones are known."""
    if arguments.truth is None:
        return {}
    truth = np.array([str(label) for label in cells_of(table, arguments.truth)])
    given = issues["given_label"]
    is_wrong = (given.notna() & (given.astype(str) != truth)).to_numpy()
    n_found = int((is_wrong & issues["is_label_issue"].to_numpy()).sum())
    return {"wrong_labels": int(is_wrong.sum()), "wrong_labels_among_issues": n_found}


def _write_page(cleaner, rows, arguments):
    from skdiffusion_label.review import write_review

    show, shown = "table", rows[feature_names(rows, arguments)[0]]
    if arguments.text is not None:
        show, shown = "text", without_missing(rows[arguments.text])
    elif arguments.image is not None:
        show, shown = "image", paths_in(rows[arguments.image], image_root(arguments))
    with whole_file(arguments.review, arguments.force) as path:
        write_review(
            path,
            cleaner,
            shown,
            show=show,
            features=cleaner.estimator_[0].features_,
            max_rows=arguments.review_rows,
            n_controls=arguments.controls,
            blind=arguments.blind,
            title=f"{' and '.join(arguments.label)} of {arguments.data}",
        )


def _named(**values):
    """Return the values that there are."""
    return {name: value for name, value in values.items() if value is not None}
