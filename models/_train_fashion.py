"""Train a network for Fashion-MNIST by the recipe in its file, reproducibly.

Run `python -m models._train_fashion NETWORK [--source DIR] [--checkpoint FILE]`; DIR holds the
original Fashion-MNIST files, gzipped or not (Debian package dataset-fashion-mnist, or a download).
Every random choice is seeded. The schedule is fixed and the weights of its last epoch are kept: the
test images choose nothing, they are only scored.
"""

import argparse
import io
import time
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from data import fashion_mnist
from data._augment import augment
from data._make_fashion_mnist import SOURCE, read_split, write_atomically
from hwsim import registry
from hwsim.accuracy import top1
from hwsim.errors import InputError
from models._recipe import Recipe

BLACK = -fashion_mnist.MEAN / fashion_mnist.STD
TOLERANCE_POINTS = 0.05  # top-1 that half precision may cost


class Training:
    """A network and its optimiser on a fixed schedule; one `run_epoch` call per epoch."""

    def __init__(self, network: ModuleType, images: Tensor, labels: Tensor) -> None:
        recipe: Recipe = network.RECIPE
        torch.manual_seed(recipe.seed)
        # channels_last is 2 to 4 times faster here.
        self.net: nn.Module = convert_conv2d_weight_memory_format(
            network.build(), torch.channels_last
        )
        self.name, self.recipe = network.__name__, recipe
        self.images, self.labels = images, labels
        self.optimiser = torch.optim.SGD(
            self.net.parameters(),
            lr=recipe.peak_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=recipe.weight_decay,
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            recipe.peak_rate,
            epochs=recipe.epochs,
            steps_per_epoch=len(images) // recipe.batch,
            pct_start=recipe.warm_up,
            cycle_momentum=False,
        )
        self.loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self.epoch = 0

    def run_epoch(self) -> float:
        """Train on every image once; the mean loss."""
        generator = torch.Generator().manual_seed(self.recipe.seed + self.epoch)
        order = torch.randperm(len(self.images), generator=generator)
        batches = torch.split(order, self.recipe.batch)[: len(order) // self.recipe.batch]
        self.net.train()
        total = sum(self.step(chosen, generator) for chosen in batches)
        self.epoch += 1
        return total / len(batches)

    def step(self, chosen: Tensor, generator: torch.Generator) -> float:
        """One descent step on the chosen images; their loss."""
        images = self.images[chosen]
        if self.recipe.augment:
            images = augment(images, generator, border=BLACK)
        loss: Tensor = self.loss(self.net(images), self.labels[chosen])
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step()
        self.schedule.step()
        return loss.item()

    def save(self, path: Path) -> None:
        """Write all that `resume` needs."""
        parts = (self.net, self.optimiser, self.schedule)
        buffer = io.BytesIO()
        torch.save([self.name, self.epoch, *(part.state_dict() for part in parts)], buffer)
        write_atomically(path, buffer.getvalue())

    def resume(self, path: Path) -> None:
        """Go on after the last epoch saved. Raises InputError for another network's file."""
        name, self.epoch, net, optimiser, schedule = torch.load(path, weights_only=True)
        if name != self.name:
            raise InputError(f"{path}: expected a checkpoint of {self.name}, found one of {name}")
        self.net.load_state_dict(net)
        self.optimiser.load_state_dict(optimiser)
        self.schedule.load_state_dict(schedule)


def train(network: ModuleType, source: Path, checkpoint: Path | None) -> nn.Module:
    """The network after all its epochs on the 60,000 training images."""
    recipe: Recipe = network.RECIPE
    torch.set_num_threads(recipe.threads)
    pixels, labels = read_split(source, "train")
    training = Training(network, fashion_mnist.normalise(pixels), torch.from_numpy(labels).long())
    if checkpoint and checkpoint.exists():
        training.resume(checkpoint)
    start = time.monotonic()
    while training.epoch < recipe.epochs:
        loss = training.run_epoch()
        seconds = time.monotonic() - start
        print(
            f"epoch {training.epoch}/{recipe.epochs}  loss {loss:.4f}  {seconds:.0f} s", flush=True
        )
        if checkpoint:
            training.save(checkpoint)
    return training.net


def write_weights(net: nn.Module, path: Path) -> None:
    """Write the weights, in half precision where that costs at most TOLERANCE_POINTS."""
    test = fashion_mnist.load()
    single = {name: value.contiguous() for name, value in net.eval().state_dict().items()}
    half = {n: v.half() if v.is_floating_point() else v for n, v in single.items()}
    full_top1 = 100 * top1(net, test.images, test.labels)
    net.load_state_dict(half)
    half_top1 = 100 * top1(net, test.images, test.labels)
    print(f"top-1 {full_top1:.2f} %, rounded to half precision {half_top1:.2f} %")
    chosen = half if abs(full_top1 - half_top1) <= TOLERANCE_POINTS else single
    write_atomically(path, save(chosen))
    print(f"{path}: {path.stat().st_size} bytes")


def recipes() -> list[str]:
    """The networks that have a recipe."""
    named = registry.names("network")
    return [name for name in named if hasattr(registry.module("network", name), "RECIPE")]


def main() -> None:
    """Read the command line, train, write the weights beside the network's file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=recipes())
    parser.add_argument("--source", type=Path, default=SOURCE, help="folder of the IDX files")
    parser.add_argument("--checkpoint", type=Path, help="file to save to and resume from")
    options = parser.parse_args()
    network = registry.module("network", options.network)
    torch.use_deterministic_algorithms(True)
    try:
        net = train(network, options.source, options.checkpoint)
        write_weights(net, Path(str(network.__file__)).with_name(network.WEIGHTS))
    except InputError as fault:
        parser.error(str(fault))


if __name__ == "__main__":
    main()
