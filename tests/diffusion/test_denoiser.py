import pytest
import torch
from torch import nn

from skdiffusion_label.diffusion import LabelDenoiser, LabelDiffusion, NoiseSchedule

N_FEATURES, N_CLASSES, N_TIMESTEPS, HIDDEN_SIZE = 5, 3, 20, 8
ENCODERS = pytest.mark.parametrize("encoder", ["linear", "mlp"])


def make_denoiser(encoder="linear", seed=0):
    """Return a denoiser in which no scale, shift or statistic has its trivial value."""
    denoiser = LabelDenoiser(N_FEATURES, N_CLASSES, N_TIMESTEPS, HIDDEN_SIZE, encoder=encoder)
    generator = torch.Generator().manual_seed(seed)
    denoiser.initialize(generator)
    with torch.no_grad():
        for module in denoiser.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.uniform_(-1, 1, generator=generator)
                module.running_mean.uniform_(-1, 1, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
    return denoiser.double()


def make_batch(n=16, seed=1):
    generator = torch.Generator().manual_seed(seed)
    y_t = torch.randn(n, N_CLASSES, generator=generator, dtype=torch.float64)
    features = torch.randn(n, N_FEATURES, generator=generator, dtype=torch.float64)
    t = torch.randint(0, N_TIMESTEPS, (n,), generator=generator)
    return y_t, t, features


def published_equations(denoiser, y_t, t, features):
    """Compute the published network from the weights alone, by plain tensor operations."""
    state = denoiser.state_dict()

    def linear(name, units):
        return units @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0)

    def batch_norm(name, units):
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        if denoiser.training:
            mean, variance = units.mean(dim=0), units.var(dim=0, unbiased=False)
        units = (units - mean) / (variance + 1e-5).sqrt()
        return units * state[f"{name}.weight"] + state[f"{name}.bias"]

    def softplus(units):
        return (1 + units.exp()).log()

    if "encoder.weight" in state:
        embedding = linear("encoder", features)
    else:
        embedding = linear("encoder.2", linear("encoder.0", features).clamp(min=0))
    embedding = batch_norm("encoder_norm", embedding)
    joint = torch.cat([state["label_input.weight"], state["feature_input.weight"]], dim=1)
    units = torch.cat([y_t, features], dim=1) @ joint.T + state["feature_input.bias"]
    units = embedding * softplus(batch_norm("norms.0", state["gates.0.scale"][t] * units))
    for layer in (0, 1):
        units = state[f"gates.{layer + 1}.scale"][t] * linear(f"hidden.{layer}", units)
        units = softplus(batch_norm(f"norms.{layer + 1}", units))
    return linear("output", units)


@ENCODERS
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_network_computes_the_published_equations(encoder, training):
    denoiser = make_denoiser(encoder)
    y_t, t, features = make_batch()
    denoiser.train(training)
    expected = published_equations(denoiser, y_t, t, features)
    output = denoiser(y_t, t, denoiser.encode(features))
    assert output.shape == (16, N_CLASSES)
    torch.testing.assert_close(output, expected)


def test_one_timestep_for_all_rows_is_the_same_as_one_for_each():
    denoiser = make_denoiser().eval()
    y_t, _, features = make_batch()
    condition = denoiser.encode(features)
    one = denoiser(y_t, torch.tensor(7), condition)
    torch.testing.assert_close(one, denoiser(y_t, torch.full((16,), 7), condition))


@ENCODERS
def test_draws_in_front_of_the_rows_are_denoised_each_for_itself(encoder):
    denoiser = make_denoiser(encoder).eval()
    y_t, _, features = make_batch()
    draws, t = torch.stack([y_t, -y_t, y_t + 1]), torch.tensor(7)
    condition = denoiser.encode(features)
    together = denoiser(draws, t, condition)
    assert together.shape == draws.shape
    for draw, output in zip(draws, together, strict=True):
        torch.testing.assert_close(denoiser(draw, t, condition), output)


