import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdiffusion_label.label_noise import pair_transition, uniform_transition
from skdiffusion_label.noise_model import (
    LocalNoise,
    Pool,
    _pool,
    fit_local_noise,
    fit_pool,
    join_judge,
    posterior,
    posterior_of_given,
)

# Log-odds below which a cleaner replaces no labels.
MIN_EVIDENCE = 2.4


def draw(proba, rng):
    """Draw a code for each row of ``proba`` (..., n_classes)."""
    drawn = (rng.random((*proba.shape[:-1], 1)) > proba.cumsum(axis=-1)).sum(axis=-1)
    return drawn.clip(max=proba.shape[-1] - 1)


def simulate(matrix, n_samples=1000, judges=((10, 0.9), (50, 0.8)), seed=0):
    """Return true labels, given labels, and judges: votes of neighbors of some purity."""
    rng = np.random.default_rng(seed)
    n_classes = len(matrix)
    true = rng.integers(n_classes, size=n_samples)
    judgements = []
    for n_neighbors, purity in judges:
        others = rng.integers(n_classes, size=(n_samples, n_neighbors))
        is_alike = rng.random((n_samples, n_neighbors)) < purity
        given = draw(matrix[np.where(is_alike, true[:, None], others)], rng)
        votes = (given[:, :, None] == np.arange(n_classes)).sum(axis=1)
        judgements.append((votes + 1 / n_classes) / (n_neighbors + 1))
    return true, draw(matrix[true], rng), np.stack(judgements)


