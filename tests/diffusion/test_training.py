import copy
import dataclasses
import math

import pytest
import torch
from torch import nn

from skdiffusion_label.diffusion import (
    LabelDenoiser,
    LabelDiffusion,
    NoiseSchedule,
    Processes,
    TrainingData,
    TrainingSettings,
    TrainingState,
    _training,
    add_noise,
    label_evidence,
    train_denoiser,
)
from skdiffusion_label.diffusion._training import (
    draw_batches,
    draw_labels,
    draw_timesteps,
    drop_features,
    learning_rate_factor,
    warmed_up_decay,
)

PREDICTION_TYPES = pytest.mark.parametrize("prediction_type", ["logits", "sample", "epsilon"])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_model(n_features=2, n_classes=3, n_timesteps=20, prediction_type="logits", seed=0):
    denoiser = LabelDenoiser(n_features, n_classes, n_timesteps, hidden_size=16)
    denoiser.initialize(generator(seed))
    return LabelDiffusion(denoiser, NoiseSchedule("cosine", n_timesteps), prediction_type)


def make_data(n=96, sample_weight=None, prior=False):
    """Return three well separated classes with sure labels."""
    codes = torch.arange(n) % 3
    centers = torch.tensor([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
    features = centers[codes] + 0.2 * torch.randn(n, 2, generator=generator(1))
    distributions = torch.eye(3)[codes]
    weight = torch.ones(n) if sample_weight is None else sample_weight
    return TrainingData(features, distributions, weight, distributions / 2 if prior else None)


def train(model, data, seed=0, **settings):
    settings = TrainingSettings(**{"n_epochs": 2, "batch_size": 32, "dropout": 0.0, **settings})
    state = TrainingState(model, settings, generator(seed))
    return [(loss, state.averaged) for loss in train_denoiser(data, state)]


# Timesteps


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 64, 65])
@pytest.mark.parametrize("n_timesteps", [1, 2, 5, 1000])
def test_timesteps_are_mirrored_pairs_within_range(n, n_timesteps):
    t = draw_timesteps(n, n_timesteps, generator())
    assert t.shape == (n,)
    assert t.dtype == torch.int64
    assert int(t.min()) >= 0
    assert int(t.max()) < n_timesteps
    assert torch.equal(t[1::2], n_timesteps - 1 - t[: n - 1 : 2])


def test_timesteps_are_uniform():
    t = draw_timesteps(40_001, 10, generator())
    frequencies = torch.bincount(t, minlength=10) / len(t)
    assert (frequencies - 0.1).abs().max() < 4 * (0.1 * 0.9 / 20_000) ** 0.5
    # A batch's mean timestep hardly varies: only the first of the odd pairs is alone.
    assert float(t.double().mean()) == pytest.approx(4.5, abs=9 / len(t) * 2)


def test_every_second_timestep_is_the_start():
    t = draw_timesteps(40_001, 10, generator(), start=7)
    assert (t[1::2] == 7).all()
    frequencies = torch.bincount(t[::2], minlength=10) / 20_001
    assert (frequencies - 0.1).abs().max() < 4 * (0.1 * 0.9 / 20_000) ** 0.5


@PREDICTION_TYPES
def test_half_of_the_rows_are_trained_where_prediction_starts(prediction_type, monkeypatch):
    model, data = make_model(prediction_type=prediction_type), make_data(40)
    seen, loss = [], model.loss
    monkeypatch.setattr(model, "loss", lambda *batch: seen.append(batch[3]) or loss(*batch))
    train(model, data, n_epochs=1, batch_size=8)
    at_start = (torch.cat(seen)[1::2] == model.timesteps(1)[0]).all()
    assert bool(at_start) == (prediction_type == "logits")


# Labels


def test_labels_are_drawn_as_often_as_their_probability():
    distributions = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]])
    n_draws = 20_000
    for row in distributions:
        uniforms = torch.rand(n_draws, generator=generator())
        drawn = draw_labels(row.expand(n_draws, 3), uniforms)
        frequencies = torch.bincount(drawn, minlength=3) / n_draws
        standard_error = (row * (1 - row) / n_draws).sqrt()
        assert ((frequencies - row).abs() <= 4 * standard_error).all()


