"""The engine with and without folding: `python -m benchmarks.engine`.

VGG-16's CONV layers, three images, on the Eyeriss chip under one mapping for each size of layer.
Both ways give the same numbers, which is checked before a row is printed.
"""

from functools import partial

from benchmarks.counting import seconds
from hwsim.dataflows.row_stationary import Pass, Sets, mapping
from hwsim.engine import run
from hwsim.hardware import load_machine
from hwsim.passes import passes
from hwsim.traffic import transfers
from hwsim.workload import Layer

LAYERS = {
    "CONV1-1": (3, 64, 224),
    "CONV1-2": (64, 64, 224),
    "CONV2-1": (64, 128, 112),
    "CONV2-2": (128, 128, 112),
    "CONV3-1": (128, 256, 56),
    "CONV3-2": (256, 256, 56),
    "CONV4-1": (256, 512, 28),
    "CONV4-2": (512, 512, 28),
    "CONV5-1": (512, 512, 14),
}
ONE, TWO, FOUR = Sets(1, 1, 1), Sets(1, 2, 1), Sets(1, 4, 1)
CHOICES = {
    224: Pass(32, 1, 13, 8, 1, across=ONE, down=FOUR, w=112),
    112: Pass(32, 1, 13, 8, 1, across=ONE, down=FOUR),
    56: Pass(64, 1, 13, 16, 2, across=ONE, down=FOUR),
    28: Pass(32, 1, 28, 16, 4, across=ONE, down=TWO),
    14: Pass(64, 3, 14, 16, 4, across=ONE, down=Sets(2, 2, 1)),
}
REPEATS = 3


def vgg(name: str) -> Layer:
    """A layer of VGG-16 with three images."""
    channels, filters, size = LAYERS[name]
    return Layer(name=name, N=3, K=filters, C=channels, P=size, Q=size, R=3, S=3, pad_h=1, pad_w=1)


def main() -> None:
    """Prints a row per layer: passes, both times, and how many times as long the walk takes."""
    eyeriss = load_machine("eyeriss_v1")
    print(f"{'layer':>8} {'passes':>7} {'folded ms':>9} {'walked ms':>9} {'ratio':>6}")
    for layer in map(vgg, LAYERS):
        chosen = mapping(layer, eyeriss, CHOICES[layer.P])
        play = partial(run, [(layer, chosen)], eyeriss, trace=False)
        assert play(fast_forward=True) == play(fast_forward=False)
        count = len(passes(layer, chosen, eyeriss, transfers(layer, chosen, eyeriss)).order)
        folded = 1e3 * seconds(partial(play, fast_forward=True), REPEATS)
        walked = 1e3 * seconds(partial(play, fast_forward=False), REPEATS)
        row = f"{layer.name:>8} {count:7} {folded:9.1f} {walked:9.1f} {walked / folded:6.1f}"
        print(row)


if __name__ == "__main__":
    main()
