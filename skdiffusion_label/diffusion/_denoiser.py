"""The denoiser network."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear, pad, softplus

Condition = tuple[Tensor, Tensor]

# MKL sums up to ten columns of a product in an order that depends on a row's place, unless what is
# summed has a number of terms that four divides.
_FEW_OUTPUTS, _N_TERMS_AT_ONCE = 16, 4


class Linear(nn.Linear):
    """A linear layer that, in evaluation, does the same to a row wherever it is."""

    def forward(self, units: Tensor) -> Tensor:
        """Return ``units`` (..., n_inputs) mapped to (..., n_outputs)."""
        n_zeros = -self.in_features % _N_TERMS_AT_ONCE
        if self.training or not n_zeros or self.out_features > _FEW_OUTPUTS:
            return super().forward(units)
        return linear(pad(units, (0, n_zeros)), pad(self.weight, (0, n_zeros)), self.bias)


class TimeGate(nn.Module):
    """Scale each unit by a learned factor of its own for each timestep."""

    def __init__(self, n_timesteps: int, n_units: int):
        super().__init__()
        self.scale = nn.Parameter(torch.empty(n_timesteps, n_units))

    def forward(self, units: Tensor, t: Tensor) -> Tensor:
        """Return ``units`` (b, h) scaled for timesteps ``t`` (b,) or one ``t`` () for all."""
        return embedding(t, self.scale) * units


class LabelDenoiser(nn.Module):
    """Predict from a diffused label, its timestep and the row's features.

    Three time-conditioned layers with batch normalization and softplus; the first sees the diffused
    label beside the features and is gated by the encoder's embedding of the row (Chen et al. 2023).
    The encoder sees the features too, or, set by :meth:`set_encoder`, inputs of its own.

    Shape: ``y_t`` (b, k), ``t`` (b,) or (), features (b, d), inputs (b, ...); output (b, k). In
    evaluation ``y_t`` may be (draws, b, k), with draws that share the rows' features.
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        n_timesteps: int,
        hidden_size: int = 256,
        encoder: str = "linear",
    ):
        super().__init__()
        self.encoder = _encoder(encoder, n_features, hidden_size)
        self.has_inputs = False
        self.encoder_norm = nn.BatchNorm1d(hidden_size)
        # One linear layer on the concatenation of y_t and features, kept in two parts so that the
        # features' part is computed once for all denoising steps.
        self.label_input = Linear(n_classes, hidden_size, bias=False)
        self.feature_input = Linear(n_features, hidden_size)
        self.hidden = nn.ModuleList([Linear(hidden_size, hidden_size) for _ in range(2)])
        self.gates = nn.ModuleList([TimeGate(n_timesteps, hidden_size) for _ in range(3)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(hidden_size) for _ in range(3)])
        self.output = Linear(hidden_size, n_classes)

    def set_encoder(self, encoder: nn.Module) -> None:
        """Take an ``encoder`` of inputs (b, ...) to (b, hidden_size), with weights that it has."""
        self.encoder = encoder
        self.has_inputs = True

    def encode(self, features: Tensor, inputs: Tensor | None = None) -> Condition:
        """Compute all that does not depend on the diffused label, in bfloat16 on a GPU."""
        if not self.has_inputs:
            embedding = self.encoder(features)
        else:
            with torch.autocast(features.device.type, torch.bfloat16, enabled=features.is_cuda):
                embedding = self.encoder(inputs)
        return self.encoder_norm(embedding.to(features.dtype)), self.feature_input(features)

    def forward(self, y_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Denoise ``y_t`` (..., b, k) at ``t`` (b,) or () under an encoded condition."""
        gate_of_row, units = condition
        units = gate_of_row * self._activate(0, self.label_input(y_t) + units, t)
        for i, layer in enumerate(self.hidden, start=1):
            units = self._activate(i, layer(units), t)
        return self.output(units)

    def _activate(self, i: int, units: Tensor, t: Tensor) -> Tensor:
        gate, norm = self.gates[i], cast(nn.BatchNorm1d, self.norms[i])
        if self.training:
            return softplus(norm(gate(units, t)))
        # With fixed statistics gate and normalization are one straight line.
        running_mean, running_var = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        slope = norm.weight * (running_var + norm.eps).rsqrt()
        return softplus(torch.addcmul(norm.bias - running_mean * slope, gate(slope, t), units))

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Draw all weights from ``generator``; torch's constructors would use the global one."""
        given = set(self.encoder.modules()) if self.has_inputs else set()
        for module in self.modules():
            if module in given:
                continue
            if isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                module.weight.uniform_(-bound, bound, generator=generator)
                if module.bias is not None:
                    module.bias.uniform_(-bound, bound, generator=generator)
            elif isinstance(module, TimeGate):
                module.scale.uniform_(0, 1, generator=generator)
            elif isinstance(module, nn.BatchNorm1d):
                module.reset_parameters()
        # The first layer's two parts are one layer on the concatenation.
        fan_in = self.label_input.in_features + self.feature_input.in_features
        for part in (self.label_input.weight, self.feature_input.weight, self.feature_input.bias):
            part.uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=generator)


def _encoder(name: str, n_features: int, hidden_size: int) -> nn.Module:
    if name == "module":
        return nn.Identity()  # until set_encoder
    # No bias before batch normalization, which would take it away again.
    if name == "linear":
        return Linear(n_features, hidden_size, bias=False)
    if name == "mlp":
        return nn.Sequential(
            Linear(n_features, hidden_size),
            nn.ReLU(),
            Linear(hidden_size, hidden_size, bias=False),
        )
    raise ValueError(f"encoder must be 'linear' or 'mlp', got {name!r}.")
