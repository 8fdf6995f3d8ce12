"""The nest in words, and how full memories are."""

from hwsim.explain import fills, nest
from hwsim.mapping import Loop, Mapping, Store
from hwsim.workload import TENSORS, Layer
from tests import machines


def test_the_nest_in_words() -> None:
    layer = Layer(name="conv", K=5, C=4, P=3, pad_h=1)
    mapping = Mapping(
        (
            Store("DRAM", TENSORS),
            Loop("K", 2),
            Store("GLB", ("ifmap",)),
            Loop("C", 1, "X"),
            Loop("K", 1),
            Loop("P", 1),
        )
    )
    assert nest(mapping, layer) == (
        "[DRAM keeps ifmap 4, weight 20, ofmap 15 words]\n"
        "for K in 3 tiles of 2, the last of 1\n"
        "  [GLB keeps ifmap 12 words]\n"
        "  over X: C in 4 tiles of 1\n"
        "    for K in 2 tiles of 1\n"
        "      for P in 3 tiles of 1"
    )


def test_how_full_memories_are() -> None:
    glb = machines.sized(machines.GLB, 1024).model_copy(update={"buffering": "double"})
    where = machines.machine(
        machines.dram_level(), machines.glb_level(glb), machines.GRID, machines.spad_level()
    )
    layer = Layer(name="conv", K=4, C=3).at_bits(ifmap=8, weight=4, ofmap=8, psum=20)
    mapping = Mapping(
        (
            Store("DRAM", TENSORS),
            Store("GLB", ("ifmap", "ofmap")),
            Loop("K", 1, "X"),
            Store("spad", ("weight",)),
            Loop("C", 1),
        )
    )
    found = list(fills(mapping, layer, where))
    assert [(fill.level, fill.instances) for fill in found] == [
        ("GLB", 1),
        *[("spad", 12)] * 3,
    ]
    assert found[0].words == {"ifmap": 3, "ofmap": 4}
    assert (found[0].bits, found[0].usable_bits) == (3 * 8 + 4 * 20, 512)
    assert [fill.words for fill in found[1:]] == [{}, {"weight": 3}, {}]
    assert [fill.bits for fill in found[1:]] == [0, 12, 0]