def test_label_is_drawn_by_inverting_the_cumulative_distribution():
    distributions = torch.tensor([[0.25, 0.25, 0.5]]).expand(5, 3)
    uniforms = torch.tensor([0.0, 0.2, 0.25, 0.49, 0.5])
    assert draw_labels(distributions, uniforms).tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_class_of_probability_zero_is_never_drawn(dtype):
    n = 2000
    distributions = torch.rand(n, 40, generator=generator(), dtype=dtype)
    distributions *= torch.rand(n, 40, generator=generator(1)) < 0.2
    distributions[:, [0, -1]] = 0
    distributions[:, 5] += 1e-3
    distributions /= distributions.sum(dim=1, keepdim=True)
    largest = torch.nextafter(torch.ones((), dtype=dtype), torch.zeros((), dtype=dtype))
    for uniforms in (
        torch.zeros(n, dtype=dtype),
        largest.expand(n),
        torch.rand(n, generator=generator(2), dtype=dtype),
    ):
        drawn = draw_labels(distributions, uniforms)
        assert (distributions.gather(1, drawn.unsqueeze(1)) > 0).all()


def test_distributions_need_not_sum_to_one_exactly():
    uniforms = torch.rand(500, generator=generator())
    row = torch.tensor([0.2, 0.3, 0.5])
    drawn = draw_labels(row.expand(500, 3), uniforms)
    assert torch.equal(draw_labels(row.mul(4).expand(500, 3), uniforms), drawn)


# Loss


@PREDICTION_TYPES
@pytest.mark.parametrize("prior", [False, True], ids=["no prior", "prior"])
def test_loss_is_the_weighted_mean_of_each_row_s_error(prediction_type, prior):
    model = make_model(prediction_type=prediction_type).eval()
    data = make_data(12, prior=prior)
    noise = torch.randn(12, 3, generator=generator(2))
    t = torch.arange(12)
    codes = torch.arange(12) % 3
    weights = torch.rand(12, generator=generator(3))
    distributions = torch.rand(12, 3, generator=generator(4))
    loss = model.loss(distributions, codes, noise, t, data.features, weights, data.prior_mean)
    y_0 = torch.eye(3)[codes]
    y_t = add_noise(y_0, noise, t, model.schedule, data.prior_mean)
    output = model.denoiser(y_t, t, model.denoiser.encode(data.features))
    evidence = label_evidence(y_t, t, model.schedule, data.prior_mean)
    posterior = (distributions.log() + evidence).softmax(dim=1)
    if prediction_type == "logits":
        # The denoiser's logits correct those of the prior guess, of which zeros are not certain.
        offset = data.prior_mean.clamp(min=1e-4).log() if prior else 0
        output = output + offset + evidence
        errors = output.logsumexp(dim=1) - (posterior * output).sum(dim=1)
    else:
        target = posterior if prediction_type == "sample" else noise
        errors = ((output - target) ** 2).mean(dim=1)
    torch.testing.assert_close(loss, (weights * errors).sum())


class Saying(nn.Module):
    """Stands in for a denoiser: it says the same of each row."""

    def __init__(self, output):
        super().__init__()
        self.output = nn.Parameter(output)

    def encode(self, features, inputs=None):
        return ()

    def forward(self, y_t, t, condition):
        return self.output.expand(*y_t.shape)


def test_without_a_correction_the_last_prediction_is_the_prior():
    schedule = NoiseSchedule("cosine", 1000)
    model = LabelDiffusion(Saying(torch.zeros(3)), schedule, "logits")
    prior_mean = torch.rand(20, 3, generator=generator()).softmax(dim=1)
    (t,) = model.timesteps(1)
    y_t = prior_mean + torch.randn(20, 3, generator=generator(1))
    proba = model.predict_label(y_t, torch.tensor(t), (), prior_mean)
    # Next to no signal is left in the diffused label.
    torch.testing.assert_close(proba, prior_mean, atol=1e-3, rtol=0)
    without = model.predict_label(y_t, torch.tensor(t), ())
    torch.testing.assert_close(without, torch.full((20, 3), 1 / 3), atol=1e-3, rtol=0)


