"""Tang and Han, 2015."""

import copy

import pytest
import torch
from torch import Tensor, nn

from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors.weights._form import code_of
from hwsim.errors import InputError
from tests.methods.conftest import accuracy, trained

SMALL = {"fit": {"epochs": 1}, "rounds": 2}
MATRICES = ("weight_ih_l0", "weight_hh_l0")


class Rows(nn.Module):
    """Reads an image row by row, and classifies what it remembers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, width, batch_first=True)
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        states, _ = self.lstm(images[:, 0])
        logits: Tensor = self.head(states[:, -1])
        return logits


def rows(width: int = 8) -> Rows:
    torch.manual_seed(0)
    return Rows(width)


def test_both_matrices_are_pruned_and_used(training: Data) -> None:
    """A plain LSTM with the same weights computes the same."""
    model = rows()
    settings = {"sparsity": 0.75, "fit": {"epochs": 0.5}}
    few = training.first(300)
    pruned = compress(model, uniform(("lstm_magnitude_pruning", settings)), data=few)
    assert isinstance(pruned, Rows)
    plain = rows()
    plain.head.load_state_dict({"weight": pruned.head.weight, "bias": pruned.head.bias})
    for name in (*MATRICES, "bias_ih_l0", "bias_hh_l0"):
        tensor = getattr(pruned.lstm, name).detach()
        getattr(plain.lstm, name).data = tensor.clone()
        if name in MATRICES:
            assert int((tensor == 0).sum()) == 0.75 * tensor.numel()
            assert torch.equal(code_of(pruned.lstm, name).decode(), tensor)
    assert torch.equal(pruned(few.images), plain(few.images))
    torch.autograd.backward(pruned(few.images).sum())
    for name in MATRICES:
        slope = pruned.lstm.get_parameter(f"parametrizations.{name}.original").grad
        assert slope is not None
        assert torch.all(slope[getattr(pruned.lstm, name) == 0] == 0)
    assert torch.equal(copy.deepcopy(pruned)(few.images), plain(few.images))
    program = torch.export.export(pruned, (few.images,), strict=False)
    assert torch.allclose(program.module()(few.images), plain(few.images), atol=1e-6)


def test_other_methods_refuse_recurrent_layers() -> None:
    with pytest.raises(InputError, match="'lstm': shiftcnn takes Conv1d, Conv2d, Linear, not LSTM"):
        compress(rows(), uniform("shiftcnn"))


def test_names_an_lstm_with_bad_weights() -> None:
    model = rows()
    model.lstm.get_parameter("weight_hh_l0").data[3, 2] = float("nan")
    data = Data(images=torch.zeros(2, 1, 16, 16), labels=torch.zeros(2, dtype=torch.int64))
    with pytest.raises(InputError, match="'lstm': lstm_magnitude_pruning: its weights are not all"):
        compress(model, uniform("lstm_magnitude_pruning"), data=data)


@pytest.mark.slow
def test_loses_less_than_a_twentieth_at_85_percent(training: Data, testing: Data) -> None:
    model = trained(rows(48), training, epochs=5, rate=0.1)
    settings = {"sparsity": 0.85, "fit": {"epochs": 2, "learning_rate": 0.1}}
    pruned = compress(model, uniform(("lstm_magnitude_pruning", settings)), data=training)
    print(accuracy(model, testing), accuracy(pruned, testing))
    assert accuracy(pruned, testing) > 0.95 * accuracy(model, testing)
