"""How strongly the neurons that a weight joins are correlated.

Sun, Wang and Tang, "Sparsifying Neural Network Connections for Face Recognition", CVPR 2016,
arXiv:1512.01891, eqs. 1 to 3.
"""

import torch
from torch import Tensor, nn

from compressors._layers import weight_of
from compressors.pruning.probe import lowered, watched


def correlations(model: nn.Module, layer: nn.Module, images: Tensor) -> Tensor:
    """The magnitude of the correlation, over images, of each weight's input and output.

    Of the weight's shape; the mean over the places where a weight is used. Outputs are the layer's
    own, before what activates them; neurons that do not vary correlate with nothing.
    """
    with torch.no_grad(), watched([layer]) as (calls,):
        model(images)
    weight, total, places = weight_of(layer), torch.zeros(()), 0
    for ifmap, ofmap in calls:
        inputs, outputs = _standard(lowered(layer, ifmap)), _standard(_by_place(layer, ofmap))
        total = total + _sum_of_magnitudes(inputs, outputs)
        places += outputs.shape[2]
    return (total / max(1, places)).reshape(weight.shape).float()


def _sum_of_magnitudes(inputs: Tensor, outputs: Tensor) -> Tensor:
    """Of inputs [N, G, n, places] and outputs [N, filters, places]: [filters, n]."""
    N, G, n, places = inputs.shape
    grouped = outputs.reshape(N, G, -1, places)
    total = torch.zeros(G, grouped.shape[2], n, dtype=torch.float64)
    for place in range(places):
        total += torch.einsum("ngk,ngd->gkd", grouped[..., place], inputs[..., place]).abs()
    return total.flatten(0, 1)


def _standard(values: Tensor) -> Tensor:
    """Over images, the first axis: mean 0 and length 1; 0 where nothing varies."""
    centred = values.double() - values.double().mean(0)
    length = centred.norm(dim=0)
    return torch.where(length > 1e-9, centred / length.clamp(min=1e-9), 0.0)


def _by_place(layer: nn.Module, ofmap: Tensor) -> Tensor:
    """An ofmap as [N, filters, places]."""
    if isinstance(layer, nn.Linear):
        ofmap = ofmap.movedim(-1, 1)
    return ofmap.reshape(*ofmap.shape[:2], -1)
