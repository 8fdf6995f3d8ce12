"""New weights for what reads channels, when some of these go."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from compressors._layers import weight_of
from compressors._probe import Columns
from compressors._ridge import best_step
from compressors.structure._groups import Group, Member
from compressors.weights._form import Wrapper, forms, latent_of
from hwsim.errors import InputError


def rewrite_(layer: nn.Module, weight: Tensor, *, path: str) -> None:
    """Give a layer other weights; masks stay. Raises InputError where they are not free."""
    for form in forms(layer):
        if not isinstance(form, Wrapper):
            kind = type(form).__name__
            raise InputError(f"layer {path!r}: its weight is {kind}: it cannot be fitted anew")
    latent_of(layer).data.copy_(weight)


def columns_of(member: Member, layer: nn.Module) -> Tensor:
    """The atom, -1 for another group's, of each entry of a reader's weight along its axis 1."""
    groups: int = getattr(layer, "groups", 1)
    return member.atoms[: len(member.atoms) // groups]


def mix_(model: nn.Module, group: Group, mix: Tensor) -> None:
    """Let all that reads the group see atom j as the sum over i of `mix[i, j]` times atom i.

    Weights are multiplied, nothing is added in front: W'[:, i] = sum over j of mix[i, j] W[:, j].
    Atoms that a layer does not read neither give nor take.
    """
    for member in group.readers:
        layer = model.get_submodule(member.path)
        weight, atoms = weight_of(layer).detach().clone(), columns_of(member, layer)
        for where in occurrences(atoms):
            own = atoms[where]
            share = mix[own][:, own].to(weight)
            weight[:, where] = torch.einsum("ij,kj...->ki...", share, weight[:, where])
        rewrite_(layer, weight, path=member.path)


def occurrences(atoms: Tensor) -> list[Tensor]:
    """Places of a list of atoms, each atom once in each: first occurrences, second ones, ..."""
    seen: dict[int, int] = {}
    places: list[list[int]] = []
    for place, atom in enumerate(atoms.tolist()):
        if atom >= 0:
            turn = seen[atom] = seen.get(atom, -1) + 1
            if turn == len(places):
                places.append([])
            places[turn].append(place)
    return [torch.tensor(found) for found in places]


def by_atom(rows: Tensor, atoms: Tensor, size: int) -> Tensor:
    """Rows of channels, [channels, m], side by side for each atom, [size, turns * m]; 0 where an
    atom has none.
    """
    parts = []
    for where in occurrences(atoms):
        part = rows.new_zeros(size, rows.shape[1])
        part[atoms[where]] = rows[where]
        parts.append(part)
    return torch.cat(parts, dim=1)


def read_weights(model: nn.Module, group: Group) -> Tensor:
    """The weights by which all readers multiply each atom, float64 [size, m]."""
    parts = []
    for member in group.readers:
        layer = model.get_submodule(member.path)
        columns = weight_of(layer).detach().double().movedim(1, 0)
        parts.append(by_atom(columns.flatten(1), columns_of(member, layer), group.size))
    return torch.cat(parts, dim=1)


def per_atom(values: Tensor, atoms: Tensor, size: int) -> Tensor:
    """Sums, [..., size], of the last axis of `values` over the entries of each atom."""
    own = atoms >= 0
    sums = values.new_zeros(*values.shape[:-1], size)
    return sums.index_add_(values.ndim - 1, atoms[own], values[..., own])


def moments(
    model: nn.Module, group: Group, columns: Mapping[str, Columns]
) -> tuple[Tensor, Tensor]:
    """Means, float64, of products of two atoms' values [size, size] and of the values [size]."""
    products = torch.zeros(group.size, group.size, dtype=torch.float64)
    sums, count = products.new_zeros(group.size), 0
    for member in group.readers:
        atoms = columns_of(member, model.get_submodule(member.path))
        inputs = columns[member.path].inputs.double()
        for where in occurrences(atoms):
            rows = inputs[:, where].movedim(1, -1).flatten(0, 1)
            own = atoms[where]
            products[own[:, None], own] += rows.T @ rows
            sums[own] += rows.sum(0)
            count += len(rows)
    return products / max(count, 1), sums / max(count, 1)


def refit_(layer: nn.Module, columns: Columns, *, path: str) -> None:
    """The weights of least squared error of `columns.sums` (He, Zhang and Sun, ICCV 2017, eq. 4).

    A ridge around the weights that were keeps what the samples do not tell, or hardly.
    """
    weight = weight_of(layer).detach()
    inputs, sums = columns.inputs.flatten(1).double(), columns.sums.double()
    step = best_step(inputs, sums - inputs @ weight.flatten(1).double().T)
    rewrite_(layer, weight + step.T.reshape(weight.shape).to(weight), path=path)
