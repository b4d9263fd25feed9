"""The command that makes labels wrong, so that finding them can be tried."""

from skdiffusion_label._cli._columns import TRUE_LABEL, feature_names, labels_of, like, rows_of
from skdiffusion_label._cli._files import check_outputs, read_table, write_table
from skdiffusion_label._cli._messages import report, teller
from skdiffusion_label._cli._models import make_features

_N_FOLDS = 5  # whose classifiers say which rows are hard to tell apart


def simulate(arguments):
    """Write the table with wrong labels, and the true ones in a column of their own."""
    check_outputs([arguments.out], arguments)
    if len(arguments.label) > 1:
        raise ValueError("simulate takes one --label.")
    (label,) = arguments.label
    kept = arguments.true_column or TRUE_LABEL.format(label)
    table, style = read_table(arguments.data, arguments)
    if kept in table.columns:
        raise ValueError(f"there is a column {kept!r} already: name another by --true-column.")
    labels = labels_of(table, arguments)
    if labels.isna().any():
        raise ValueError(f"the column {label!r} must have a label in each row.")
    noisy = NOISES[arguments.noise](labels.to_numpy(), table, style, arguments)
    table[kept] = table[label]
    table[label] = like(noisy.tolist(), table[kept])
    write_table(table, arguments.out, arguments, like=style)
    teller(arguments)(f"the true labels are in {kept}, which find takes as --truth {kept}")
    n_wrong = int((noisy != labels.to_numpy()).sum())
    report({"rows": len(table), "wrong_labels": n_wrong, "out": arguments.out}, arguments)
    return 0


def _symmetric(labels, table, style, arguments):
    from skdiffusion_label.label_noise import uniform_transition

    return _by_class(uniform_transition, labels, arguments)


def _pair(labels, table, style, arguments):
    from skdiffusion_label.label_noise import pair_transition

    return _by_class(pair_transition, labels, arguments)


def _by_class(make_transition, labels, arguments):
    from skdiffusion_label.label_noise import flip_labels

    transition_matrix = make_transition(len(set(labels)), arguments.rate)
    return flip_labels(labels, transition_matrix, random_state=arguments.random_state)


def _instance(labels, table, style, arguments):
    from skdiffusion_label.label_noise import instance_noise

    features = _features(labels, table, style, arguments)
    return instance_noise(labels, features, arguments.rate, random_state=arguments.random_state)


def _margin(labels, table, style, arguments):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    from skdiffusion_label.label_noise import margin_noise

    features = _features(labels, table, style, arguments)
    proba = cross_val_predict(
        LogisticRegression(), features, labels, cv=_N_FOLDS, method="predict_proba"
    )
    return margin_noise(labels, proba, arguments.rate, random_state=arguments.random_state)


def _features(labels, table, style, arguments):
    """Return standardized features."""
    from sklearn.preprocessing import scale

    rows = rows_of(table, arguments, style)
    names, _ = feature_names(rows, arguments)
    features = make_features(rows, names, arguments, teller(arguments))
    return scale(features.fit_transform(rows, labels))


NOISES = {"symmetric": _symmetric, "pair": _pair, "instance": _instance, "margin": _margin}
