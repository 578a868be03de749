"""An LSTM trained on a CPU: the same numbers and gradients as PyTorch's own."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dfd.models import cpu_lstm
from dfd.models.heads import TemporalHead

Gradients = dict[str, Tensor]


def both(lstm: nn.LSTM, features: Tensor, above: Tensor, *, ours: bool) -> tuple[Tensor, Gradients]:
    """The states, and the gradients of their product with `above`, of the features and of every parameter."""
    lstm.zero_grad()
    leaf = features.clone().requires_grad_()
    states = cpu_lstm.run(lstm, leaf) if ours else lstm(leaf)[0]
    (states * above).sum().backward()
    assert leaf.grad is not None
    found = {name: weights.grad.clone() for name, weights in lstm.named_parameters() if weights.grad is not None}
    return states.detach(), {"features": leaf.grad, **found}


@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 12),  # from LONG on the weights are turned, ROWS of the 4 x hidden at once
    inputs=st.integers(1, 9),
    hidden=st.integers(1, 20),
    layers=st.integers(1, 3),
    two_ways=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_states_and_gradients_are_those_of_pytorch(
    batch: int, length: int, inputs: int, hidden: int, layers: int, two_ways: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    lstm = nn.LSTM(inputs, hidden, layers, batch_first=True, bidirectional=two_ways)
    features = torch.randn(batch, length, inputs)
    above = torch.randn(batch, length, hidden * (2 if two_ways else 1))
    states, gradients = both(lstm, features, above, ours=True)
    expected, by_pytorch = both(lstm, features, above, ours=False)
    torch.testing.assert_close(states, expected, rtol=1e-5, atol=1e-6)
    assert gradients.keys() == by_pytorch.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, by_pytorch[name], rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("length", [10, 80])  # the products over all frames are in float32, and in bfloat16
def test_in_bfloat16_only_products_are_rounded(length: int) -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(32, 64, batch_first=True)
    features, above = torch.randn(4, length, 32), torch.randn(4, length, 64)
    expected, by_pytorch = both(lstm, features, above, ours=False)
    with torch.autocast("cpu", torch.bfloat16):
        states, gradients = both(lstm, features, above, ours=True)
    assert states.dtype == torch.float32
    assert 0 < (states - expected).abs().max() < 0.02
    for name, gradient in gradients.items():
        assert gradient.dtype == torch.float32
        apart = (gradient - by_pytorch[name]).norm() / by_pytorch[name].norm()
        assert 0 < apart < 0.02, name


@pytest.mark.parametrize("frozen", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0"])
def test_what_is_frozen_has_no_gradient_and_the_rest_has_its_own(frozen: str) -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(5, 6, batch_first=True)
    features, above = torch.randn(2, 4, 5), torch.randn(2, 4, 6)
    whole = both(lstm, features, above, ours=True)[1]
    lstm.get_parameter(frozen).requires_grad_(False)
    rest = both(lstm, features, above, ours=True)[1]
    assert rest.keys() == whole.keys() - {frozen}
    for name, gradient in rest.items():
        assert torch.equal(gradient, whole[name])


def test_twice_gives_the_same_bits() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(16, 32, batch_first=True)
    features, above = torch.randn(3, 20, 16), torch.randn(3, 20, 32)
    first, again = (both(lstm, features, above, ours=True) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert all(torch.equal(first[1][name], again[1][name]) for name in first[1])


def test_a_gradient_of_the_gradient_is_refused() -> None:
    lstm = nn.LSTM(3, 4, batch_first=True)
    features = torch.randn(1, 2, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(cpu_lstm.run(lstm, features).square().sum(), features, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize(
    "make",
    [{"batch_first": False}, {"bias": False}, {"proj_size": 2}, {"num_layers": 2, "dropout": 0.5}],
    ids=lambda make: next(iter(make)),
)
def test_an_lstm_of_another_make_is_refused(make: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="only an LSTM that is batch first"):
        cpu_lstm.run(nn.LSTM(3, 4, **{"batch_first": True, **make}), torch.zeros(1, 2, 3))


@pytest.mark.parametrize("two_ways", [False, True])
def test_a_head_in_training_says_what_it_says_in_scoring(two_ways: bool) -> None:
    torch.manual_seed(0)
    head = TemporalHead(12, 16, 2, 0.0, "mean", "lstm", bidirectional=two_ways)
    features = torch.randn(3, 9, 12)
    trained = head.train()(features)
    with torch.no_grad():
        scored = head.eval()(features)
    torch.testing.assert_close(trained.detach(), scored, rtol=1e-5, atol=1e-6)
