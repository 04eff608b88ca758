"""A bundle with one more file, or with more to say: what was exported before something could be measured of it.

Takes the folder of a bundle; writes it anew, whole or not at all. Every other file keeps its bytes, so the model stays what it was; the
bundle's hash becomes another, since it covers every file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kapelle.bundles import export, load

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.bundles.manifest import Manifest


def amend(path: Path, files: Mapping[str, bytes] | None = None, options: Mapping[str, Any] | None = None) -> Manifest:
    """Write the bundle `path` again with other files and options, and return its manifest.

    Args:
        path: The folder.
        files: More files by name, or others of names that are there; not the graphs.
        options: More entries for the manifest's options, or others; None as a value takes one out.

    Raises:
        Missing: There is no bundle.
        BundleError: It is damaged, or would be.
        StorageError: It cannot be written.
    """
    held = load.load(path)
    told = {**held.manifest.options, **(options or {})}
    draft = replace(held.manifest, options={name: value for name, value in told.items() if value is not None})
    graphs = {role: held.graph(role) for role in held.manifest.graphs}
    rest = {name: data for name, data in held.contents.items() if name not in held.manifest.graphs.values()}
    return export.write_bundle(held.path, draft, graphs, {**rest, **(files or {})}, force=True)
