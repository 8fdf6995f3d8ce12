"""A network without some of its channels, for any network: what goes together, and what is left."""

import copy
import json
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from compressors._compress import compress
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors.structure._groups import Group, channel_groups
from compressors.structure._remove import remove_, silenced
from compressors.structure._widths import set_widths_, widths_of
from compressors.weights._form import code_of, forms
from compressors.weights.masked import mask_, mask_of
from hwsim.errors import InputError
from models import mobilenet_v2, resnet18, resnet50
from tests.structured_networks import CLASSES, COLOURS, IMAGE, Gate, networks
from tests.torch_modules import Functional, flop_counter_macs


def images() -> Tensor:
    return torch.randn(IMAGE, generator=torch.Generator().manual_seed(5))


def drawn_keep(data: st.DataObject, groups: list[Group]) -> dict[Group, Tensor]:
    """Of each group some atoms of every stratum."""
    keep = {}
    for group in groups:
        if not group.fixed:
            chosen = torch.zeros(group.size, dtype=torch.bool)
            for atoms in group.strata:
                count = data.draw(st.integers(1, len(atoms)))
                chosen[atoms[torch.randperm(len(atoms))[:count]]] = True
            keep[group] = chosen
    return keep


def zeroed(model: nn.Module, keep: dict[Group, Tensor]) -> nn.Module:
    """A copy whose readers multiply by zero what goes: weights set, nothing removed."""
    masked = copy.deepcopy(model)
    for group, chosen in keep.items():
        for member in group.readers:
            layer = masked.get_submodule(member.path)
            for channel, atom in enumerate(member.atoms.tolist()):
                if atom >= 0 and not chosen[atom]:
                    groups = getattr(layer, "groups", 1)
                    width = len(member.atoms) // groups
                    first = channel // width * (len(weight_of(layer)) // groups)
                    last = first + len(weight_of(layer)) // groups
                    weight_of(layer).data[first:last, channel % width] = 0
    return masked


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_smaller_network_computes_what_the_masked_one_does(data: st.DataObject) -> None:
    model = data.draw(networks())
    torch.manual_seed(0)
    keep = drawn_keep(data, channel_groups(model))
    masked, smaller = zeroed(model, keep), copy.deepcopy(model)
    remove_(smaller, keep)
    with torch.no_grad():
        wanted, found = masked(images()), smaller(images())
    assert found.shape == (len(images()), CLASSES)
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-5)
    for group in channel_groups(smaller):
        assert group.fixed or group.size <= max(g.size for g in keep)
    first = weighted_layers(smaller)["0"]
    assert first.in_channels == COLOURS


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_widths_make_a_like_network(data: st.DataObject) -> None:
    """By way of JSON, a network as built becomes one that the smaller one's tensors fit."""
    model = data.draw(networks())
    smaller = copy.deepcopy(model)
    remove_(smaller, drawn_keep(data, channel_groups(model)))
    set_widths_(model, json.loads(json.dumps(widths_of(smaller))))
    model.load_state_dict(smaller.state_dict())
    with torch.no_grad():
        assert torch.equal(model(images()), smaller(images()))


def test_widths_of_other_networks_are_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    with pytest.raises(InputError, match="'1': the network has no such module"):
        set_widths_(model, {"1": {"in_features": [3], "out_features": [3]}})
    mask_(model[0], torch.ones(4, 3, dtype=torch.bool))
    with pytest.raises(InputError, match="'0': its weights have a form"):
        set_widths_(model, {"0": {"in_features": [3], "out_features": [3]}})


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_silence_is_the_same_as_masking(data: st.DataObject) -> None:
    model = data.draw(networks())
    groups = [group for group in channel_groups(model) if not group.fixed]
    group = data.draw(st.sampled_from(groups))
    chosen = torch.tensor(
        data.draw(st.lists(st.booleans(), min_size=group.size, max_size=group.size))
    )
    with torch.no_grad(), silenced(model, group, ~chosen):
        found = model(images())
    wanted = zeroed(model, {group: chosen})(images())
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_macs_follow_the_closed_form() -> None:
    """Two convolutions in a row: m of n filters gone cost (1 - m/n) and the next layer as much."""
    model = nn.Sequential(
        nn.Conv2d(2, 8, 3, bias=False),
        nn.ReLU(),
        nn.Conv2d(8, 10, (3, 2), bias=False),
        nn.Flatten(),
        nn.Linear(10 * 6 * 4, 3),
    )
    first, second, _ = channel_groups(model)
    inputs = torch.zeros(1, 2, 10, 7)
    before = flop_counter_macs(model, (inputs,))
    keep = {first: torch.arange(8) % 4 != 0, second: torch.arange(10) < 5}
    remove_(model, keep)
    macs = [8 * 2 * 9 * 8 * 5, 10 * 8 * 6 * 6 * 4, 10 * 24 * 3]
    assert before == sum(macs)
    assert (
        flop_counter_macs(model, (inputs,))
        == macs[0] * 6 // 8 + macs[1] * 6 // 8 // 2 + macs[2] // 2
    )


def named(groups: list[Group]) -> list[tuple[str, ...]]:
    return [group.producers for group in groups]


def test_residuals_go_together() -> None:
    with torch.device("meta"):
        groups = channel_groups(resnet18.build())
    assert ("conv1", "layer1.0.conv2", "layer1.1.conv2") in named(groups)
    assert ("layer2.0.conv2", "layer2.0.downsample.0", "layer2.1.conv2") in named(groups)
    assert ("layer1.0.conv1",) in named(groups)
    assert groups[-1].fixed == "reach the network's output"
    assert all(group.fixed is None for group in groups[:-1])


