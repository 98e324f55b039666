"""Tars, Parquet files and batches of the pictures of a folder, made as their usual tools make them."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from damage import damages
from pictures import pixels_of

from cmmd_toolkit import CmmdError


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    """A tar of those files, in their order."""
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def contents(folder: Path, prefix: str = "") -> dict[str, bytes]:
    """The files below a folder by relative name, in order."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {prefix + path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def write_parquet(path: Path, files: Mapping[str, bytes], *, rows: int = 3, paths: bool = True) -> Path:
    """A Parquet file as `datasets` writes it, of so many rows a group."""
    import pyarrow as pa
    from pyarrow import parquet

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    values = [{"bytes": content, "path": name if paths else None} for name, content in files.items()]
    table = pa.table({"label": list(range(len(files))), "image": pa.array(values, kind)})
    parquet.write_table(table, path, row_group_size=rows)
    return path


def assert_damage_is_told(path: Path, whole: bytes, real: Path) -> None:
    """Every damage of a file is one line that names it, or leaves whole pictures of the folder `real`."""
    expected = {pixels.tobytes() for pixels in pixels_of(real)}
    for content in damages(whole, 150):
        path.write_bytes(content)
        try:
            found, reason = pixels_of(path), str(path)
        except CmmdError as error:
            found, reason = [], str(error)
        assert {pixels.tobytes() for pixels in found} <= expected
        assert reason.startswith(str(path))
        assert "\n" not in reason
