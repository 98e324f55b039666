"""Tars, Parquet files and batches of the pictures of a folder, made as their usual tools make them."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path


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