def test_class_that_the_prior_rules_out_can_be_brought_back():
    schedule = NoiseSchedule("cosine", 1000)
    prior_mean = torch.tensor([[1.0, 0.0, 0.0]])
    for correction, expected in [(0.0, [1, 1e-4, 1e-4]), (9.0, [1, 0.81031, 1e-4])]:
        model = LabelDiffusion(Saying(torch.tensor([0.0, correction, 0.0])), schedule, "logits")
        proba = model.predict_label(prior_mean, torch.tensor(999), (), prior_mean)
        expected = torch.tensor([expected])
        torch.testing.assert_close(proba, expected / expected.sum(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("t", [10, 15, 19])
def test_loss_is_smallest_where_prior_and_correction_make_the_target(t):
    target = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    prior_mean = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64).expand(8, 3)
    model = LabelDiffusion(
        Saying(target.log() - prior_mean[0].log()), NoiseSchedule("cosine", 20), "logits"
    )
    batch = dict(
        label_distributions=target.expand(8, 3),
        y_codes=torch.arange(8) % 3,
        noise=torch.randn(8, 3, generator=generator(), dtype=torch.float64),
        t=torch.full((8,), t),
        features=torch.zeros(8, 2, dtype=torch.float64),
        weights=torch.rand(8, generator=generator(1), dtype=torch.float64),
        prior_mean=prior_mean,
    )
    loss = model.loss(**batch)
    loss.backward()
    torch.testing.assert_close(model.denoiser.output.grad, torch.zeros(3, dtype=torch.float64))
    step = torch.tensor([0.3, -0.2, 0.0], dtype=torch.float64)
    for direction in (step, -step):
        model.denoiser.output.data += direction
        assert model.loss(**batch) > loss
        model.denoiser.output.data -= direction


def batches_of(data, weighting="uniform", rows=None, n_batches=1, dropout=0.0):
    """Return what the loss is given for each batch, by name."""
    settings = TrainingSettings(n_epochs=1, label_weighting=weighting, dropout=dropout)
    rows = torch.arange(len(data)) if rows is None else rows
    names = (
        "label_distributions",
        "y_codes",
        "noise",
        "t",
        "features",
        "weights",
        "prior_mean",
    )
    schedule = NoiseSchedule("cosine", 20)
    batches = draw_batches(data, rows, n_batches, settings, schedule, generator())
    return [dict(zip(names, batch, strict=True)) for batch in batches]


def batch_of(data, weighting, rows=None, dropout=0.0):
    (batch,) = batches_of(data, weighting, rows, dropout=dropout)
    return batch


def batch_loss(model, data, weighting):
    return model.loss(**batch_of(data, weighting))


def soft_data(n=50, sample_weight=None):
    distributions = torch.rand(n, 3, generator=generator(5))
    distributions /= distributions.sum(dim=1, keepdim=True)
    weight = torch.rand(n, generator=generator(6)) if sample_weight is None else sample_weight
    return TrainingData(torch.randn(n, 2, generator=generator(7)), distributions, weight)


def test_agreement_weights_of_a_batch_sum_to_one():
    assert float(batch_of(soft_data(), "agreement")["weights"].sum()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("class_weight", [None, torch.tensor([0.5, 1.0, 5.0])])
@pytest.mark.parametrize("weighting", ["agreement", "uniform"])
def test_draws_and_weights_amount_to_weighing_drawn_labels(weighting, class_weight):
    # Drawing a label and weighing it, or drawing by the weights and weighing the row by their sum.
    data = dataclasses.replace(soft_data(), class_weight=class_weight)
    rows = torch.tensor([4, 1, 30])
    given = batch_of(data, weighting, rows)
    drawn_and_weighed = data.label_distributions[rows]
    if weighting == "agreement":
        drawn_and_weighed = drawn_and_weighed * data.label_distributions[rows]
    if class_weight is not None:
        drawn_and_weighed = drawn_and_weighed * class_weight
    torch.testing.assert_close(given["label_distributions"], drawn_and_weighed)
    expected = data.sample_weight[rows] * drawn_and_weighed.sum(dim=1)
    scale = expected.sum() if weighting == "agreement" else 3
    torch.testing.assert_close(given["weights"], expected / scale)


def test_a_class_of_weight_zero_is_not_drawn():
    data = dataclasses.replace(soft_data(), class_weight=torch.tensor([0.0, 1.0, 5.0]))
    assert (batch_of(data, "uniform")["y_codes"] > 0).all()


@pytest.mark.parametrize("prediction_type", ["logits", "sample"])
def test_expected_target_has_the_mean_gradient_of_drawn_labels_and_less_variance(prediction_type):
    model = make_model(prediction_type=prediction_type).double().eval()
    n = 4000
    distributions = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64).expand(n, 3)
    features = torch.ones(n, 2, dtype=torch.float64)
    codes = draw_labels(distributions, torch.rand(n, generator=generator(1)))
    noise = torch.randn(n, 3, generator=generator(2), dtype=torch.float64)
    t = torch.full((n,), 10)
    y_0 = torch.eye(3, dtype=torch.float64)[codes]
    y_t = add_noise(y_0, noise, t, model.schedule)
    output = model.denoiser(y_t, t, model.denoiser.encode(features)).detach()
    evidence = label_evidence(y_t, t, model.schedule)
    guess = (output + evidence).softmax(dim=1) if prediction_type == "logits" else output
    drawn = guess - y_0
    expected = guess - (distributions.log() + evidence).softmax(dim=1)
    spread = (drawn - expected).std(dim=0) / n**0.5
    assert ((drawn - expected).mean(dim=0).abs() < 4 * spread).all()
    assert (expected.var(dim=0) < drawn.var(dim=0)).all()


def test_agreement_of_sure_labels_weighs_all_rows_alike():
    given = batch_of(make_data(40), "agreement")
    torch.testing.assert_close(given["weights"], torch.full((40,), 1 / 40))


def test_scale_of_sample_weights_does_not_matter_under_agreement():
    data = soft_data()
    scaled = soft_data(sample_weight=data.sample_weight * 1000)
    torch.testing.assert_close(
        batch_of(scaled, "agreement")["weights"], batch_of(data, "agreement")["weights"]
    )


@pytest.mark.parametrize("weighting", ["uniform", "agreement"])
def test_rows_of_weight_zero_do_not_enter_the_loss(weighting):
    ignored = torch.arange(50) % 4 == 0
    data = soft_data(sample_weight=(~ignored).float())
    other = copy.deepcopy(data)
    other.features[ignored] += 10
    other.label_distributions[ignored] = torch.tensor([1.0, 0.0, 0.0])
    # In evaluation mode, as in training all rows of a batch enter its normalization.
    model = make_model().eval()
    losses = [batch_loss(model, either, weighting) for either in (data, other)]
    torch.testing.assert_close(losses[0], losses[1])
    assert (batch_of(data, weighting)["weights"][ignored] == 0).all()


def test_batch_of_weights_all_zero_has_a_loss_of_zero():
    data = soft_data(sample_weight=torch.zeros(50))
    loss = batch_loss(make_model(), data, "agreement")
    assert loss.item() == 0


def test_batch_takes_features_and_prior_means_of_its_rows():
    data = make_data(30, prior=True)
    rows = torch.tensor([5, 2, 9])
    given = batch_of(data, "uniform", rows)
    assert torch.equal(given["features"], data.features[rows])
    assert torch.equal(given["prior_mean"], data.prior_mean[rows])
    assert given["y_codes"].tolist() == [2, 2, 0]
    assert given["noise"].shape == (3, 3)
    assert batch_of(make_data(30), "uniform", rows)["prior_mean"] is None


# Dropout


@pytest.mark.parametrize("dropout", [1e-4, 0.2, 0.7, 0.999])
def test_dropout_is_exact_on_average_over_batches(dropout):
    # A byte decides about each feature; one batch alone drops a multiple of 1 / 256 of them.
    source, n = generator(), 3000
    dropped = sum(
        int((drop_features(torch.ones(9, 7), dropout, source) == 0).sum()) for _ in range(n)
    )
    n_bytes_variance = dropout * (1 - dropout) * 63 + (63 / 256) ** 2 / 4
    assert dropped / n == pytest.approx(63 * dropout, abs=4 * (n_bytes_variance / n) ** 0.5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_takes_any_number_of_features(shape, dtype):
    features = torch.randn(shape, generator=generator(1), dtype=dtype)
    dropped = drop_features(features, 0.5, generator())
    assert dropped.dtype == dtype
    torch.testing.assert_close(dropped, torch.where(dropped == 0, 0.0, 2 * features))


@pytest.mark.parametrize("dropout", [0.2, 0.7])
def test_dropout_zeroes_a_share_of_features_and_keeps_their_mean(dropout):
    features = torch.ones(200, 100)
    dropped = drop_features(features, dropout, generator())
    assert torch.equal(features, torch.ones(200, 100))
    share = (dropped == 0).float().mean().item()
    assert share == pytest.approx(dropout, abs=4 * (dropout * (1 - dropout) / 20_000) ** 0.5)
    kept = dropped[dropped != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - dropout)))


