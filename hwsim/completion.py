"""What the shell may complete: the names of networks, machines, scenarios and kinds."""

from pathlib import Path

from hwsim import registry
from hwsim.source import ONNX, PROGRAM


def machines(incomplete: str) -> list[str]:
    """Machines whose names begin so."""
    return _beginning("machine", incomplete)


def networks(incomplete: str) -> list[str]:
    """Networks whose names begin so."""
    return _beginning("network", incomplete)


def scenarios(incomplete: str) -> list[str]:
    """Scenarios whose names begin so."""
    return _beginning("scenario", incomplete)


def kinds(incomplete: str) -> list[str]:
    """Kinds of what is shipped, as `hwsim list` takes them."""
    known = [f"{kind.replace(' ', '-')}s" for kind in registry.PACKAGES]
    return [kind for kind in known if kind.startswith(incomplete)]


def networks_and_files(incomplete: str) -> list[str]:
    """Networks, and files and folders here that may hold one."""
    folder = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    within = sorted(folder.iterdir()) if folder.is_dir() else []
    files = [str(path) for path in within if path.suffix in (ONNX, PROGRAM)]
    folders = [f"{path}/" for path in within if path.is_dir()]
    begun = [path for path in (*files, *folders) if path.startswith(incomplete)]
    return networks(incomplete) + begun


def _beginning(kind: str, incomplete: str) -> list[str]:
    return [name for name in registry.names(kind) if name.startswith(incomplete)]