def test_output_depends_on_label_timestep_and_features():
    denoiser = make_denoiser().eval()
    y_t, t, features = make_batch()
    output = denoiser(y_t, t, denoiser.encode(features))
    others = [
        denoiser(y_t + 1, t, denoiser.encode(features)),
        denoiser(y_t, (t + 1) % N_TIMESTEPS, denoiser.encode(features)),
        denoiser(y_t, t, denoiser.encode(features + 1)),
    ]
    for other in others:
        assert ((output - other).abs().amax(dim=1) > 1e-6).all()


@ENCODERS
def test_rows_are_independent_in_evaluation(encoder):
    denoiser = make_denoiser(encoder).eval()
    y_t, t, features = make_batch()
    together = denoiser(y_t, t, denoiser.encode(features))
    for i in range(len(y_t)):
        row = slice(i, i + 1)
        alone = denoiser(y_t[row], t[row], denoiser.encode(features[row]))
        torch.testing.assert_close(alone, together[row])


@ENCODERS
def test_initialization_is_reproducible_and_leaves_the_global_generator_alone(encoder):
    denoisers = [LabelDenoiser(5, 3, 20, 8, encoder=encoder) for _ in range(3)]
    before = torch.get_rng_state()
    for denoiser, seed in zip(denoisers, (0, 0, 1), strict=True):
        denoiser.initialize(torch.Generator().manual_seed(seed))
    assert torch.equal(torch.get_rng_state(), before)
    first, same, other = (denoiser.state_dict() for denoiser in denoisers)
    assert all(torch.equal(first[name], same[name]) for name in first)
    drawn = [name for name, _ in denoisers[0].named_parameters() if "norm" not in name]
    assert not any(torch.equal(first[name], other[name]) for name in drawn)


@ENCODERS
def test_initialization_sets_every_weight_and_statistic(encoder):
    denoiser = LabelDenoiser(5, 3, 20, 8, encoder=encoder)
    with torch.no_grad():
        for tensor in denoiser.state_dict().values():
            tensor.fill_(77)
    denoiser.initialize(torch.Generator().manual_seed(0))
    for name, tensor in denoiser.state_dict().items():
        assert not (tensor == 77).any(), name


def test_initial_weights_are_uniform_within_the_inverse_root_of_the_inputs():
    denoiser = LabelDenoiser(300, 100, 50, 200)
    denoiser.initialize(torch.Generator().manual_seed(0))
    # The label's and the features' part are one layer on their concatenation.
    bounds = {"label_input": 400, "feature_input": 400, "hidden.0": 200, "output": 200}
    for name, n_inputs in bounds.items():
        weight = denoiser.get_submodule(name).weight.detach()
        assert float(weight.abs().max()) == pytest.approx(n_inputs**-0.5, rel=0.01)
        assert float(weight.std()) == pytest.approx((3 * n_inputs) ** -0.5, rel=0.02)
    scale = denoiser.gates[1].scale.detach()
    assert 0 <= float(scale.min()) < float(scale.max()) <= 1
    assert float(scale.mean()) == pytest.approx(0.5, abs=0.02)


@ENCODERS
@pytest.mark.parametrize("prediction_type", ["logits", "sample", "epsilon"])
def test_every_parameter_gets_a_gradient(encoder, prediction_type):
    denoiser = make_denoiser(encoder)
    model = LabelDiffusion(denoiser, NoiseSchedule("cosine", N_TIMESTEPS), prediction_type)
    noise, t, features = make_batch(64)
    y_codes = torch.arange(64) % N_CLASSES
    labels = torch.eye(N_CLASSES).double()[y_codes]
    model.loss(labels, y_codes, noise, t, features, torch.full((64,), 1 / 64).double()).backward()
    for name, parameter in denoiser.named_parameters():
        assert float(parameter.grad.abs().max()) > 1e-5, name


def test_gate_learns_only_at_the_timesteps_it_has_seen():
    denoiser = make_denoiser()
    y_t, _, features = make_batch()
    denoiser(y_t, torch.full((16,), 7), denoiser.encode(features)).square().sum().backward()
    for gate in denoiser.gates:
        touched = gate.scale.grad.abs().sum(dim=1) > 0
        assert touched.nonzero().flatten().tolist() == [7]


def test_unknown_encoder_is_named_in_the_error():
    with pytest.raises(ValueError, match="encoder must be 'linear' or 'mlp', got 'resnet'"):
        LabelDenoiser(5, 3, 20, 8, encoder="resnet")
