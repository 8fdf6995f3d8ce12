"""The arithmetic of a PE: what it does in a cycle, at which widths, and what of what it lacks."""

from fractions import Fraction
from math import ceil, prod
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from hwsim.config import Config, FieldError
from hwsim.workload import Primitive

Bits = Annotated[int, Field(ge=1, le=64)]
Energy = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Precision(Config):
    """Arithmetic that works digit by digit: the narrower its operands, the less time it takes, and
    in proportion energy.

    `widths`: those that an operand may have; it runs at the least that holds it. `cycles`: of a MAC
    of the widest; of others in proportion to the product of both operands' widths. Less than one
    where several products of one psum are made and added up side by side.
    """

    widths: dict[Literal["ifmap", "weight"], tuple[Bits, ...]] = Field(min_length=1)
    cycles: Annotated[float, Field(gt=0, le=4096)] = 1.0

    @field_validator("widths")
    @classmethod
    def _widths_grow(cls, widths: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        for operand, given in widths.items():
            if not given or list(given) != sorted(set(given)):
                raise ValueError(f"{operand}: widths must grow, and there must be one")
        return widths

    def share(self, bits: dict[str, int]) -> Fraction:
        """What a MAC of operands of such bits takes, as a share of one of the widest."""
        return prod(
            (
                Fraction(
                    next((width for width in known if width >= bits[operand]), known[-1]), known[-1]
                )
                for operand, known in self.widths.items()
            ),
            start=Fraction(1),
        )


class Mac(Config):
    """The arithmetic of a PE.

    Operands narrower than the datapath run at its full width, unless `precision` says otherwise;
    wider ones are refused. `primitives`: what it does in a cycle each. What it lacks runs as a
    multiply-add or, where there is no multiplier, as as many of the first as it takes. Of those in
    `primitive_pj` the energy is known; others follow from `hwsim.technology`.
    `zero_gating`: a zero ifmap word saves the MAC's energy, the read of its weight from the pad and
    the psum's round trip (JSSC 2017, Sec. V-B), no cycles. `zero_skipping`: a MAC with a zero of
    one of these operands takes neither energy, nor accesses to the pads, nor a cycle. PEs that
    skip get ahead of others until a tile of `sync_level` changes, where they wait; without one,
    until the layer ends.
    """

    ifmap_bits: Bits = 16
    weight_bits: Bits = 16
    psum_bits: Bits = 32
    primitives: tuple[Primitive, ...] = Field(default=(Primitive.MULTIPLY_ADD,), min_length=1)
    zero_gating: bool = False
    zero_skipping: tuple[Literal["ifmap", "weight"], ...] = ()
    sync_level: str = ""
    precision: Precision | None = None
    multiply_add_pj: Energy | None = None
    primitive_pj: dict[Primitive, Energy] = Field(default_factory=dict)
    source: str = ""

    @model_validator(mode="after")
    def _precision_suits_it(self) -> Self:
        for operand, widths in self.precision.widths.items() if self.precision else ():
            widest = self.ifmap_bits if operand == "ifmap" else self.weight_bits
            if widths[-1] != widest:
                reason = f"the widest must be {operand}_bits = {widest}"
                raise FieldError(key=f"precision.widths.{operand}", value=widths, reason=reason)
        if self.precision and self.primitives != (Primitive.MULTIPLY_ADD,):
            reason = "only multiply_add has a precision"
            raise FieldError(key="primitives", value=list(map(str, self.primitives)), reason=reason)
        return self

    def native(
        self, primitive: Primitive, *, weight_bits: int, terms: int
    ) -> tuple[Primitive, int]:
        """What a layer's MAC runs as, and how many of those it takes.

        Without a multiplier a product is a sum of shifted ifmap words, one for each non-zero signed
        digit of the weight, of which it has at most every other one.
        """
        if primitive in self.primitives:
            return primitive, terms
        if Primitive.MULTIPLY_ADD in self.primitives:
            return Primitive.MULTIPLY_ADD, 1
        adds = self.primitives[0] in {Primitive.ADD, Primitive.SHIFT_ADD}
        return self.primitives[0], ceil((weight_bits + 1) / 2) if adds else 1

    def share(self, *, ifmap_bits: int, weight_bits: int) -> Fraction:
        """The time that a MAC of such operands takes, as a share of one of the widest."""
        bits = {"ifmap": ifmap_bits, "weight": weight_bits}
        return self.precision.share(bits) if self.precision else Fraction(1)
