"""Archives made in memory, good ones and bad ones."""

import io
import tarfile
import zipfile
from collections.abc import Iterable


def tar(
    contents: dict[str, bytes], mode: str = "w:gz", extra: Iterable[tarfile.TarInfo] = ()
) -> bytes:
    """A tar file with these members, after entries that have no bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for entry in extra:
            archive.addfile(entry)
        for name, content in contents.items():
            archive.addfile(tar_entry(name, size=len(content)), io.BytesIO(content))
    return buffer.getvalue()


def tar_entry(name: str, **fields: object) -> tarfile.TarInfo:
    """The header of a member: its type, where it links to, its size."""
    entry = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


def zipped(contents: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file with these members, whatever the clock the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


PACKERS = {
    "set.zip": zipped,
    "set.tar": lambda contents: tar(contents, "w"),
    "set.tar.gz": tar,
}