def test_dropout_draws_from_its_generator_alone():
    before = torch.get_rng_state()
    first, same, other = (
        drop_features(torch.ones(20, 5), 0.5, generator(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_without_dropout_features_stay_and_no_number_is_drawn():
    features, source = torch.randn(20, 5, generator=generator()), generator()
    assert torch.equal(drop_features(features, 0.0, source), features)
    assert torch.equal(source.get_state(), generator().get_state())


def test_training_drops_features_but_prediction_does_not():
    data = soft_data()
    dropped = batch_of(data, "uniform", dropout=0.5)["features"]
    share = (dropped == 0).float().mean().item()
    assert share == pytest.approx(0.5, abs=4 * (0.25 / 100) ** 0.5)
    model = make_model().eval()
    first, second = model.denoiser.encode(data.features), model.denoiser.encode(data.features)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


# Learning rate and averages


@pytest.mark.parametrize("warmup_fraction", [0.0, 0.05, 0.5])
def test_learning_rate_is_the_published_formula(warmup_fraction):
    # lr = 0.5 lr (1 + cos(pi (e - w) / (N - w))) after a linear rise, in epochs.
    n_epochs = 200
    warmup = warmup_fraction * n_epochs
    for epoch in range(n_epochs + 1):
        if epoch < warmup:
            expected = epoch / warmup
        else:
            expected = 0.5 * (1 + math.cos(math.pi * (epoch - warmup) / (n_epochs - warmup)))
        factor = learning_rate_factor(epoch / n_epochs, warmup_fraction)
        assert factor == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("warmup_fraction", [0.0, 0.05, 0.5])
def test_learning_rate_rises_to_one_and_falls_to_zero(warmup_fraction):
    assert learning_rate_factor(warmup_fraction, warmup_fraction) == 1
    assert learning_rate_factor(1.0, warmup_fraction) == pytest.approx(0, abs=1e-12)
    middle = (1 + warmup_fraction) / 2
    assert learning_rate_factor(middle, warmup_fraction) == pytest.approx(0.5)
    factors = torch.tensor([learning_rate_factor(i / 100, warmup_fraction) for i in range(101)])
    peak = round(100 * warmup_fraction)
    assert (factors[: peak + 1].diff() > 0).all()
    assert (factors[peak:].diff() < 0).all()


def test_decay_is_warmed_up_to_the_one_asked_for():
    decays = [warmed_up_decay(0.999, update) for update in range(20_000)]
    assert decays[0] == 0.1
    assert decays[8] == 0.5
    assert decays == sorted(decays)
    assert decays[-1] == 0.999
    assert all(warmed_up_decay(0.0, update) == 0 for update in range(10))


# Training


@PREDICTION_TYPES
@pytest.mark.parametrize("encoder", ["linear", "mlp"])
def test_every_parameter_changes_in_one_epoch(encoder, prediction_type):
    denoiser = LabelDenoiser(2, 3, 20, hidden_size=16, encoder=encoder)
    denoiser.initialize(generator())
    model = LabelDiffusion(denoiser, NoiseSchedule("cosine", 20), prediction_type)
    before = copy.deepcopy(dict(model.named_parameters()))
    # Without weight decay, which would move a parameter that gets no gradient too.
    train(model, make_data(), n_epochs=1, weight_decay=0.0)
    for name, value in before.items():
        assert not torch.equal(model.get_parameter(name), value), name


def test_training_of_a_single_update_changes_the_weights():
    model = make_model()
    before = copy.deepcopy(dict(model.named_parameters()))
    train(model, make_data(30), n_epochs=1)
    for name, value in before.items():
        assert not torch.equal(model.get_parameter(name), value), name


def test_what_is_yielded_is_the_average_over_updates():
    model = make_model()
    epochs = train(model, make_data(), n_epochs=3)
    losses, averages = zip(*epochs, strict=True)
    assert len(losses) == 3
    assert all(isinstance(loss, float) and loss > 0 for loss in losses)
    averaged = averages[0]
    assert all(other is averaged for other in averages)
    assert averaged is not model
    assert not averaged.training
    assert not any(parameter.requires_grad for parameter in averaged.parameters())
    for name, parameter in averaged.named_parameters():
        assert not torch.equal(parameter, model.get_parameter(name)), name


def test_average_follows_its_recursion_over_the_updates(monkeypatch):
    states, decays = [], []
    original = _training.warmed_up_decay

    def watch(ema_decay, update):
        states.append(copy.deepcopy(model.state_dict()))
        decays.append(original(ema_decay, update))
        return decays[-1]

    monkeypatch.setattr(_training, "warmed_up_decay", watch)
    model = make_model()
    expected = copy.deepcopy(model.state_dict())
    *_, (_, averaged) = train(model, make_data(), ema_decay=0.5)
    assert decays == [warmed_up_decay(0.5, update) for update in range(6)]
    for state, decay in zip(states, decays, strict=True):
        for name, value in state.items():
            if value.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * value
    for name, value in averaged.state_dict().items():
        is_counter = not value.is_floating_point()
        torch.testing.assert_close(
            value, model.state_dict()[name] if is_counter else expected[name]
        )


def test_average_with_decay_zero_is_the_trained_model():
    model = make_model()
    *_, (_, averaged) = train(model, make_data(), ema_decay=0.0)
    for name, value in averaged.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, model.state_dict()[name])


@PREDICTION_TYPES
@pytest.mark.parametrize("prior", [False, True], ids=["no prior", "prior"])
def test_loss_falls_on_an_easy_problem(prediction_type, prior):
    model = make_model(prediction_type=prediction_type)
    epochs = train(model, make_data(prior=prior), n_epochs=30, weight_decay=0.0, learning_rate=0.01)
    losses = [loss for loss, _ in epochs]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_easy_classes_are_learned():
    model, data = make_model(), make_data()
    *_, (_, averaged) = train(model, data, n_epochs=30)
    timesteps = averaged.timesteps(1)
    start = torch.randn(4, 96, 3, generator=generator(4))
    with torch.no_grad():
        (y_0,) = averaged.denoise(start, timesteps, data.features)
    assert torch.equal(y_0.mean(dim=0).argmax(dim=1), data.label_distributions.argmax(dim=1))


def test_same_seed_gives_the_same_weights_bit_for_bit():
    def weights(seed):
        model = make_model()
        before = torch.get_rng_state()
        *_, (loss, averaged) = train(model, make_data(), seed=seed, dropout=0.3)
        assert torch.equal(torch.get_rng_state(), before)
        return loss, {**model.state_dict(), **averaged.denoiser.state_dict()}

    (loss, first), (same_loss, same), (other_loss, other) = (weights(seed) for seed in (0, 0, 1))
    assert loss == same_loss != other_loss
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["denoiser.output.weight"], other["denoiser.output.weight"])


@pytest.mark.parametrize("n", range(2, 10))
@pytest.mark.parametrize("batch_size", [2, 3, 4])
def test_batch_normalization_never_sees_a_single_row(n, batch_size):
    model = make_model()
    sizes = []
    norm = model.denoiser.encoder_norm
    norm.register_forward_hook(lambda module, args, output: sizes.append(len(args[0])))
    ((loss, _),) = train(model, make_data(n), n_epochs=1, batch_size=batch_size)
    assert math.isfinite(loss)
    assert min(sizes) >= 2
    assert sum(sizes) == n
    assert max(sizes) <= max(batch_size, 3)


def test_each_epoch_visits_each_row_once_in_a_new_order(monkeypatch):
    seen = []
    original = _training.drop_features

    def watch(features, *args):
        seen.append(features[:, 0].tolist())
        return original(features, *args)

    monkeypatch.setattr(_training, "drop_features", watch)
    data = make_data(30)
    data.features[:, 0] = torch.arange(30)
    train(make_model(), data, n_epochs=2, batch_size=10)
    epochs = [sum(seen[:3], []), sum(seen[3:], [])]
    assert all(sorted(epoch) == list(range(30)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_a_row_s_draws_stay_together_in_its_batch():
    data = soft_data()
    data = dataclasses.replace(data, prior_mean=data.label_distributions + 1)
    order = torch.randperm(50, generator=generator(8))
    batches = batches_of(data, "uniform", order, n_batches=4)
    assert [len(batch["y_codes"]) for batch in batches] == [13, 13, 12, 12]
    joined = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    whole = batch_of(data, "uniform", order)
    sizes = torch.cat([torch.full((len(batch["t"]),), len(batch["t"])) for batch in batches])
    whole["weights"] = whole["weights"] * 50 / sizes
    torch.testing.assert_close(joined, whole)


def gradient_of_only_update(monkeypatch, max_grad_norm):
    gradients = []
    original = torch.optim.AdamW.step

    def watch(self):
        gradients.append(self.param_groups[0]["params"][0].grad.clone())
        return original(self)

    monkeypatch.setattr(torch.optim.AdamW, "step", watch)
    train(make_model(), make_data(), n_epochs=1, batch_size=96, max_grad_norm=max_grad_norm)
    (gradient,) = gradients
    monkeypatch.undo()
    return gradient


def test_gradients_are_clipped(monkeypatch):
    free, clipped = (gradient_of_only_update(monkeypatch, norm) for norm in (1e9, 1e-3))
    assert free.norm() > 0.01
    assert float(clipped.norm()) == pytest.approx(1e-3, rel=1e-3)
    # Clipping keeps the direction.
    torch.testing.assert_close(free / free.norm(), clipped / clipped.norm())


def test_weights_and_their_average_do_not_share_memory_but_each_lies_in_one_piece():
    model = make_model()
    *_, (_, averaged) = train(model, make_data())
    pieces = [
        {value.untyped_storage().data_ptr() for value in either.denoiser.parameters()}
        for either in (model, averaged)
    ]
    assert len(pieces[0]) == len(pieces[1]) == 1
    assert pieces[0] != pieces[1]


def test_step_size_follows_the_schedule(monkeypatch):
    rates = []
    original = torch.optim.AdamW.step

    def watch(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", watch)
    train(make_model(), make_data(), n_epochs=10, learning_rate=0.01, warmup_fraction=0.2)
    assert len(rates) == 30
    assert max(rates) == pytest.approx(0.01, rel=0.02)
    assert rates.index(max(rates)) in (5, 6)
    assert rates[-1] < 1e-3 * 0.2


def test_weight_decay_shrinks_the_weights():
    def size(weight_decay):
        model = make_model()
        train(model, make_data(), n_epochs=10, weight_decay=weight_decay)
        return model.denoiser.output.weight.norm().item()

    assert size(30.0) < 0.7 * size(0.0)


# States and processes


@pytest.mark.parametrize("n_epochs", [1, 2])
def test_training_goes_on_from_a_state_bit_for_bit(n_epochs):
    settings = TrainingSettings(n_epochs=3, batch_size=32)
    unbroken = TrainingState(make_model(), settings, generator())
    losses = list(train_denoiser(make_data(), unbroken))
    stopped = TrainingState(make_model(), settings, generator())
    for _, _ in zip(range(n_epochs), train_denoiser(make_data(), stopped), strict=False):
        saved = stopped.state_dict()
    resumed = TrainingState(make_model(seed=5), settings, generator(5))
    resumed.load_state_dict(saved)
    assert list(train_denoiser(make_data(), resumed)) == losses[n_epochs:]
    for one, other in ((unbroken.model, resumed.model), (unbroken.averaged, resumed.averaged)):
        for name, value in one.state_dict().items():
            assert torch.equal(other.state_dict()[name], value), name


def test_saved_state_is_not_changed_by_what_follows():
    state = TrainingState(make_model(), TrainingSettings(2, batch_size=32), generator())
    saved = state.state_dict()
    before = copy.deepcopy(saved)
    list(train_denoiser(make_data(), state))
    assert torch.equal(saved["vector"], before["vector"])
    assert not torch.equal(state.vector, before["vector"])
    assert saved["n_updates"] == 0


def test_shares_of_processes_make_up_the_batch():
    batch = torch.arange(11)
    shares = [Processes(index, 3).share(batch) for index in range(3)]
    assert sorted(torch.cat(shares).tolist()) == list(range(11))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_gradients_of_processes_add_up_to_that_of_the_batch():
    data, gradients = make_data(), []

    def keep(gradient):
        if gradient.ndim:
            gradients.append(gradient.clone())
        return gradient

    def first_gradient(processes):
        gradients.clear()
        # In evaluation mode batch normalization does not tie the rows of a share together.
        model = make_model()
        for norm in (*model.denoiser.norms, model.denoiser.encoder_norm):
            norm.eval().train = lambda mode=True: None
        settings = TrainingSettings(1, batch_size=len(data), dropout=0.3)
        list(train_denoiser(data, TrainingState(model, settings, generator()), processes))
        return gradients[0]

    whole = first_gradient(Processes(add=keep))
    halves = [first_gradient(Processes(index, 2, keep)) for index in range(2)]
    torch.testing.assert_close(halves[0] + halves[1], whole)
