"""Train mobilenet_v1_fashion and rebuild data/fashion_mnist_test.npz, reproducibly.

Run `python -m models._train_mobilenet_v1_fashion [--source DIR]`; DIR holds the four original
Fashion-MNIST files, gzipped or not (Debian package dataset-fashion-mnist, or a download). Every
random choice is seeded. The schedule is fixed and the weights of its last epoch are kept: the
test images choose nothing, they are only scored.
"""

import argparse
import io
import os
import time
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from data import fashion_mnist
from data._make_fashion_mnist import SOURCE, make_archive, read_split
from hwsim.errors import InputError
from models import mobilenet_v1_fashion

WEIGHTS = Path(__file__).with_name(mobilenet_v1_fashion.WEIGHTS)
SEED, EPOCHS, BATCH = 1, 25, 128
PEAK_LEARNING_RATE, WARM_UP = 0.1, 0.2
# Decay acts on depthwise and batch-norm weights too: it keeps the folded ranges narrow.
WEIGHT_DECAY, LABEL_SMOOTHING = 5e-4, 0.1
SHIFT = 2  # random crop: pixels either way
TOLERANCE_POINTS = 0.05  # top-1 that half precision may cost


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` whole, so that an interrupted run leaves the old file."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    os.replace(part, path)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to SHIFT pixels and mirror half of them; shape kept."""
    count, _, height, width = images.shape
    padded = nn.functional.pad(images, (SHIFT,) * 4, value=-fashion_mnist.MEAN / fashion_mnist.STD)
    top, left = torch.randint(2 * SHIFT + 1, (2, count, 1), generator=generator)
    rows, columns = torch.arange(height) + top, torch.arange(width) + left
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    each = torch.arange(count)[:, None, None]
    return padded[each, 0, rows[:, :, None], columns[:, None, :]].unsqueeze(1)


def top1_percent(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of images whose largest logit is their label's, in percent."""
    net.eval()
    with torch.inference_mode():
        right = [
            (net(batch).argmax(1) == truth).sum()
            for batch, truth in zip(torch.split(images, 500), torch.split(labels, 500), strict=True)
        ]
    return 100 * float(torch.stack(right).sum()) / len(labels)


class Training:
    """A network and its optimiser on a fixed schedule; one `run_epoch` call per epoch."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        torch.manual_seed(SEED)
        # channels_last is 2 to 4 times faster here.
        self.net = convert_conv2d_weight_memory_format(
            mobilenet_v1_fashion.build(), torch.channels_last
        )
        self.images, self.labels = images, labels
        self.optimiser = torch.optim.SGD(
            self.net.parameters(),
            lr=PEAK_LEARNING_RATE,
            momentum=0.9,
            nesterov=True,
            weight_decay=WEIGHT_DECAY,
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            PEAK_LEARNING_RATE,
            epochs=EPOCHS,
            steps_per_epoch=len(images) // BATCH,
            pct_start=WARM_UP,
            cycle_momentum=False,
        )
        self.loss = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
        self.epoch = 0

    def run_epoch(self) -> float:
        """Train on every image once; the mean loss."""
        generator = torch.Generator().manual_seed(SEED + self.epoch)
        order = torch.randperm(len(self.images), generator=generator)
        batches = torch.split(order, BATCH)[: len(order) // BATCH]
        self.net.train()
        total = sum(self.step(chosen, generator) for chosen in batches)
        self.epoch += 1
        return total / len(batches)

    def step(self, chosen: Tensor, generator: torch.Generator) -> float:
        """One descent step on the chosen images; their loss."""
        loss: Tensor = self.loss(
            self.net(augment(self.images[chosen], generator)), self.labels[chosen]
        )
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step()
        self.schedule.step()
        return loss.item()

    def save(self, path: Path) -> None:
        """Write all that `resume` needs."""
        parts = (self.net, self.optimiser, self.schedule)
        buffer = io.BytesIO()
        torch.save([self.epoch, *(part.state_dict() for part in parts)], buffer)
        write_atomically(path, buffer.getvalue())

    def resume(self, path: Path) -> None:
        """Go on after the last epoch saved."""
        self.epoch, net, optimiser, schedule = torch.load(path, weights_only=True)
        self.net.load_state_dict(net)
        self.optimiser.load_state_dict(optimiser)
        self.schedule.load_state_dict(schedule)


def train(source: Path, checkpoint: Path | None) -> nn.Module:
    """The network after EPOCHS epochs on the 60,000 training images."""
    pixels, labels = read_split(source, "train")
    training = Training(fashion_mnist.normalise(pixels), torch.from_numpy(labels).long())
    if checkpoint and checkpoint.exists():
        training.resume(checkpoint)
    start = time.monotonic()
    while training.epoch < EPOCHS:
        loss = training.run_epoch()
        seconds = time.monotonic() - start
        print(f"epoch {training.epoch}/{EPOCHS}  loss {loss:.4f}  {seconds:.0f} s", flush=True)
        if checkpoint:
            training.save(checkpoint)
    return training.net


def write_archive(source: Path) -> None:
    """Rebuild data/fashion_mnist_test.npz from the original files."""
    content = make_archive(source)
    write_atomically(fashion_mnist.ARCHIVE, content)
    print(f"{fashion_mnist.ARCHIVE}: {len(content)} bytes")


def write_weights(net: nn.Module) -> None:
    """Write the weights, in half precision where that costs at most TOLERANCE_POINTS."""
    test = fashion_mnist.load()
    single = {name: value.contiguous() for name, value in net.state_dict().items()}
    half = {n: v.half() if v.is_floating_point() else v for n, v in single.items()}
    full_top1 = top1_percent(net, test.images, test.labels)
    net.load_state_dict(half)
    half_top1 = top1_percent(net, test.images, test.labels)
    print(f"top-1 {full_top1:.2f} %, rounded to half precision {half_top1:.2f} %")
    chosen = half if abs(full_top1 - half_top1) <= TOLERANCE_POINTS else single
    write_atomically(WEIGHTS, save(chosen))
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size} bytes")


def main() -> None:
    """Read the command line, rebuild the archive, train, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=SOURCE, help="folder of the IDX files")
    parser.add_argument("--checkpoint", type=Path, help="file to save to and resume from")
    parser.add_argument("--data-only", action="store_true", help="rebuild the archive and stop")
    options = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    try:
        write_archive(options.source)
        if not options.data_only:
            write_weights(train(options.source, options.checkpoint))
    except InputError as fault:
        parser.error(str(fault))


if __name__ == "__main__":
    main()
