"""The scikit-learn contract of LRADiffusionClassifier."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.utils.estimator_checks import (
    check_class_weight_balanced_classifiers,
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

from skdiffusion_label import LRADiffusionClassifier, published_settings

FAST = {
    "n_neighbors": 10,
    "retrieval_space": "features",
    "hidden_size": 32,
    "n_timesteps": 20,
    "max_iter": 20,
    "batch_size": 64,
    "learning_rate": 1e-2,
    "n_draws": 4,
}
# What leads another way is in one of them; the published settings predict epsilon.
CONFIGURATIONS = [
    {
        "prediction_type": "logits",
        "label_aggregation": "vote",
        "n_sampling_steps": 4,
        "retrieval_space": "supervised",
    },
    {
        "n_neighbors": "auto",
        "retrieval_space": "auto",
        "encoder": "mlp",
        "n_iter_no_change": 30,
        "validation_fraction": 0.2,
        "prior": GaussianNB(),
        "max_iter": 10,
    },
    {
        "prediction_type": "sample",
        "n_sampling_steps": 3,
        "label_weighting": "agreement",
        "prior": LogisticRegression(max_iter=1000),
        "retrieval_space": "standardized",
    },
]
PUBLISHED_BUT_SMALL = {
    **published_settings("cifar"),
    **{"hidden_size": 64, "batch_size": 100, "max_iter": 40, "learning_rate": 2e-2},
}
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "training in random batches: a weight of two cannot equal a repeated row to 1e-7"
    )
}
# The check turns early stopping on, with weights under which five held-out rows are all right long
# before noise can be predicted.
EXPECTED_FAILURES_OF_EPSILON = {
    **EXPECTED_FAILURES,
    "check_class_weight_classifiers": "stopped before predicted noise is learned",
}


def expected_failures(estimator):
    if estimator.prediction_type == "epsilon":
        return EXPECTED_FAILURES_OF_EPSILON
    return EXPECTED_FAILURES


def fast_classifier(**parameters):
    return LRADiffusionClassifier(**{**FAST, **parameters})


@parametrize_with_checks(
    [
        *(fast_classifier(**c) for c in CONFIGURATIONS),
        LRADiffusionClassifier(**PUBLISHED_BUT_SMALL),
    ],
    expected_failed_checks=expected_failures,
)
def test_configurations_keep_the_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check", [check_param_validation, check_dataframe_column_names_consistency]
)
def test_optional_checks_of_scikit_learn_pass(check):
    check("LRADiffusionClassifier", fast_classifier(max_iter=2))


def test_balanced_class_weights_help_as_scikit_learn_checks_it():
    X, y = make_blobs([300, 25], centers=[[-1, 0], [1, 0]], cluster_std=1.0, random_state=0)
    X_test, y_test = make_blobs(
        [300, 300], centers=[[-1, 0], [1, 0]], cluster_std=1.0, random_state=1
    )
    # The check trains for 1,000 epochs.
    classifier = fast_classifier(hidden_size=8, batch_size=1000, label_aggregation="vote")
    check_class_weight_balanced_classifiers(
        "LRADiffusionClassifier", classifier, X, y, X_test, y_test, weights=np.array([0.92, 0.08])
    )
