"""Which files of the tree are ours: what git tracks or would track, or a plain walk in a tarball."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent

SKIPPED_FOLDERS = {".git", "build", "data", "dist", "node_modules", "__pycache__", ".cache"}


def tracked(root):
    """Paths relative to root as git knows them, or None where git cannot answer."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return [name for name in os.fsdecode(listed.stdout).split("\0") if name]


def walked(root):
    """Paths relative to root, found without git."""
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        names += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return names


def source_files(root=ROOT):
    """Every file of the project below root as sorted, relative pathlib.PurePosixPath."""
    root = pathlib.Path(root)
    names = tracked(root) if (root / ".git").exists() else None
    names = walked(root) if names is None else names
    return sorted(pathlib.PurePosixPath(name) for name in names if (root / name).is_file())