def simulate_overlap(n_samples=1000, n_classes=4, seed=0):
    """Return P(class | x) from sure to torn, and three judges of it."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(n_samples, n_classes))
    judges = np.exp(logits + rng.normal(size=(3, n_samples, n_classes)))
    proba = np.exp(logits)
    return normalized(proba), normalized(judges), rng


def normalized(counts):
    return counts / counts.sum(axis=-1, keepdims=True)


def accuracy(proba, codes):
    return (proba.argmax(axis=1) == codes).mean()


# What a pool finds


@pytest.mark.parametrize(
    ("matrix", "tolerance"),
    [
        (uniform_transition(4, 0.4), 0.08),
        (uniform_transition(10, 0.4), 0.08),
        (uniform_transition(4, 0.2), 0.08),
        (pair_transition(4, 0.4), 0.08),
        (pair_transition(10, 0.4), 0.15),  # a hundred labels of a class
    ],
    ids=["even", "even of ten", "little", "pair", "pair of ten"],
)
@pytest.mark.parametrize("seed", range(3))
def test_pool_finds_noise_by_class_and_the_true_labels(matrix, tolerance, seed):
    true, given, judgements = simulate(matrix, seed=seed)
    pool = fit_pool(judgements, given)
    truth = pool.truth(judgements)
    assert_allclose(truth.sum(axis=1), 1)
    assert accuracy(truth, true) > 0.99
    assert accuracy(truth, true) >= accuracy(judgements.mean(axis=0), true) - 0.002
    assert_allclose(pool.transition_matrix, matrix, atol=tolerance)
    assert pool.evidence_of_noise > MIN_EVIDENCE


@pytest.mark.parametrize("seed", range(3))
def test_pool_sees_through_pair_flips_where_its_judges_do_not(seed):
    true, given, judgements = simulate(pair_transition(5, 0.45), seed=seed)
    truth = fit_pool(judgements, given).truth(judgements)
    assert accuracy(judgements.mean(axis=0), true) < 0.85
    assert accuracy(truth, true) > 0.98


@pytest.mark.parametrize("n_groups", [40, 3, 1])
def test_noise_models_are_tried_on_other_groups(n_groups, monkeypatch):
    _, given, judgements = simulate(uniform_transition(4, 0.4), n_samples=400)
    groups = np.arange(400) % n_groups
    halves, foretell = [], _pool._foretell

    def remember(judgements, labels, taught, others):
        halves.append((taught, others))
        return foretell(judgements, labels, taught, others)

    monkeypatch.setattr(_pool, "_foretell", remember)
    fit_pool(judgements, given, groups=groups)
    for taught, others in halves:
        assert len(taught) + len(others) == 400
        assert min(len(taught), len(others)) > 100
        if n_groups > 1:
            assert not np.intersect1d(groups[taught], groups[others]).size


@pytest.mark.parametrize("n_classes", [2, 4, 10])
@pytest.mark.parametrize("seed", range(3))
def test_clean_labels_of_separate_classes_are_no_evidence_of_noise(n_classes, seed):
    true, given, judgements = simulate(np.eye(n_classes), seed=seed)
    pool = fit_pool(judgements, given)
    # All models foretell the same labels, but for rounding, which may be the same for all rows.
    assert pool.evidence_of_noise < 0.01
    assert_allclose(pool.transition_matrix, np.eye(n_classes), atol=0.01)
    assert accuracy(pool.truth(judgements), true) > 0.99


@pytest.mark.parametrize("n_classes", [2, 4, 10])
@pytest.mark.parametrize("seed", range(3))
def test_clean_labels_of_overlapping_classes_are_no_evidence_of_noise(n_classes, seed):
    proba, judgements, rng = simulate_overlap(n_classes=n_classes, seed=seed)
    given = draw(proba, rng)
    pool = fit_pool(judgements, given)
    # Judges are wrong about many rows, and no label is.
    assert accuracy(judgements.mean(axis=0), given) < 0.9
    assert pool.evidence_of_noise < MIN_EVIDENCE
    assert pool.transition_matrix.diagonal().mean() > 0.9


def evidence_where_classes_meet(noise_rate, seed):
    proba, _, rng = simulate_overlap(seed=seed)
    second, first = np.argsort(proba, axis=1)[:, -2:].T
    closeness = np.sort(proba, axis=1)[:, -2] / proba.max(axis=1)
    wrong = (closeness * noise_rate / closeness.mean()).clip(max=1)
    # Judges see what noise does at a place, each with its own error.
    of_given = 0.02 / 4 + 0.98 * (
        (1 - wrong)[:, None] * np.eye(4)[first] + wrong[:, None] * np.eye(4)[second]
    )
    given = np.where(rng.random(len(proba)) < wrong, second, first)
    judgements = normalized(of_given * np.exp(rng.normal(size=(3, *of_given.shape))))
    assert np.mean(given != first) == pytest.approx(noise_rate, abs=0.05)
    return fit_pool(judgements, given).evidence_of_noise


@pytest.mark.parametrize("noise_rate", [0.1, 0.2, 0.4])
def test_noise_where_classes_meet_is_no_evidence_of_noise_by_class(noise_rate):
    """In most draws it speaks against such noise; one of five may mislead."""
    evidence = np.sort([evidence_where_classes_meet(noise_rate, seed) for seed in range(5)])
    assert np.median(evidence) < 0
    assert evidence[-2] < MIN_EVIDENCE / 2


@pytest.mark.parametrize("seed", range(3))
def test_pool_of_diverse_judges_is_better_than_each(seed):
    proba, judgements, rng = simulate_overlap(seed=seed)
    true = draw(proba, rng)
    truth = fit_pool(judgements, true).truth(judgements)

    def loss(proba):
        return -np.log(proba[np.arange(len(true)), true] + 1e-9).mean()

    assert loss(truth) < min(loss(judge) for judge in judgements) - 0.03


def test_judge_that_is_better_weighs_more():
    true, given, judgements = simulate(uniform_transition(4, 0.2), judges=((10, 0.9), (10, 0.35)))
    pool = fit_pool(judgements, given)
    better, worse = pool.weights[pool.likely.argmax()]
    assert better > 2 * worse
    assert accuracy(pool.truth(judgements), true) >= accuracy(judgements[0], true) - 0.005


def test_uniform_judge_changes_nothing():
    _, given, judgements = simulate(pair_transition(4, 0.4))
    with_uniform = np.concatenate([judgements, np.full((1, 1000, 4), 0.25)])
    alone, together = fit_pool(judgements, given), fit_pool(with_uniform, given)
    # But for the search, which starts with a smaller weight for each judge.
    assert_allclose(together.truth(with_uniform), alone.truth(judgements), atol=0.02)
    assert_allclose(together.transition_matrix, alone.transition_matrix, atol=0.01)
    assert together.evidence_of_noise == pytest.approx(alone.evidence_of_noise, rel=0.05)


@pytest.mark.parametrize("share", [0, 0.2, 0.5])
def test_judge_who_joins_counts_by_its_share_until_labels_say_otherwise(share, monkeypatch):
    true, given, judgements = simulate(uniform_transition(4, 0.3))
    pool = fit_pool(judgements, given)
    of_truth = 0.9 * np.eye(4)[true] + 0.1 / 4
    by_labels = join_judge(pool, judgements, of_truth, given, share=share)
    assert by_labels.weights[pool.likely > 0.01, -1].min() > share + 0.01
    monkeypatch.setattr(_pool, "_PENALTY_OF_START", 1e12)
    monkeypatch.setattr(_pool, "_ROWS_OF_HALF_OFFSET", 1e-9)
    joined = join_judge(pool, judgements, of_truth, given, share=share)
    assert_allclose(joined.weights[:, :-1], (1 - share) * pool.weights, atol=1e-6)
    assert_allclose(joined.weights[:, -1], share, atol=1e-6)


@pytest.mark.parametrize("noise_rate", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_class_that_judges_miss_gets_its_frequency(seed, noise_rate):
    """Judges say of a class a twentieth of what they should; of labels, some are wrong."""
    proba, judgements, rng = simulate_overlap(seed=seed)
    true = draw(proba, rng)
    wrong = rng.random(len(true)) < noise_rate
    given = np.where(wrong, rng.integers(4, size=len(true)), true)
    of_given = (1 - noise_rate) * judgements + noise_rate / 4
    missing = normalized(of_given * [0.05, 1, 1, 1])
    seen, mended = (fit_pool(judges, given).truth(judges) for judges in (of_given, missing))
    assert missing[..., 0].mean() < 0.7 * np.mean(given == 0)
    assert mended[:, 0].mean() == pytest.approx(np.mean(true == 0), abs=0.04)
    assert accuracy(mended, true) > accuracy(seen, true) - 0.02


@pytest.mark.parametrize("seed", range(3))
def test_judge_at_random_gets_no_weight(seed):
    proba, judgements, rng = simulate_overlap(4000, seed=seed)
    given = draw(proba, rng)
    at_random = rng.dirichlet(np.ones(4), size=4000)
    *weights, weight_of_random = fit_pool(np.stack([*judgements, at_random]), given).weights[0]
    # The information about an exponent is the variance of its logarithms under the truth.
    logs = np.log(at_random.clip(min=1e-4))
    information = (proba * (logs - (proba * logs).sum(axis=1, keepdims=True)) ** 2).sum()
    assert weight_of_random < 4 * information**-0.5 < 0.5 * min(weights)


@pytest.mark.parametrize("seed", range(3))
def test_judge_at_random_hides_neither_noise_nor_truth(seed):
    true, given, judgements = simulate(pair_transition(4, 0.4), seed=seed)
    at_random = np.random.default_rng(seed).dirichlet(np.ones(4), size=(1, 1000))
    more = np.concatenate([judgements, at_random])
    alone, together = fit_pool(judgements, given), fit_pool(more, given)
    assert_allclose(together.transition_matrix, alone.transition_matrix, atol=0.01)
    assert accuracy(together.truth(more), true) > accuracy(alone.truth(judgements), true) - 0.005


def test_labels_at_random_leave_no_truth_to_be_found():
    rng = np.random.default_rng(0)
    judgements = rng.dirichlet(np.full(4, 10.0), size=(2, 1000))
    truth = fit_pool(judgements, rng.integers(4, size=1000)).truth(judgements)
    assert truth.max(axis=1).mean() < 0.45


# Its parts


def test_truth_of_one_judge_without_noise_is_what_it_says():
    proba, *_ = simulate_overlap(n_samples=50)
    proba = 0.01 + 0.96 * proba
    pool = Pool(np.ones((1, 1)), np.zeros((1, 4)), np.eye(4)[None], np.zeros(1))
    assert_allclose(pool.truth(proba[None]), proba, rtol=1e-9)


def test_truth_is_a_product_of_powers_averaged_over_noise_models():
    proba = 0.01 + 0.96 * simulate_overlap(n_samples=50)[1]
    weights = np.array([[0.5, 1.0, 0.0], [2.0, 0.3, 0.2]])
    identities = np.tile(np.eye(4), (2, 1, 1))
    offsets = np.log([[1.0, 2, 3, 4], [1, 1, 1, 1]])
    pool = Pool(weights, offsets, identities, np.log([0.25, 0.75]))
    first, second = (
        normalized(factor * np.prod([p**w for p, w in zip(proba, row, strict=True)], axis=0))
        for row, factor in zip(weights, np.exp(offsets), strict=True)
    )
    assert_allclose(pool.truth(proba), 0.25 * first + 0.75 * second, rtol=1e-9)
    assert_allclose(pool.transition_matrix, np.eye(4))


def test_noise_models_are_distributions_and_none_comes_first():
    _, given, judgements = simulate(pair_transition(4, 0.4))
    pool = fit_pool(judgements, given)
    assert pool.likely.sum() == pytest.approx(1)
    assert (pool.weights >= 0).all()
    assert (pool.transitions > 0).all()
    assert_allclose(pool.transitions.sum(axis=2), 1)
    assert_allclose(pool.transitions[0], np.eye(4), atol=1e-3)
    n_models = len(pool.likely)
    assert pool.weights.shape == (n_models, 2)
    assert pool.transitions.shape == (n_models, 4, 4)
    odds = pool.likely[1:].sum() / pool.likely[0]
    assert pool.evidence_of_noise == pytest.approx(np.log(odds))


# What does not matter


def test_order_of_the_rows_does_not_matter():
    _, given, judgements = simulate(pair_transition(4, 0.4))
    order = np.random.default_rng(1).permutation(1000)
    pool, shuffled = fit_pool(judgements, given), fit_pool(judgements[:, order], given[order])
    # Rows are split in two by their place: how likely models are may change, and how clear rows
    # that tie are ordered.
    assert_allclose(shuffled.transition_matrix, pool.transition_matrix, atol=0.03)
    assert_allclose(shuffled.truth(judgements), pool.truth(judgements), atol=0.05)


@pytest.mark.parametrize(
    "matrix", [uniform_transition(4, 0.4), pair_transition(4, 0.4)], ids=["even", "pair"]
)
def test_names_of_the_classes_do_not_matter(matrix):
    _, given, judgements = simulate(matrix)
    # Classes that tie are ordered by their names.
    judgements = normalized(judgements + np.random.default_rng(0).uniform(0, 1e-4, (2, 1000, 4)))
    order = np.array([3, 0, 2, 1])
    pool = fit_pool(judgements, given)
    renamed = fit_pool(judgements[:, :, order], np.argsort(order)[given])
    assert_allclose(renamed.likely, pool.likely, atol=0.01)
    assert_allclose(renamed.transitions, pool.transitions[:, order][:, :, order], atol=0.01)
    assert_allclose(
        renamed.truth(judgements[:, :, order]), pool.truth(judgements)[:, order], atol=0.01
    )


def test_weight_counts_a_row_so_many_times():
    true, given, judgements = simulate(pair_transition(4, 0.4))
    times = np.random.default_rng(0).integers(1, 4, size=1000)
    weighted = fit_pool(judgements, given, times.astype(float))
    repeated = fit_pool(judgements.repeat(times, axis=1), given.repeat(times))
    # A repeated row may teach the model that foretells its other half.
    assert_allclose(weighted.transition_matrix, repeated.transition_matrix, atol=0.05)
    truths = weighted.truth(judgements), repeated.truth(judgements)
    assert np.abs(truths[0] - truths[1]).mean() < 0.01
    assert weighted.evidence_of_noise > MIN_EVIDENCE < repeated.evidence_of_noise


def test_rows_of_many_labels_count_by_their_weight():
    # Half of the rows are wrong in another way, and hardly count.
    _, given, judgements = simulate(pair_transition(4, 0.4), n_samples=2000)
    weight = np.where(np.arange(2000) < 1000, 1.0, 1e-3)
    given[1000:] = (given[1000:] + 2) % 4
    pool = fit_pool(judgements, given, weight)
    assert_allclose(pool.transition_matrix, pair_transition(4, 0.4), atol=0.08)


def test_rows_of_weight_zero_might_as_well_be_missing():
    _, given, judgements = simulate(pair_transition(4, 0.4))
    rng = np.random.default_rng(1)
    weight = (rng.random(1000) < 0.6).astype(float)
    kept = weight > 0
    other = np.where(kept, given, rng.integers(4, size=1000))
    torn = np.where(kept[:, None], judgements, rng.dirichlet(np.ones(4), size=(2, 1000)))
    alone = fit_pool(judgements[:, kept], given[kept])
    pool = fit_pool(torn, other, weight)
    for name in ("weights", "transitions", "likely", "evidence_of_noise"):
        assert_allclose(getattr(pool, name), getattr(alone, name), rtol=1e-4, atol=1e-5)


def test_pool_repeats_itself_for_a_seed():
    _, given, judgements = simulate(uniform_transition(4, 0.4), n_samples=300)
    first, same, other = (fit_pool(judgements, given, random_state=seed) for seed in (0, 0, 1))
    assert_array_equal(first.weights, same.weights)
    assert_array_equal(first.likely, same.likely)
    assert not np.array_equal(first.likely, other.likely)


def test_arguments_are_left_as_they_are():
    _, given, judgements = simulate(uniform_transition(4, 0.4), n_samples=100)
    weight = np.ones(100)
    for array in (given, judgements, weight):
        array.flags.writeable = False
    fit_pool(judgements, given, weight).truth(judgements)


# Few rows, few classes and many


def test_single_class_is_certain():
    pool = fit_pool(np.ones((2, 30, 1)), np.zeros(30, dtype=int))
    assert_allclose(pool.truth(np.ones((2, 30, 1))), 1)
    assert_allclose(pool.transition_matrix, 1)
    assert pool.evidence_of_noise == pytest.approx(0)


@pytest.mark.parametrize("matrix", [uniform_transition(2, 0.3), np.array([[0.6, 0.4], [0.1, 0.9]])])
@pytest.mark.parametrize("seed", range(3))
def test_noise_of_two_classes_is_found(matrix, seed):
    true, given, judgements = simulate(matrix, seed=seed)
    pool = fit_pool(judgements, given)
    assert_allclose(pool.transition_matrix, matrix, atol=0.1)
    assert accuracy(pool.truth(judgements), true) > 0.97


def test_more_than_two_hundred_classes_have_one_noise_rate():
    true, given, judgements = simulate(
        uniform_transition(201, 0.3), 2010, judges=((10, 0.9), (20, 0.8))
    )
    pool = fit_pool(judgements, given)
    assert pool.transitions.shape == (3, 201, 201)
    for matrix in pool.transitions:
        off_diagonal = matrix[~np.eye(201, dtype=bool)]
        assert np.ptp(off_diagonal) < 1e-12 > np.ptp(matrix.diagonal())
    assert pool.evidence_of_noise > MIN_EVIDENCE
    assert accuracy(pool.truth(judgements), true) > 0.99


@pytest.mark.parametrize("n_rows", [2, 3, 5])
@pytest.mark.parametrize("n_classes", [1, 2, 6])
def test_few_rows_give_a_finite_pool(n_rows, n_classes):
    rng = np.random.default_rng(0)
    judgements = rng.dirichlet(np.ones(n_classes), size=(3, n_rows))
    pool = fit_pool(judgements, np.arange(n_rows) % n_classes)
    assert np.isfinite(pool.evidence_of_noise)
    assert_allclose(pool.transition_matrix.sum(axis=1), 1)
    assert_allclose(pool.truth(judgements).sum(axis=1), 1)


def test_class_without_rows_is_nobody_s_label():
    true, given, judgements = simulate(uniform_transition(4, 0.4))
    judgements = np.pad(judgements, ((0, 0), (0, 0), (0, 2)))
    pool = fit_pool(judgements, given)
    truth = pool.truth(judgements)
    assert accuracy(truth, true) > 0.99
    assert truth[:, 4:].max() < 0.02
    assert_allclose(pool.transition_matrix[:4, :4], uniform_transition(4, 0.4), atol=0.08)


# Noise that goes by place


def random_proba(n_samples=400, n_classes=4, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(n_classes, 0.3), size=n_samples)


def test_without_noise_by_class_the_own_label_says_nothing():
    truth = random_proba()
    y_codes = np.arange(400) % 4  # three quarters of them not the judge's
    local_noise = fit_local_noise(truth, y_codes, np.eye(4))
    assert_array_equal(local_noise.shares, 1)
    assert local_noise.trust == 0
    likelihood = local_noise.likelihood(truth, y_codes, np.eye(4))
    assert_allclose(posterior(truth, likelihood), truth)


def test_where_noise_by_class_explains_all_the_own_label_counts_by_bayes_rule():
    # A judge that disagrees as often as the noise has it, or less.
    truth = random_proba()
    matrix, y_codes = pair_transition(4, 0.4), truth.argmax(axis=1)
    local_noise = fit_local_noise(truth, y_codes, matrix)
    assert_array_equal(local_noise.shares, 0)
    assert local_noise.trust == 1
    likelihood = local_noise.likelihood(truth, y_codes, matrix)
    assert_array_equal(likelihood, matrix[:, y_codes].T)
    assert_allclose(posterior(truth, likelihood), posterior_of_given(truth, y_codes, matrix))


def test_likelihood_is_a_mixture_of_noise_by_class_and_by_place():
    truth, matrix = random_proba(), uniform_transition(4, 0.3)
    y_codes = np.arange(400) % 4
    local_noise = LocalNoise(np.array([0.2, 0.5, 0.8]), np.array([0.9, 0.6, 0.3, 0.0]))
    likelihood = local_noise.likelihood(truth, y_codes, matrix)
    second, first = np.sort(truth, axis=1)[:, -2:].T
    shares = local_noise.shares[np.searchsorted([0.2, 0.5, 0.8], first - second)]
    assert_array_equal(local_noise.share_of(truth), shares)
    for row in range(400):
        at_place = truth[row] @ matrix[:, y_codes[row]]
        expected = (1 - shares[row]) * matrix[:, y_codes[row]] + shares[row] * at_place
        assert_allclose(likelihood[row], expected)
    # It is a probability of the given label, whatever is true.
    total = sum(local_noise.likelihood(truth, np.full(400, code), matrix) for code in range(4))
    assert_allclose(total, 1)


@pytest.mark.parametrize("weighted", [False, True])
def test_share_is_the_disagreement_that_noise_by_class_leaves_unexplained(weighted):
    truth, matrix = random_proba(), uniform_transition(4, 0.1)
    rng = np.random.default_rng(0)
    y_codes = draw(truth, rng)
    weight = rng.integers(0, 3, size=400).astype(float) if weighted else np.ones(400)
    local_noise = fit_local_noise(truth, y_codes, matrix, weight if weighted else None)
    second, first = np.sort(truth, axis=1)[:, -2:].T
    margins = first - second
    levels = [0.25, 0.5, 0.75]
    quartiles = np.quantile(margins[weight > 0], levels, method="inverted_cdf")
    assert_array_equal(local_noise.margins, quartiles)
    for quarter, share in enumerate(local_noise.shares):
        rows = np.searchsorted(quartiles, margins) == quarter
        disagrees = truth.argmax(axis=1) != y_codes
        n_disagreements = weight[rows] @ disagrees[rows] + 0.5
        n_by_class = weight[rows] @ (1 - (truth @ matrix.diagonal())[rows])
        assert share == pytest.approx(max(1 - n_by_class / n_disagreements, 0))
    assert local_noise.trust == pytest.approx(1 - local_noise.shares.mean())
    # The judge errs where it hesitates.
    assert local_noise.shares[0] > local_noise.shares[-1]


@pytest.mark.parametrize("seed", range(3))
def test_labels_wrong_by_class_are_believed_and_labels_wrong_by_place_are_not(seed):
    true, given, judgements = simulate(pair_transition(4, 0.4), seed=seed)
    pool = fit_pool(judgements, given)
    truth = pool.truth(judgements)
    assert fit_local_noise(truth, given, pool.transition_matrix).trust > 0.9
    second, first = np.argsort(truth, axis=1)[:, -2:].T
    margin = np.sort(truth, axis=1)[:, -1] - np.sort(truth, axis=1)[:, -2]
    by_place = np.where(margin < np.median(margin), second, first)
    assert fit_local_noise(truth, by_place, uniform_transition(4, 0.01)).shares[:2].min() > 0.9


def test_rows_of_weight_zero_do_not_count_for_local_noise():
    truth, y_codes = random_proba(), np.arange(400) % 4
    weight = (np.arange(400) % 3 > 0).astype(float)
    kept = weight > 0
    found = fit_local_noise(truth, y_codes, uniform_transition(4, 0.3), weight)
    alone = fit_local_noise(truth[kept], y_codes[kept], uniform_transition(4, 0.3))
    assert_allclose(found.margins, alone.margins)
    assert_allclose(found.shares, alone.shares)


@pytest.mark.parametrize("n_rows", [1, 2, 5])
@pytest.mark.parametrize("n_classes", [1, 2, 6])
def test_few_rows_and_classes_give_finite_local_noise(n_rows, n_classes):
    truth = random_proba(n_rows, n_classes)
    matrix = uniform_transition(n_classes, 0.3) if n_classes > 1 else np.ones((1, 1))
    y_codes = np.arange(n_rows) % n_classes
    local_noise = fit_local_noise(truth, y_codes, matrix)
    assert 0 <= local_noise.trust <= 1
    likelihood = local_noise.likelihood(truth, y_codes, matrix)
    assert ((likelihood > 0) & (likelihood <= 1)).all()


def test_judge_that_is_always_sure_is_compared_as_a_whole():
    # Margins that tie are not parted, and quarters without rows do not count.
    true = np.arange(400) % 4
    given = np.where(np.arange(400) % 10 < 4, (true + 1) % 4, true)
    local_noise = fit_local_noise(np.eye(4)[true], given, pair_transition(4, 0.4))
    assert_allclose(local_noise.shares, [1 - 160 / 160.5])
    assert_allclose(local_noise.share_of(np.eye(4)[true]), 1 - 160 / 160.5)


def test_quarters_that_tie_are_one():
    # Half of the rows are sure, the others all differ.
    truth = np.eye(2)[np.zeros(80, dtype=int)]
    truth[:40, 1] = np.linspace(0.1, 0.4, 40)
    truth[:40, 0] -= truth[:40, 1]
    local_noise = fit_local_noise(truth, np.zeros(80, dtype=int), np.eye(2))
    assert_allclose(local_noise.margins, [1 - 2 * truth[20, 1], 1 - 2 * truth[0, 1]])
    assert local_noise.shares.shape == (3,)
    strata = np.searchsorted(local_noise.margins, truth[:, 0] - truth[:, 1])
    assert_array_equal(np.bincount(strata), [20, 20, 40])
