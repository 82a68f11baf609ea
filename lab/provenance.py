"""What a result came from: the code, the packages and the machine."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGES = (
    "pseudoword",
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "safetensors",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "moviepy",
    "pydantic",
)
_LONGEST_DIFF = 200_000


@cache
def code_version() -> dict[str, Any] | None:
    """Commit and uncommitted changes of this checkout; None where the code is an installed copy."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    diff = _git(root, "diff", "HEAD") or ""
    if len(diff) > _LONGEST_DIFF:
        diff = diff[:_LONGEST_DIFF] + "\n... (cut)\n"
    return {"commit": commit.strip(), "diff": diff}


def _git(root: Path, *arguments: str) -> str | None:
    """What git says; None without git, in a repository without a commit, or if it takes long."""
    try:
        finished = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            timeout=10,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return finished.stdout.decode(errors="replace")


@cache
def package_versions() -> dict[str, str]:
    """The installed versions of the packages that decide a result, without importing them."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def machine() -> dict[str, Any]:
    """The platform and its number of CPU cores."""
    return {"platform": sys.platform, "machine": platform.machine(), "cpus": os.cpu_count()}