def test_depthwise_goes_with_what_it_reads() -> None:
    with torch.device("meta"):
        groups = channel_groups(mobilenet_v2.build())
    assert ("features.2.conv.0.0", "features.2.conv.1.0") in named(groups)
    by_name = {group.producers: group for group in groups}
    tied = by_name["features.2.conv.0.0", "features.2.conv.1.0"]
    assert [member.path for member in tied.readers] == ["features.2.conv.2"]


def test_gates_go_with_what_they_gate() -> None:
    """Squeeze and excitation: by the view to the shape of the maps, and by the product."""
    groups = channel_groups(nn.Sequential(nn.Conv2d(2, 6, 1), Gate(6), nn.Conv2d(6, 3, 1)))
    assert groups[0].producers == ("0", "1.excite")
    assert groups[1].producers == ("1.squeeze",)
    assert [group.fixed for group in groups[:2]] == [None, None]
    assert [member.path for member in groups[0].readers] == ["1.squeeze", "2"]


def test_what_cannot_go_says_why() -> None:
    """Channels cut by number, shuffled, normalised together or added to the image."""
    conv = nn.Conv2d(2, 4, 1)
    cases = {
        "getitem": lambda x: conv(x)[:, :2],
        "view": lambda x: conv(x).view(x.size(0), 2, 2, -1),
        "pad": lambda x: functional.pad(conv(x), (0, 0, 0, 0, 1, 1)),
        "softmax": lambda x: functional.softmax(conv(x), 1),
        "layer_norm": lambda x: functional.layer_norm(conv(x), (4, 3, 3)),
        "cumsum": lambda x: conv(x).cumsum(1),
    }
    for name, forward in cases.items():
        model = Functional(forward)
        model.conv = conv
        (group,) = channel_groups(nn.Sequential(model, nn.Flatten(), nn.LazyLinear(2)))[:1]
        assert name in str(group.fixed)
        with pytest.raises(InputError, match=f"'0.conv'.*{name}"):
            remove_(model, {group: torch.arange(4) > 0})


def test_the_image_keeps_its_channels() -> None:
    conv, linear = nn.Conv2d(2, 2, 1), nn.Linear(2, 2)
    model = Functional(lambda x: linear((conv(x) + x).mean((2, 3))))
    model.conv, model.linear = conv, linear
    assert "add" in str(channel_groups(nn.Sequential(model))[0].fixed)


def test_untraceable_networks_are_refused() -> None:
    with pytest.raises(InputError, match=r"torch\.fx cannot trace"):
        channel_groups(nn.Sequential(Functional(lambda x: x if x.sum() > 0 else -x)))


def test_no_layer_loses_all_its_channels() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    group = channel_groups(model)[0]
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(InputError, match="'0': would have no channel left"):
        remove_(model, {group: torch.zeros(4, dtype=torch.bool)})
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_masks_shared_weights_and_coding_stay() -> None:
    model = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2))
    mask = torch.arange(18).reshape(6, 3) % 3 != 0
    mask_(model[0], mask)
    coded = compress(model, uniform("kmeans_weight_sharing", "huffman_coding"))
    chosen = torch.tensor([True, False, True, True, False, True])
    weights = [weight_of(layer).detach().clone() for layer in weighted_layers(coded).values()]
    remove_(coded, {channel_groups(coded)[0]: chosen})
    first, second = weighted_layers(coded).values()
    assert torch.equal(weight_of(first), weights[0][chosen])
    assert torch.equal(weight_of(second), weights[1][:, chosen])
    found = mask_of(first)
    assert found is not None
    assert torch.equal(found, mask[chosen])
    assert [type(form).__name__ for form in forms(first)] == ["Shared", "Masked", "EntropyCoded"]
    assert torch.equal(code_of(first).decode(), weight_of(first))


def test_forms_that_would_change_are_refused() -> None:
    model = compress(nn.Sequential(nn.Linear(3, 6), nn.Linear(6, 2)), uniform("shiftcnn"))
    with pytest.raises(InputError, match="'0': its weight is StraightThrough"):
        remove_(model, {channel_groups(model)[0]: torch.arange(6) > 2})


@pytest.mark.parametrize("network", [resnet18, resnet50, mobilenet_v2])
def test_groups_are_those_of_torch_pruning(network: ModuleType) -> None:
    """An independent solver agrees on what shrinks where, layer by layer."""
    torch_pruning = pytest.importorskip("torch_pruning", reason="torch-pruning is not installed")
    model = network.build(classes=7)
    graph = torch_pruning.DependencyGraph().build_dependency(model, torch.randn(1, 3, 64, 64))
    paths = {module: path for path, module in model.named_modules()}
    for group in channel_groups(model):
        if group.fixed:
            continue
        layer = model.get_submodule(group.producers[0])
        prune = (
            torch_pruning.prune_linear_out_channels
            if isinstance(layer, nn.Linear)
            else torch_pruning.prune_conv_out_channels
        )
        wanted = set()
        for dependency, indices in graph.get_pruning_group(layer, prune, idxs=[1]):
            if dependency.target.module in paths:
                out = graph.is_out_channel_pruning_fn(dependency.handler)
                wanted.add((paths[dependency.target.module], out, tuple(indices)))
        found = set()
        for member in group.members:
            kind = model.get_submodule(member.path)
            out = member.side == "out" or not isinstance(kind, nn.Conv2d | nn.Linear)
            if member.side != "depth":
                where = tuple((member.atoms == 1).nonzero().flatten().tolist())
                found.add((member.path, out, where))
        assert found == wanted
