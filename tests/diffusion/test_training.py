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
    TrainingData,
    TrainingSettings,
    _training,
    add_noise,
    train_denoiser,
)
from skdiffusion_label.diffusion._training import (
    antithetic_timesteps,
    draw_labels,
    drop_features,
    learning_rate_factor,
    update_average,
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
    return list(train_denoiser(model, data, settings, generator(seed)))


# Timesteps


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 64, 65])
@pytest.mark.parametrize("n_timesteps", [1, 2, 5, 1000])
def test_antithetic_timesteps_are_mirrored_pairs_within_range(n, n_timesteps):
    t = antithetic_timesteps(n, n_timesteps, generator())
    assert t.shape == (n,)
    assert t.dtype == torch.int64
    assert int(t.min()) >= 0
    assert int(t.max()) < n_timesteps
    half = n // 2 + 1
    assert torch.equal(t[half:], n_timesteps - 1 - t[: n - half])


def test_antithetic_timesteps_are_uniform():
    t = antithetic_timesteps(40_001, 10, generator())
    frequencies = torch.bincount(t, minlength=10) / len(t)
    assert (frequencies - 0.1).abs().max() < 4 * (0.1 * 0.9 / 20_000) ** 0.5
    # A batch's mean timestep hardly varies: only the first of the odd pairs is alone.
    assert float(t.double().mean()) == pytest.approx(4.5, abs=9 / len(t) * 2)


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
    loss = model.loss(codes, noise, t, data.features, weights, data.prior_mean)
    y_0 = torch.eye(3)[codes]
    y_t = add_noise(y_0, noise, t, model.schedule, data.prior_mean)
    output = model.denoiser(y_t, t, model.denoiser.encode(data.features))
    if prediction_type == "logits":
        errors = output.logsumexp(dim=1) - output[torch.arange(12), codes]
    else:
        target = y_0 if prediction_type == "sample" else noise
        errors = ((output - target) ** 2).mean(dim=1)
    torch.testing.assert_close(loss, (weights * errors).sum())


class Recorder(nn.Module):
    """Stands in for the model and keeps what its loss was given."""

    schedule = NoiseSchedule("cosine", 20)

    def loss(self, y_codes, noise, t, features, weights, prior_mean):
        self.given = dict(
            y_codes=y_codes,
            noise=noise,
            t=t,
            features=features,
            weights=weights,
            prior_mean=prior_mean,
        )
        return weights.sum()


def batch_loss(model, data, weighting, rows=None, dropout=0.0):
    settings = TrainingSettings(n_epochs=1, label_weighting=weighting, dropout=dropout)
    rows = torch.arange(len(data)) if rows is None else rows
    return _training._batch_loss(model, data, rows, settings, generator())


def batch_of(data, weighting, rows=None, dropout=0.0):
    recorder = Recorder()
    batch_loss(recorder, data, weighting, rows, dropout)
    return recorder.given


def soft_data(n=50, sample_weight=None):
    distributions = torch.rand(n, 3, generator=generator(5))
    distributions /= distributions.sum(dim=1, keepdim=True)
    weight = torch.rand(n, generator=generator(6)) if sample_weight is None else sample_weight
    return TrainingData(torch.randn(n, 2, generator=generator(7)), distributions, weight)


def test_agreement_weights_of_a_batch_sum_to_one():
    assert float(batch_of(soft_data(), "agreement")["weights"].sum()) == pytest.approx(1, abs=1e-6)


def test_agreement_weighs_a_row_by_the_probability_of_its_drawn_label():
    data = soft_data()
    rows = torch.tensor([4, 1, 30])
    given = batch_of(data, "agreement", rows)
    agreement = data.label_distributions[rows, given["y_codes"]]
    expected = data.sample_weight[rows] * agreement
    torch.testing.assert_close(given["weights"], expected / expected.sum())
    uniform = batch_of(data, "uniform", rows)["weights"]
    torch.testing.assert_close(uniform, data.sample_weight[rows] / 3)


def test_class_weights_weigh_the_drawn_label():
    data, rows = soft_data(), torch.tensor([4, 1, 30])
    class_weight = torch.tensor([0.0, 1.0, 5.0])
    weighted = dataclasses.replace(data, class_weight=class_weight)
    given = batch_of(weighted, "uniform", rows)
    expected = data.sample_weight[rows] * class_weight[given["y_codes"]] / 3
    torch.testing.assert_close(given["weights"], expected)


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


def test_average_moves_weights_and_statistics_and_copies_counts():
    averaged, model = make_model(seed=0), make_model(seed=1)
    for norm in model.denoiser.norms:
        norm.running_mean += 3
        norm.num_batches_tracked += 7
    before = copy.deepcopy(averaged.state_dict())
    update_average(averaged, model, 0.9)
    target = model.state_dict()
    for name, value in averaged.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.9 * before[name] + 0.1 * target[name])
        else:
            assert int(value) == int(target[name])


def test_average_with_decay_zero_is_the_model_and_with_one_stays():
    averaged, model = make_model(seed=0), make_model(seed=1)
    before = copy.deepcopy(averaged.state_dict())
    update_average(averaged, model, 1.0)
    for name, value in averaged.state_dict().items():
        assert torch.equal(value, before[name])
    update_average(averaged, model, 0.0)
    for name, value in averaged.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


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
    original = _training.update_average

    def watch(averaged, model, decay):
        states.append(copy.deepcopy(model.state_dict()))
        decays.append(decay)
        original(averaged, model, decay)

    monkeypatch.setattr(_training, "update_average", watch)
    model = make_model()
    expected = copy.deepcopy(model.state_dict())
    *_, (_, averaged) = train(model, make_data(), ema_decay=0.5)
    assert decays == [warmed_up_decay(0.5, update) for update in range(6)]
    for state, decay in zip(states, decays, strict=True):
        for name, value in state.items():
            is_count = not value.is_floating_point()
            expected[name] = value if is_count else decay * expected[name] + (1 - decay) * value
    torch.testing.assert_close(dict(averaged.state_dict()), dict(expected))


def test_average_with_decay_zero_is_the_trained_model():
    model = make_model()
    *_, (_, averaged) = train(model, make_data(), ema_decay=0.0)
    for name, value in averaged.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


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
    original = _training._batch_loss

    def watch(model, data, rows, *args):
        seen.append(rows.tolist())
        return original(model, data, rows, *args)

    monkeypatch.setattr(_training, "_batch_loss", watch)
    train(make_model(), make_data(30), n_epochs=2, batch_size=10)
    epochs = [sum(seen[:3], []), sum(seen[3:], [])]
    assert all(sorted(epoch) == list(range(30)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def gradient_norm(model):
    return float(torch.stack([p.grad.norm() for p in model.parameters()]).norm())


def test_gradients_are_clipped():
    free, clipped = make_model(), make_model()
    train(free, make_data(), n_epochs=1, batch_size=96, max_grad_norm=1e9)
    train(clipped, make_data(), n_epochs=1, batch_size=96, max_grad_norm=1e-3)
    assert gradient_norm(free) > 0.01
    assert gradient_norm(clipped) == pytest.approx(1e-3, rel=1e-2)
    # Clipping keeps the direction.
    for one, other in zip(free.parameters(), clipped.parameters(), strict=True):
        ratio = gradient_norm(free) / gradient_norm(clipped)
        torch.testing.assert_close(one.grad, other.grad * ratio, rtol=1e-3, atol=1e-6)


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
