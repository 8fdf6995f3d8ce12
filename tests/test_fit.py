"""Training: descends as plain formulas say, gives the same bytes twice, and refuses bad data."""

import copy
from math import inf, nan

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.utils import parametrize

from compressors._fit import SETTLING_IMAGES, Fit, fit, settle_batch_norms, shuffled
from compressors.codes.codebook import Codebook
from compressors.weights._form import latent_of, set_form_
from compressors.weights.shared import Shared
from data._augment import SHIFT, augment
from tests.complaints import refused


def blobs(count: int = 240, *, shape: tuple[int, ...] = (2, 6, 5)) -> tuple[Tensor, Tensor]:
    """Noisy images of three classes, told apart by their mean."""
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(count) % 3
    noise = torch.randn(count, *shape, generator=generator)
    return noise + 2 * (labels - 1).view(-1, *(1,) * len(shape)), labels


def network() -> nn.Sequential:
    """A convolution, batch normalisation and a classifier, seeded."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(2, 4, (3, 2)),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(64, 3),
    )


def state_bytes(module: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in module.state_dict().items()}


def test_a_network_learns() -> None:
    net, (images, labels) = network(), blobs()
    losses = fit(net, images, labels, Fit(epochs=4, batch=24, learning_rate=0.05))
    assert len(losses) == 40
    assert losses[-1] < 0.3 * losses[0]
    assert not any(module.training for module in net.modules())
    assert (net(images).argmax(1) == labels).float().mean() > 0.95


def test_the_same_seed_gives_the_same_bytes() -> None:
    images, labels = blobs()
    settings = Fit(epochs=1.5, batch=32, augment=True, label_smoothing=0.1)
    nets = [network() for _ in range(3)]
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    losses = [
        fit(net, images, labels, settings.model_copy(update={"seed": seed}))
        for net, seed in zip(nets, (5, 5, 6), strict=True)
    ]
    assert losses[0] == losses[1] != losses[2]
    assert state_bytes(nets[0]) == state_bytes(nets[1])
    assert torch.equal(torch.random.get_rng_state(), state), "the caller's draws are its own"
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_steps_are_those_of_the_textbook(schedule: str) -> None:
    """Nesterov's momentum, decay and rate by hand, on a linear model and full batches."""
    images, labels = blobs(12, shape=(4,))
    torch.manual_seed(0)
    net = nn.Linear(4, 3, bias=False)
    weight, velocity = net.weight.detach().clone(), torch.zeros(3, 4)
    settings = Fit.model_validate(
        {"epochs": 3, "batch": 12, "learning_rate": 0.2, "momentum": 0.8, "weight_decay": 0.01}
        | {"schedule": schedule}
    )
    found = fit(net, images, labels, settings)
    rates = {"cosine": [0.2, 0.15, 0.05], "constant": [0.2] * 3}[schedule]
    targets = nn.functional.one_hot(labels, 3).float()
    for rate, loss in zip(rates, found, strict=True):
        probabilities = (images @ weight.T).softmax(1)
        assert loss == pytest.approx(-(targets * probabilities.log()).sum(1).mean().item())
        gradient = (probabilities - targets).T @ images / 12 + 0.01 * weight
        velocity = 0.8 * velocity + gradient
        weight = weight - rate * (gradient + 0.8 * velocity)
    torch.testing.assert_close(net.weight.detach(), weight)


