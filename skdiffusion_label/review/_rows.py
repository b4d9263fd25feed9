"""Which rows are reviewed, and the controls planted among them."""

from dataclasses import dataclass

import numpy as np

# Probability of being wrong up to which a label is certainly right: one in fifty such controls
# would count as an error of a reviewer who made none.
_MAX_DOUBT_OF_CONTROLS = 0.02


@dataclass(frozen=True)
class ReviewRow:
    """A row of the page, labels as codes of classes, -1 for none.

    ``row`` is its position in ``X``. Of a control, ``suggested`` and the probabilities are not the
    cleaner's: they are those of another row of the page, so that it looks like one of them.
    """

    row: int
    given: int
    suggested: int
    p_given: float
    p_suggested: float
    action: str
    is_control: bool = False


def codes_of(labels, classes):
    """Return the positions of labels among classes, -1 for missing ones."""
    code_of = {label: code for code, label in enumerate(classes.tolist())}
    return np.array([code_of.get(label, -1) for label in labels.tolist()])


def rows_to_review(table, classes, max_rows):
    """Return the rows that need a decision, most suspicious first, and how many there are in all.

    Those are the label issues and the rows without a label. These come last, those of the surest
    suggestion first.
    """
    given = codes_of(table["given_label"], classes)
    suggested = codes_of(table["suggested_label"], classes)
    p_error = table["p_label_error"].to_numpy(dtype=np.float64, na_value=np.nan)
    p_suggested = table["suggested_proba"].to_numpy(dtype=np.float64)
    action = table["action"].to_numpy()
    rows = np.flatnonzero(table["is_label_issue"].to_numpy(dtype=bool) | (action == "label"))
    order = np.lexsort((-p_suggested[rows], -np.nan_to_num(p_error[rows]), given[rows] < 0))
    chosen = rows[order][:max_rows]
    return [
        ReviewRow(
            row=int(row),
            given=int(given[row]),
            suggested=int(suggested[row]),
            p_given=float(1 - p_error[row]) if given[row] >= 0 else 0.0,
            p_suggested=float(p_suggested[row]),
            action=str(action[row]),
        )
        for row in chosen
    ], len(rows)


def with_controls(reviewed, table, classes, n_controls, rng):
    """Return the rows with controls among them, each behind the row whose looks it has taken.

    A control is a row whose label is certainly right. It shows a suggestion all the same, one
    that was made for another row, of the same class where there is one: who follows every
    suggestion is found out.
    """
    models = [item for item in reviewed if item.given >= 0]
    controls = {}
    for row in _certain_rows(table, reviewed, n_controls, rng, bool(models)):
        given = int(codes_of(table["given_label"].iloc[[row]], classes)[0])
        alike = [item for item in models if item.given == given] or models
        model = alike[rng.integers(len(alike))]
        control = _control(row, given, model)
        controls.setdefault(model.row, []).append(control)
    return [item for shown in reviewed for item in (shown, *controls.get(shown.row, ()))]


def _control(row, given, model):
    if model.suggested == model.given:
        suggested = given
    else:
        suggested = model.suggested if model.suggested != given else model.given
    return ReviewRow(
        row, given, suggested, model.p_given, model.p_suggested, model.action, is_control=True
    )


def _certain_rows(table, reviewed, n_controls, rng, has_models):
    """Return rows that are certainly right; verified ones where there are enough."""
    if not n_controls:
        return []
    is_certain = (table["action"] == "keep") & (table["p_label_error"] <= _MAX_DOUBT_OF_CONTROLS)
    is_certain = is_certain.to_numpy() & table["given_label"].notna().to_numpy()
    if "verified" in table:
        verified = table["verified"].to_numpy(dtype=bool) & is_certain
        is_certain = verified if verified.sum() >= n_controls else is_certain
    candidates = np.setdiff1d(np.flatnonzero(is_certain), [item.row for item in reviewed])
    if not has_models or len(candidates) < n_controls:
        raise ValueError(
            f"n_controls == {n_controls}, must be at most the number of rows that are certainly "
            f"right (p_label_error <= {_MAX_DOUBT_OF_CONTROLS}): {len(candidates) * has_models}."
        )
    return sorted(rng.choice(candidates, n_controls, replace=False).tolist())
