"""This modelgpt-edge as one folder that another Python can import from, wherever its parts are installed."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import modelgpt_edge
import modelgpt_edge.kernels
import modelgpt_edge.targets
from modelgpt_edge.errors import TargetUnavailableError

PACKAGE = "modelgpt_edge"


def source_tree(folder: Path) -> Path:
    """A folder of links under `folder` to put on a Python's path, made once for the same links so that it is compiled once.

    Raises:
        TargetUnavailableError: it can't be written.
    """
    links = {entry.name: entry for entry in sorted(Path(modelgpt_edge.__path__[0]).iterdir()) if entry.name != "__pycache__"}
    # An editable install has these two beside the package, an installed one inside.
    links |= {"kernels": Path(modelgpt_edge.kernels.__path__[0]), "targets": Path(modelgpt_edge.targets.__path__[0])}
    listed = "\0".join(f"{name}\0{to.resolve()}" for name, to in sorted(links.items()))
    tree = folder / hashlib.sha256(listed.encode()).hexdigest()[:12]
    if tree.is_dir():
        return tree
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder))
        (made / PACKAGE).mkdir()
        for name, to in links.items():
            (made / PACKAGE / name).symlink_to(to.resolve())
        os.replace(made, tree)
    except OSError as error:
        if not tree.is_dir():  # else another process was quicker
            what = f"links to the sources can't be made: {error}"
            raise TargetUnavailableError(what, where=str(folder), cure="Check that the folder can be written.") from error
        shutil.rmtree(made, ignore_errors=True)
    return tree
