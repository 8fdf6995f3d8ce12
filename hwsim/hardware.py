"""What a machine is: a hierarchy of memories and PE arrays, read from one YAML file.

The hierarchy is listed outermost first, from DRAM to the pads beside each MAC. An `Array` between
two levels multiplies everything below it: with axes X = 14 and Y = 12 there are 168 instances of
each memory that follows. Energies left out are taken from `technology`.
"""

from functools import cached_property
from itertools import pairwise, takewhile
from math import inf, prod
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from hwsim.config import Config, FieldError, load
from hwsim.errors import InputError, UnknownNameError
from hwsim.mac import Bits, Energy
from hwsim.mac import Mac as Mac
from hwsim.registry import names, yaml_path
from hwsim.scaling import voltage_range
from hwsim.sparsity import Format, check_complete
from hwsim.workload import Decoder, Layer, Op, Storage

TensorName = Annotated[str, Field(pattern="^(ifmap|weight|ofmap)$")]
Positive = Annotated[int, Field(gt=0, le=2**50)]
Bandwidth = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


def _form(value: Any) -> str:
    return "storage-format" if isinstance(value, dict | Format) else "storage-name"


def _of_any_matrix(value: Any, read: ValidatorFunctionWrapHandler) -> Storage | Format:
    """A format as a machine may state it: complete but for the shape, which each layer has."""
    try:
        form: Storage | Format = read(value)
        check_complete(form)
    except InputError as error:
        raise ValueError(str(error)) from error
    return form


StoredAs = Annotated[
    Annotated[Storage, Tag("storage-name")] | Annotated[Format, Tag("storage-format")],
    Discriminator(_form),
    WrapValidator(_of_any_matrix),
]