def test_parametrized_weights_are_trained_through() -> None:
    class Masked(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return weight * (weight.detach().abs() > 0.1)

    net, (images, labels) = network(), blobs()
    parametrize.register_parametrization(net[0], "weight", Masked())
    kernel = net.get_parameter("0.parametrizations.weight.original")
    before = kernel.detach().clone()
    fit(net, images, labels, Fit(batch=24))
    small = before.abs() <= 0.1
    assert small.any()
    assert not kernel[~small].equal(before[~small])
    masked = net[0].weight
    assert isinstance(masked, Tensor)
    assert bool((masked == 0).any())


def test_what_asks_for_no_gradient_stays() -> None:
    net, (images, labels) = network(), blobs()
    net.get_parameter("0.weight").requires_grad_(False)
    before = state_bytes(net)
    fit(net, images, labels, Fit(batch=24))
    after = state_bytes(net)
    assert after["0.weight"] == before["0.weight"]
    assert after["5.weight"] != before["5.weight"]


def test_penalty_and_hooks_see_every_step() -> None:
    net, (images, labels) = network(), blobs()
    weight = net.get_parameter("5.weight")
    heard: list[tuple[str, int]] = []

    def freeze(step: int) -> None:
        heard.append(("before", step))
        assert weight.grad is not None
        weight.grad[0] = 0

    def clip(step: int) -> None:
        heard.append(("after", step))
        with torch.no_grad():
            weight.clamp_(-0.05, 0.05)

    first = weight.detach()[0].clone()
    fit(
        net,
        images,
        labels,
        Fit(epochs=0.3, batch=24, weight_decay=0),
        penalty=lambda: 100 * weight.square().sum(),
        before_step=freeze,
        after_step=clip,
        progress=lambda stage, done=0, total=0: heard.append((f"{stage} of {total}", done)),
    )
    names = ("training of 3", "before", "after")
    assert heard == [(name, step) for step in range(3) for name in names]
    assert weight.detach()[0].equal(first.clamp(-0.05, 0.05))
    assert float(weight.detach().abs().max()) == pytest.approx(0.05)


def test_a_penalty_counts_in_the_loss() -> None:
    images, labels = blobs()
    plain = fit(network(), images, labels, Fit(epochs=0.1))
    fined = fit(network(), images, labels, Fit(epochs=0.1), penalty=lambda: torch.ones(()))
    assert fined[0] == pytest.approx(plain[0] + 1)


def test_batch_norms_know_the_trained_network() -> None:
    net, (images, labels) = network(), blobs()
    fit(net, images, labels, Fit(epochs=0.5, batch=240, learning_rate=0.5))
    seen = net[0](images).transpose(0, 1).flatten(1)
    norm = net.get_submodule("1")
    torch.testing.assert_close(norm.get_buffer("running_mean"), seen.mean(1))
    torch.testing.assert_close(norm.get_buffer("running_var"), seen.var(1))
    assert norm.momentum == 0.1


def test_many_images_are_settled_by_some() -> None:
    norm = nn.BatchNorm1d(1)
    images = torch.arange(2 * SETTLING_IMAGES, dtype=torch.float32)[:, None]
    settle_batch_norms(norm, images, batch=256)
    assert norm.num_batches_tracked == SETTLING_IMAGES / 256
    assert norm.get_buffer("running_mean").item() == pytest.approx(SETTLING_IMAGES, rel=0.001)


def test_no_epochs_change_nothing() -> None:
    net, (images, labels) = network(), blobs()
    before = state_bytes(net.train())
    assert fit(net, images, labels, Fit(epochs=0)) == []
    assert state_bytes(net) == before
    assert not net.training


def test_few_images_make_one_batch() -> None:
    images, labels = blobs(9)
    assert len(fit(network(), images, labels, Fit(epochs=2, batch=128))) == 2


def test_every_image_comes_once_an_epoch() -> None:
    batches = shuffled(10, 4, torch.Generator().manual_seed(0))
    epochs = [torch.cat([next(batches), next(batches)]).tolist() for _ in range(20)]
    assert all(len(set(epoch)) == 8 for epoch in epochs)
    assert set().union(*epochs) == set(range(10))


@pytest.mark.parametrize("border", [None, -7.0])
def test_augmentation_only_shifts_and_mirrors(border: float | None) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(20, 3, 5, 7, generator=generator)
    mode = "replicate" if border is None else "constant"
    padded = nn.functional.pad(images, (SHIFT,) * 4, mode=mode, value=border)
    augmented = augment(images, generator, border=border)
    kinds = set()
    for before, after in zip(padded, augmented, strict=True):
        windows = {
            (top, left, mirrored): window.flip(2) if mirrored else window
            for top in range(2 * SHIFT + 1)
            for left in range(2 * SHIFT + 1)
            for window in [before[:, top : top + 5, left : left + 7]]
            for mirrored in (False, True)
        }
        kinds.add(next(kind for kind, window in windows.items() if after.equal(window)))
    assert len(kinds) > 10


def with_value(images: Tensor, value: float) -> Tensor:
    changed = images.clone()
    changed.view(-1)[17] = value
    return changed


IMAGES, LABELS = blobs(24)
BAD_DATA: dict[str, tuple[Tensor, Tensor, str]] = {
    "empty": (IMAGES[:0], LABELS[:0], "training images: expected at least one, found [0, 2, 6, 5]"),
    "nan": (with_value(IMAGES, nan), LABELS, "training images: expected finite"),
    "infinite": (with_value(IMAGES, inf), LABELS, "training images: expected finite"),
    "bytes": (IMAGES.byte(), LABELS, "training images: expected finite"),
    "fewer": (IMAGES, LABELS[:5], "training labels: expected int64 [24], found int64 [5]"),
    "float": (IMAGES, LABELS.float(), "training labels: expected int64 [24], found float32 [24]"),
    "negative": (IMAGES, LABELS - 1, "training labels: expected class numbers from 0, found -1"),
    "beyond": (IMAGES, LABELS + 1, "training labels: the largest is 3, but the network gives"),
    "shape": (IMAGES[:, :1], LABELS, "training images of shape 24x1x6x5 do not fit the network"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_is_named_and_changes_nothing(case: str) -> None:
    images, labels, complaint = BAD_DATA[case]
    net = network()
    before = state_bytes(net)
    refused(lambda: fit(net, images, labels, Fit()), complaint)
    assert state_bytes(net) == before


def test_bad_networks_are_named() -> None:
    broken, frozen = network(), network().requires_grad_(False)
    with torch.no_grad():
        broken.get_parameter("0.bias")[1] = nan
    refused(lambda: fit(broken, IMAGES, LABELS, Fit()), "parameter '0.bias': holds values")
    refused(lambda: fit(frozen, IMAGES, LABELS, Fit()), "Sequential: no parameter to train")
    refused(lambda: fit(network(), IMAGES, LABELS, Fit(batch=1)), "batch = 1: batch normalisation")


def test_divergence_is_told() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(60, 60), nn.Linear(60, 3))
    settings = Fit(epochs=60, batch=8, learning_rate=1e12)
    refused(lambda: fit(net, IMAGES, LABELS, settings), "learning_rate = 1000000000000.0: training")
    assert not any(module.training for module in net.modules())


def test_training_does_without_the_callers_gradients() -> None:
    net, (images, labels) = network(), blobs()
    with torch.no_grad():
        losses = fit(net, images, labels, Fit(epochs=2, batch=24, learning_rate=0.05))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    "bad", [{"epochs": -1}, {"epochs": nan}, {"batch": 0}, {"learning_rate": 0}, {"momentum": 1}]
)
def test_impossible_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        Fit.model_validate(bad)


def test_settings_survive_json() -> None:
    settings = Fit(epochs=0.25, schedule="constant", augment=True)
    assert Fit.model_validate_json(settings.model_dump_json()) == settings
    assert copy.copy(settings) == settings


def test_a_number_that_many_weights_share_moves_by_their_mean() -> None:
    """Steps are those of the mean of the weights' gradients, however many weights share it."""
    images, labels = blobs(64)
    torch.manual_seed(1)
    layer = nn.Linear(60, 5)
    table = torch.tensor([0.0, -0.1, 0.2])
    indices = torch.arange(300).reshape(5, 60) % 3
    set_form_(layer, Shared(Codebook(indices, table)))
    free = nn.Linear(60, 5)
    free.load_state_dict({"weight": table[indices], "bias": layer.bias.detach()})
    settings = Fit(epochs=1, batch=64, learning_rate=0.5, momentum=0, weight_decay=0)
    for one in (layer, free):
        fit(nn.Sequential(nn.Flatten(), one), images, labels, settings)
    moved = (free.weight.detach() - table[indices]).flatten()
    for entry in range(3):
        mean = moved[indices.flatten() == entry].mean()
        found = latent_of(layer).detach()[entry] - table[entry]
        assert float(found) == pytest.approx(float(mean), abs=1e-6)
    assert torch.allclose(layer.bias, free.bias)
