"""Layers in words: what is written reads back, and what is wrong is named."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import InputError
from hwsim.layer_text import option, read, text, words
from hwsim.workload import TENSORS, WEIGHTED, Decoder, Layer, Op, Primitive, Stored
from tests.strategies import layers

BITS = st.integers(1, 64)
DECODERS = st.lists(st.sampled_from(Decoder), min_size=1, max_size=3).map(tuple)
CODES = st.lists(st.builds(Stored, st.integers(0, 2**40), DECODERS), max_size=2).map(tuple)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@st.composite
def any_layers(draw: st.DrawFn) -> Layer:
    """A layer with every field drawn."""
    layer = draw(layers()).at_bits(
        ifmap=draw(BITS), weight=draw(BITS), ofmap=draw(BITS), psum=draw(BITS)
    )
    primitive, op = draw(st.sampled_from(Primitive)), draw(st.sampled_from(Op))
    codes = CODES if op in WEIGHTED else st.just(())
    return replace(
        layer,
        name=draw(NAMES),
        op=op,
        primitive=primitive,
        terms=1 if primitive is Primitive.MULTIPLY_ADD else draw(st.integers(1, 9)),
        ifmap=replace(layer.ifmap, density=draw(st.floats(0, 1))),
        weight=replace(layer.weight, density=draw(st.floats(0, 1)), stored=draw(codes)),
        ofmap=replace(layer.ofmap, density=draw(st.floats(0, 1))),
    )


def layer(given: str) -> Layer:
    return read(words(given))


@settings(deadline=None)
@given(any_layers())
def test_what_is_written_reads_back(drawn: Layer) -> None:
    assert read(words(text(drawn))) == drawn


def test_a_layer_in_words() -> None:
    found = layer("N=2 G=3 K=4 C=5 P=6 Q=7 R=3 S=2 stride_h=2 dilation=2 pad_w=1 op=conv")
    assert found == Layer(
        name="layer",
        N=2,
        G=3,
        K=4,
        C=5,
        P=6,
        Q=7,
        R=3,
        S=2,
        stride_h=2,
        dilation_h=2,
        dilation_w=2,
        pad_w=1,
    )
    assert (found.H, found.W) == (5 * 2 + 2 * 2 + 1, 6 + 1 * 2 + 1 - 2)


def test_written_words() -> None:
    wide = layer("K=4 P=6 Q=7 R=3 S=3 stride=2 pad=1 weight_bits=8 density=0.5 name='conv 1'")
    assert text(wide) == (
        "name='conv 1' N=1 K=4 P=6 Q=7 R=3 S=3 H=11 W=13 stride=2 pad=1 "
        "ifmap_bits=16 weight_bits=8 ofmap_bits=16 psum_bits=16 density=0.5"
    )


def test_codes_in_words() -> None:
    found = layer("K=8 C=4 primitive=shift_add terms=2 weight_stored=99:huffman+codebook,128:hash")
    hashed, coded = Stored(128, (Decoder.HASH,)), (Decoder.CODEBOOK, Decoder.HUFFMAN)
    assert found.weight.stored == (Stored(99, coded), hashed)
    assert (found.primitive, found.terms) == (Primitive.SHIFT_ADD, 2)
    assert text(found).endswith("psum_bits=16 weight_stored=99:codebook+huffman,128:hash")


def test_the_part_wins_over_the_whole() -> None:
    found = layer("stride_w=3 stride=2 bits=8 psum_bits=24 weight_bits=4 ifmap_density=0.25")
    assert (found.stride_h, found.stride_w) == (2, 3)
    assert [found.tensor(tensor).bits for tensor in TENSORS] == [8, 4, 8]
    assert found.psum.bits == 24
    assert [found.tensor(tensor).density for tensor in TENSORS] == [0.25, 1.0, 1.0]


def test_bits_default_to_the_given_ones() -> None:
    widths = {"ifmap": 8, "weight": 6, "ofmap": 8, "psum": 24}
    found = read(words("K=2 weight_bits=4"), bits=widths)
    assert [found.tensor(tensor).bits for tensor in TENSORS] == [8, 4, 8]
    assert found.psum.bits == 24


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("stride", "2", "stride=2"),
        ("stride", "2,1", "stride_h=2 stride_w=1"),
        ("G", "32", "G=32"),
        ("bits", "weight=4", "weight_bits=4"),
        ("pad", "1,2,3", "pad=1,2,3"),
    ],
)
def test_options_in_words(key: str, value: str, said: str) -> None:
    assert option(key, value) == said


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("K=64 strid=2", "--layer: strid = '2': unknown key; did you mean 'stride'?"),
        ("K=64 M", "--layer: M = '': unknown key; known: N G K C P Q R S"),
        ("K=64 K=32", "--layer: K = '32': given twice"),
        ("K=many", "--layer: K = 'many': must be a whole number"),
        ("K", "--layer: K = '': must be a whole number"),
        ("K=1.5", "--layer: K = '1.5': must be a whole number"),
        ("K=0", "layer 'layer': K = 0: must lie in 1.."),
        ("stride=0", "layer 'layer': stride_h = 0: must lie in 1.."),
        ("P=3 R=3 pad=3", "layer 'layer': H = -1: must lie in 1.."),
        ("op=convolution", "--layer: op = 'convolution': must be one of conv, linear"),
        ("bits=65", "--layer: ifmap_bits = '65': must lie in 1..64"),
        ("weight_density=dense", "--layer: weight_density = 'dense': must be a number"),
        ("ofmap_density=nan", "--layer: ofmap_density = 'nan': must lie in 0..1"),
        ("weight_stored=8", "--layer: weight_stored = '8': decoders must be some of codebook, "),
        ("weight_stored=8:codebok", "--layer: weight_stored = '8:codebok': decoders must be some"),
        (
            "weight_stored=x:hash",
            "--layer: weight_stored = 'x:hash': must be a whole number of bits",
        ),
        ("terms=2", "layer 'layer': terms = 2: must lie in 1..1 of multiply_add"),
        ("name='a", '--layer: "name=\'a": No closing quotation'),
    ],
)
def test_a_complaint_names_key_and_value(given: str, complaint: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(complaint)}") as refused:
        layer(given)
    assert "\n" not in str(refused.value)
