"""What a compressed network is to the simulator: its layers with the bits, zeros and arithmetic
that its codes and quantisers say.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from compressors import fixed_point
from compressors._ifmap_bits import ifmap_bits
from compressors._layers import weighted_layers
from compressors.activations._quantiser import CHILD, input_quantiser
from compressors.codes._code import Code
from compressors.codes.huffman import Huffman
from compressors.codes.sparse import Sparse
from compressors.fixed.layers import FixedPointLayer
from compressors.weights._form import code_of, frozen
from hwsim.frontends.torch import network_from_torch, with_densities
from hwsim.workload import Decoder, Layer, Network, Primitive, Stored, Zeros

CHUNK = 64  # images at a time


def lower(network: Network, model: nn.Module, images: Tensor, *, bits: int = 16) -> Network:
    """The layers of `network` as compression left them; channels that were removed are gone.

    Words that no code or quantiser narrowed take `bits`. `images`, N x ... as for the model, bring
    about the zeros of the maps; those of weights are exact. Raises InputError for a model that
    cannot be simulated.
    """
    return next(lower_to_each(network, model, images, [bits]))


def lower_to_each(
    network: Network, model: nn.Module, images: Tensor, widths: Iterable[int]
) -> Iterator[Network]:
    """What `lower` gives for `bits` of each width; the model runs but once."""
    if any(isinstance(part, FixedPointLayer) for part in model.modules()):
        found = with_densities(fixed_point.lower(network, model), model, images)
        yield from (found for _ in widths)
        return
    measured = traced(network, model, images)
    densities = quantised_densities(model, images)
    for bits in widths:
        yield lowered(measured, model, densities, bits)


def lowered(measured: Network, model: nn.Module, densities: dict[str, float], bits: int) -> Network:
    """Layers whose zeros were measured, with the words of their codes and quantisers."""
    widths = ifmap_bits(measured, asked_bits(measured, model), bits)
    layers = {}
    for layer in measured:
        readers = [widths[name] for name in measured.graph.successors(layer.name)]
        maps = {"ifmap": widths[layer.name], "ofmap": max(readers, default=bits)}
        found = narrowed(layer, model, bits=bits, **maps)
        if layer.name in densities:
            ifmap = replace(found.ifmap, density=densities[layer.name])
            found = replace(found, ifmap=ifmap)
        layers[layer.name] = found
    return measured.with_layers(layers)


def traced(network: Network, model: nn.Module, images: Tensor) -> Network:
    """The layers of `model` with the sizes and the zeros they have, its maps not quantised."""
    bare = bare_copy(model)
    batch = torch.zeros(network.layers[0].N, *images.shape[1:])
    found = network_from_torch(bare, (batch,), name=network.name)
    return with_densities(found, bare, images)


def bare_copy(model: nn.Module) -> nn.Module:
    """The model with the weights that its codes decode to as parameters, and no quantiser."""
    bare = frozen(model)
    for layer in bare.modules():
        if input_quantiser(layer):
            delattr(layer, CHILD)
    return bare


def asked_bits(network: Network, model: nn.Module) -> dict[str, int]:
    """The width of the ifmap of each layer that has a quantiser."""
    layers = [layer.name for layer in network if layer.weighted]
    found = {name: input_quantiser(model.get_submodule(name)) for name in layers}
    return {name: quantiser.bits for name, quantiser in found.items() if quantiser}


def narrowed(layer: Layer, model: nn.Module, *, ifmap: int, ofmap: int, bits: int) -> Layer:
    """A layer with the words, the zeros and the arithmetic of its code."""
    if not layer.weighted:
        return layer.at_bits(ifmap=ifmap, weight=layer.weight.bits, ofmap=ofmap, psum=2 * bits)
    part = model.get_submodule(layer.name)
    code = code_of(part)
    weight = min(bits, code.word_bits or bits)
    psum = psum_bits(layer, ifmap=ifmap, weight=weight, bits=bits)
    found = layer.at_bits(ifmap=ifmap, weight=weight, ofmap=ofmap, psum=psum)
    zeros = Zeros.of(code.decode().reshape(layer.shape("weight")).numpy())
    exact = replace(
        found.weight,
        density=1.0,
        zeros=zeros if zeros.density < 1 else None,
        stored=tuple(stored(code, bits)),
    )
    became = primitive(code, part)
    terms = 1 if became is Primitive.MULTIPLY_ADD else code.terms * ifmap_terms(part)
    return replace(found, weight=exact, primitive=became, terms=terms)


def psum_bits(layer: Layer, *, ifmap: int, weight: int, bits: int) -> int:
    """The width that holds any sum of products of such words, at most twice a plain word's."""
    window = (layer.C * layer.R * layer.S - 1).bit_length()
    return min(2 * bits, ifmap + weight + window)


def ifmap_terms(layer: nn.Module) -> int:
    """The numbers of which each word of a layer's ifmap is the sum."""
    quantiser = input_quantiser(layer)
    return quantiser.terms if quantiser else 1


def stored(code: Code, bits: int) -> Iterator[Stored]:
    """The ways to hold a code, from the whole of it inwards; numbers are words of `bits` there."""
    if code.decoders:
        parts = code.parts
        words = sum(table.numel() for table in parts.tables.values())
        symbols = sum(len(s.symbols) * min(s.width, bits) for s in parts.streams.values())
        yield Stored(words * bits + symbols, tuple(map(Decoder, code.decoders)))
    if isinstance(code, Huffman | Sparse):
        yield from stored(code.inner, bits)


def primitive(code: Code, layer: nn.Module) -> Primitive:
    """What each MAC of a layer became; signs times signs are an XNOR."""
    quantiser = input_quantiser(layer)
    binary = code.word_bits == 1 and quantiser is not None and quantiser.binary
    return Primitive.XNOR_POPCOUNT if binary else code.primitive


def quantised_densities(model: nn.Module, images: Tensor) -> dict[str, float]:
    """The share of non-zeros in each ifmap that a quantiser rounds."""
    counts: dict[str, list[int]] = {}
    hooks = []
    for path, layer in weighted_layers(model).items():
        quantiser = input_quantiser(layer)
        if quantiser is not None:
            counts[path] = [0, 0]
            hooks.append(quantiser.register_forward_hook(_counter(counts[path])))
    if hooks:
        with torch.inference_mode():
            for chunk in torch.split(images, CHUNK):
                model(chunk)
    for hook in hooks:
        hook.remove()
    return {path: nonzero / max(1, words) for path, (nonzero, words) in counts.items()}


def _counter(counts: list[int]) -> Callable[[nn.Module, object, Tensor], None]:
    def count(_: nn.Module, __: object, rounded: Tensor) -> None:
        counts[0] += int(torch.count_nonzero(rounded))
        counts[1] += rounded.numel()

    return count
