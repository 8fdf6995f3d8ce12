"""One layer mapped, or judged under a mapping of the user's own; or a chain of layers fused."""

from pathlib import Path

from hwsim import mapping_file
from hwsim.constraints import breach
from hwsim.cost import cost
from hwsim.errors import MappingError
from hwsim.found import EFFORT, Found, Question, judged
from hwsim.fusion import FusedChain, even_tiles, fuse
from hwsim.map_request import Job
from hwsim.progress import Progress, quiet
from hwsim.reach import obstacle, prelude
from hwsim.simulate import ask, front


def answers(job: Job, progress: Progress = quiet) -> tuple[Found, ...]:
    """The best mapping, the user's own, or the Pareto front of energy and cycles, fastest first.

    Raises InputError: MappingError where there is none, and with a line for each fault of a file.
    """
    request = job.request
    if request.mapping:
        return (_judged(job, request.mapping),)
    question = Question(
        layer=job.layer,
        machine=job.machine,
        objective=request.objective,
        max_cycles=request.max_cycles,
        constraints=job.constraints,
        budget_s=request.budget_s,
        effort=EFFORT if request.effort is None else request.effort,
    )
    reason = obstacle(question)
    if request.effort and reason:
        raise MappingError(f"effort = {request.effort}: {reason}")
    searching = question.effort and not reason
    progress(f"mapping {job.layer.name} on {job.machine.name}{prelude() if searching else ''}")
    return front(question) if request.front else (ask(question),)


def fused(job: Job) -> FusedChain:
    """The best schedule of the job's chain, of tiles as even as can be. Raises InputError."""
    return fuse(
        job.chain,
        job.machine,
        objective=job.request.objective,
        tiles=even_tiles(job.chain[-1]),
        budget_s=job.request.budget_s,
    )


def _judged(job: Job, path: Path) -> Found:
    mapping = mapping_file.read(path, job.layer, job.machine)
    broken = breach(job.constraints, mapping, job.layer, job.machine)
    if broken:
        raise MappingError(f"{path}: {broken}")
    costed = mapping, cost(job.layer, mapping, job.machine)
    return judged(job.layer, job.machine, job.request.objective, costed)