class Memory(Config):
    """One memory, for the tensors it names (ofmap stands for psums too).

    `slot_bits`: an element takes a whole number of slots (16: an 8-bit word gains nothing; 1: words
    are packed). `word_bits`: the bits of one access, where a port moves several of them a cycle.
    `reserved_bits`: of the capacity, what no tile may use, for data that stays beside the tiles.
    `buffering`: `single` stalls the machine while a tile is filled, `double` holds two tiles and
    hides the filling, `stream` hides it without a second copy (FIFOs, sliding windows). `formats`:
    the code of each tensor for which this memory has a coder, bypassed where it saves no bits; all
    others lie here uncoded, whatever zeros they have. Either a storage by name or a
    `hwsim.sparsity.Format`, such as {storage: block, block: [4, 4]}. Tiles must fit uncoded.
    `decoders`: what reads are passed through. Weights lie here in the shortest of their own codes
    (`hwsim.workload.Tensor.stored`) for which nothing is missing, packed, and that is also the room
    that tiles take: of a code whose words differ in length as much as the mean. `bank_bits`: the
    size of one bank where it is made of several, which its area goes by (`hwsim.area`).
    """

    tensors: tuple[TensorName, ...] = Field(min_length=1)
    cell: Literal["dram", "sram", "register_file"]
    capacity_bits: Positive | None = None
    reserved_bits: Annotated[int, Field(ge=0, le=2**50)] = 0
    bank_bits: Positive | None = None
    slot_bits: Bits = 1
    word_bits: Positive | None = None
    read_bits_per_cycle: Bandwidth | None = None
    write_bits_per_cycle: Bandwidth | None = None
    shared_port: bool = False
    buffering: Literal["single", "double", "stream"] = "stream"
    bypass: bool = True
    formats: dict[TensorName, StoredAs] = Field(default_factory=dict)
    decoders: dict[Literal["weight"], tuple[Decoder, ...]] = Field(default_factory=dict)
    read_pj_per_bit: Energy | None = None
    write_pj_per_bit: Energy | None = None
    source: str = ""

    @model_validator(mode="after")
    def _dram_is_unbounded(self) -> Self:
        if (self.cell == "dram") != (self.capacity_bits is None):
            raise ValueError("a dram has no capacity_bits; every other cell needs one")
        if self.capacity_bits is not None and self.reserved_bits > self.capacity_bits:
            reason = f"exceeds capacity_bits = {self.capacity_bits}"
            raise FieldError(key="reserved_bits", value=self.reserved_bits, reason=reason)
        return self

    def element_bits(self, bits: int) -> int:
        """The bits that an element of `bits` occupies here."""
        return -(-bits // self.slot_bits) * self.slot_bits

    def code_bits(self, layer: Layer, tensor: str) -> float:
        """Bits an element of the shortest of a tensor's own codes that can be decoded here; all of
        it takes whole slots. Infinite where there is none."""
        codes = layer.weight.stored if tensor == "weight" else ()
        if not codes:
            return inf
        able = frozenset(self.decoders.get("weight", ()))
        known = [code.bits for code in codes if able.issuperset(code.decoders)]
        return self.element_bits(min(known)) / layer.words(tensor) if known else inf

    @property
    def usable_bits(self) -> float:
        """The capacity that one tile of every tensor may fill."""
        if self.capacity_bits is None:
            return float("inf")
        free_bits = self.capacity_bits - self.reserved_bits
        return free_bits / (2 if self.buffering == "double" else 1)


class MemoryLevel(Config):
    """The memories at one depth of the hierarchy; each tensor has at most one of them.

    `component` is the heading under which reports add up its energy.
    """

    level: str = Field(min_length=1)
    component: Literal["DRAM", "GLB", "spad"]
    memories: tuple[Memory, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_memory_a_tensor(self) -> Self:
        tensors = [tensor for memory in self.memories for tensor in memory.tensors]
        if len(tensors) != len(set(tensors)):
            raise ValueError(f"level {self.level}: a tensor has two memories")
        return self

    def memory(self, tensor: str) -> Memory | None:
        """The memory of a tensor at this level, if it has one."""
        return next((memory for memory in self.memories if tensor in memory.tensors), None)


class Array(Config):
    """A grid of instances of everything that follows it in the hierarchy, and its NoC.

    `multicast` lists the tensors of which one read serves every instance that needs the word.
    `reduces`: psums of different instances are added on their way up. `noc_pj_per_bit` is paid for
    each word delivered to an instance and each psum passed to a neighbour (ISCA 2016's inter-PE
    cost). `bus_bits_per_cycle` bounds each tensor's traffic across the NoC, inwards and outwards
    each, as on the Eyeriss chip's two networks. A word takes a whole number of `noc_slot_bits`.
    `skewed`: words hop one instance a cycle along every axis, as in a systolic array, so that the
    last instance starts later than the first by as many cycles as there are hops.
    """

    axes: dict[str, Positive] = Field(min_length=1)
    multicast: tuple[Literal["ifmap", "weight"], ...] = ("ifmap", "weight")
    reduces: bool = True
    noc_pj_per_bit: Energy | None = None
    noc_slot_bits: Bits = 1
    bus_bits_per_cycle: dict[TensorName, Bandwidth] = Field(default_factory=dict)
    skewed: bool = False

    @property
    def skew_cycles(self) -> int:
        """How much later than the first the last instance starts."""
        return sum(size - 1 for size in self.axes.values()) if self.skewed else 0

    @property
    def shared(self) -> frozenset[str]:
        """Tensors of which one word serves, or gathers, all instances."""
        return frozenset(self.multicast) - {"ofmap"} | ({"ofmap"} if self.reduces else set())

    def word_bits(self, bits: int) -> int:
        """The bits that a word of `bits` occupies on the wires."""
        return -(-bits // self.noc_slot_bits) * self.noc_slot_bits

    @property
    def instances(self) -> int:
        """How many there are of everything below."""
        return prod(self.axes.values())


class Technology(Config):
    """The process that energies are scaled to, and the kind of DRAM."""

    node_nm: Literal[180, 130, 90, 65, 45, 32, 20, 16, 14, 10, 7] = 45
    voltage: Annotated[float, Field(gt=0.3, lt=3.0)] = 0.9
    dram: Literal["LPDDR4", "LPDDR", "DDR3", "GDDR5", "HBM2", "horowitz"] = "LPDDR4"

    @model_validator(mode="after")
    def _voltage_suits_node(self) -> Self:
        low, high = voltage_range(node_nm=self.node_nm)
        if not low <= self.voltage <= high:
            raise ValueError(f"voltage must lie in {low}..{high} V at {self.node_nm} nm")
        return self


class Control(Config):
    """Energy that no access accounts for: the clock network, by cycle, and leakage, by time."""

    clock_pj_per_cycle: Energy = 0.0
    leakage_mw: Energy = 0.0
    source: str = ""


def _part(value: Any) -> str:
    is_array = "axes" in value if isinstance(value, dict) else isinstance(value, Array)
    return "array" if is_array else "memory_level"


Part = Annotated[
    Annotated[MemoryLevel, Tag("memory_level")] | Annotated[Array, Tag("array")],
    Discriminator(_part),
]


class Accelerator(Config):
    """A machine. `fused` operators ride on their producer's output and move no data of their own.

    `stores_padding`: zero padding is fetched and kept like data (the Eyeriss chip does so);
    otherwise it is made up where it is used. `homes` names, by tensor, the level where all of it
    lies before and after a layer, if that is not DRAM; its room is part of `reserved_bits` there.
    """

    name: str = ""
    description: str
    source: str
    dataflow: str
    clock_mhz: Annotated[float, Field(gt=0, le=1e5)]
    technology: Technology = Technology()
    hierarchy: tuple[Part, ...] = Field(min_length=2)
    mac: Mac = Mac()
    control: Control = Control()
    fused: tuple[Op, ...] = (Op.ACTIVATION, Op.NORMALISATION)
    stores_padding: bool = False
    homes: dict[TensorName, str] = Field(default_factory=dict)

    @field_validator("dataflow")
    @classmethod
    def _dataflow_exists(cls, name: str) -> str:
        if name not in names("dataflow"):
            raise ValueError(
                str(UnknownNameError(kind="dataflow", name=name, known=names("dataflow")))
            )
        return name

    @model_validator(mode="after")
    def _starts_with_dram(self) -> Self:
        outermost = self.hierarchy[0]
        if not isinstance(outermost, MemoryLevel) or outermost.component != "DRAM":
            raise ValueError("hierarchy: must start with a DRAM level")
        if not all(outermost.memory(t) for t in ("ifmap", "weight", "ofmap")):
            raise ValueError("hierarchy: the outermost level must hold ifmap, weight and ofmap")
        levels = [level.level for level in self.levels]
        axes = [axis for array in self.arrays for axis in array.axes]
        if len(set(levels)) < len(levels) or len(set(axes)) < len(axes):
            raise ValueError("hierarchy: two levels or two axes share a name")
        return self

    @model_validator(mode="after")
    def _codes_come_from_above(self) -> Self:
        """What is decoded below is not coded on the way."""
        holding = [(level.level, m) for level in self.levels if (m := level.memory("weight"))]
        for (outer, above), (name, memory) in pairwise(holding):
            new = set(memory.decoders.get("weight", ())) - set(above.decoders.get("weight", ()))
            if new:
                reason = f"{outer} above cannot pass on a code that it has no decoder for"
                raise FieldError(key=f"{name}.decoders", value=sorted(map(str, new)), reason=reason)
        return self

    @model_validator(mode="after")
    def _sync_level_exists(self) -> Self:
        name, known = self.mac.sync_level, [level.level for level in self.levels]
        if name and name not in known:
            reason = str(UnknownNameError(kind="level", name=name, known=known))
            raise FieldError(key="mac.sync_level", value=name, reason=reason)
        return self

    @model_validator(mode="after")
    def _homes_hold_their_tensors(self) -> Self:
        for tensor, name in self.homes.items():
            able = [level.level for level in self.unspread if level.memory(tensor)]
            if name not in able:
                reason = f"levels above the PEs that hold {tensor} are {', '.join(able)}"
                raise FieldError(key=f"homes.{tensor}", value=name, reason=reason)
        return self

    @cached_property
    def levels(self) -> tuple[MemoryLevel, ...]:
        """The memory levels, outermost first."""
        return tuple(part for part in self.hierarchy if isinstance(part, MemoryLevel))

    @cached_property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays, outermost first."""
        return tuple(part for part in self.hierarchy if isinstance(part, Array))

    @property
    def pes(self) -> int:
        """MAC units in the whole machine."""
        return prod(array.instances for array in self.arrays)

    @cached_property
    def shared(self) -> dict[str, frozenset[str]]:
        """By axis, the tensors of which one word serves, or gathers, all instances along it."""
        return {axis: array.shared for array in self.arrays for axis in array.axes}

    @property
    def unspread(self) -> tuple[MemoryLevel, ...]:
        """The memory levels above every array, of which there is one instance each."""
        parts = takewhile(lambda part: isinstance(part, MemoryLevel), self.hierarchy)
        return tuple(part for part in parts if isinstance(part, MemoryLevel))

    def home(self, tensor: str) -> str:
        """The level where a whole tensor lies before and after a layer."""
        return self.homes.get(tensor, self.levels[0].level)

    def level(self, name: str) -> MemoryLevel:
        """The memory level of that name. Raises KeyError."""
        return next(level for level in self.levels if level.level == name)

    def depth(self, name: str) -> int:
        """The position in the hierarchy of a level, or of the array that has that axis."""
        for position, part in enumerate(self.hierarchy):
            if name in (part.axes if isinstance(part, Array) else (part.level,)):
                return position
        raise KeyError(name)


def load_machine(name: str) -> Accelerator:
    """A shipped machine by name, or a user's by path. Raises InputError."""
    path = yaml_path("machine", name)
    machine = load(path, Accelerator)
    return machine if machine.name else machine.model_copy(update={"name": path.stem})
