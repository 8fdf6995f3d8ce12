"""What the shell may complete: names of what is shipped, and files and folders of the user's."""

from pathlib import Path
from typing import get_args

from hwsim import registry
from hwsim.objective import Objective
from hwsim.source import ONNX, PROGRAM

YAML = (".yaml", ".yml")


def machines(incomplete: str) -> list[str]:
    """Machines whose names begin so, and files that may hold one."""
    return _beginning("machine", incomplete) + _files(incomplete, YAML)


def networks(incomplete: str) -> list[str]:
    """Networks whose names begin so."""
    return _beginning("network", incomplete)


def networks_and_files(incomplete: str) -> list[str]:
    """Networks, and files that may hold one."""
    return networks(incomplete) + _files(incomplete, (ONNX, PROGRAM))


def scenarios(incomplete: str) -> list[str]:
    """Scenarios whose names begin so, and files that may hold one."""
    return _beginning("scenario", incomplete) + _files(incomplete, YAML)


def spaces(incomplete: str) -> list[str]:
    """Spaces whose names begin so, and files that may hold one."""
    return _beginning("space", incomplete) + _files(incomplete, YAML)


def subjects(incomplete: str) -> list[str]:
    """What can be validated."""
    return _beginning("validation", incomplete)


def objectives(incomplete: str) -> list[str]:
    """What mappings may be judged by."""
    return [name for name in get_args(Objective) if name.startswith(incomplete)]


def kinds(incomplete: str) -> list[str]:
    """Kinds of what is shipped, as `hwsim list` takes them."""
    known = [f"{kind.replace(' ', '-')}s" for kind in registry.PACKAGES]
    return [kind for kind in known if kind.startswith(incomplete)]


def _beginning(kind: str, incomplete: str) -> list[str]:
    return [name for name in registry.names(kind) if name.startswith(incomplete)]


def _files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Files of these kinds where the user points, and folders."""
    folder = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    within = sorted(folder.iterdir()) if folder.is_dir() else []
    files = [str(path) for path in within if path.suffix in suffixes]
    folders = [f"{path}/" for path in within if path.is_dir()]
    return [path for path in (*files, *folders) if path.startswith(incomplete)]
