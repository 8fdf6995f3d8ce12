"""The verb `hwsim networks`: the shipped networks side by side."""

from typing import Annotated, Any

import typer

from hwsim import registry
from hwsim.shell import complaints

NUMBERS = ("MACs", "parameters")
HEADS = ("network", "input", *NUMBERS, "trained weights", "what it is")


def list_networks(
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the networks: input, MACs and parameters of one image, where trained weights are."""
    import json

    from hwsim.listing import print_rows

    with complaints():
        found = [facts_of(name) for name in registry.names("network")]
        if as_json:
            typer.echo(json.dumps(found, indent=1))
        else:
            print_rows(HEADS, map(row, found), numbers=frozenset(NUMBERS))


def facts_of(name: str) -> dict[str, Any]:
    """What a network is, JSON-able; MACs as PyTorch counts them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    file = registry.module("network", name)
    with torch.device("meta"), torch.no_grad():
        module, images = file.build(), torch.zeros(1, *file.INPUT_SHAPE)
        with FlopCounterMode(display=False) as counter:
            module(images)
    return {
        "name": name,
        "input_shape": list(file.INPUT_SHAPE),
        "macs": counter.get_total_flops() // 2,
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "weights": getattr(file, "WEIGHTS", None),
        "weights_package": getattr(file, "WEIGHTS_PACKAGE", None),
        "description": registry.summary("network", name),
    }


def row(one: dict[str, Any]) -> list[str]:
    """A network as it is shown."""
    package = one["weights_package"]
    return [
        one["name"],
        " x ".join(map(str, one["input_shape"])),
        f"{one['macs']:,}",
        f"{one['parameters']:,}",
        "shipped" if one["weights"] else f"in {package}" if package else "-",
        one["description"],
    ]
