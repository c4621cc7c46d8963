"""huggingface.co over HTTPS, or what stands in for it (HF_ENDPOINT): the one place of a socket.

By huggingface_hub, which honours HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and HF_TOKEN. Its own
download starts anew after a stop; a file of gigabytes has to go on, so the loop is its `http_get`
on a file that we keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from poc import disk
from poc.errors import InputError

Seen = Callable[[int], None]
"""Called with the bytes of a file that are there."""


class RemoteFile(NamedTuple):
    """A file of a repository at one commit, as its headers describe it."""

    url: str
    commit: str
    size_bytes: int
    etag: str
    """SHA-256 of a large file, the git blob's SHA-1 of a small one, on the hub itself."""


def look(
    repository: str,
    name: str,
    *,
    revision: str | None,
    endpoint: str | None = None,
    patient: bool = True,
) -> RemoteFile:
    """Ask for a file's headers; without a revision those of the main branch.

    `patient`: ask again where the way to the hub breaks.

    Raises:
        InputError: no such file, no access, or no way to the hub.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(repository, name, revision=revision or "main", endpoint=endpoint)
    with _explained(url):
        found = get_hf_file_metadata(url, endpoint=endpoint, retry_on_errors=patient)
    if not found.commit_hash or found.size is None or not found.etag:
        raise InputError(
            f"{url}: expected commit, size and ETag in the headers, got none. Is HF_ENDPOINT, or a "
            "proxy's answer, something else than a hub?"
        )
    pinned = hf_hub_url(repository, name, revision=found.commit_hash, endpoint=endpoint)
    return RemoteFile(pinned, found.commit_hash, found.size, found.etag)


def top_files(
    repository: str, *, revision: str, endpoint: str | None = None
) -> tuple[str, ...] | None:
    """Return what lies in the top folder of a repository; None where the hub gives no whole list.

    Asks once, since nothing that has to be fetched hangs on it.

    Raises:
        InputError: no way to the hub.
    """
    from huggingface_hub import constants, errors, get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    url = f"{endpoint or constants.ENDPOINT}/api/models/{repository}/tree/{revision}"
    with _explained(url):
        answer = get_session().get(url, headers=build_hf_headers(), timeout=_LIST_TIMEOUT_S)
        try:
            hf_raise_for_status(answer)
            rows = answer.json()
            found = tuple(row["path"] for row in rows if row["type"] == "file")
        except (errors.HfHubHTTPError, ValueError, TypeError, KeyError):
            return None
    return None if answer.links.get("next") else found


def look_for(
    repository: str, names: Iterable[str], *, revision: str | None, endpoint: str | None = None
) -> tuple[str, RemoteFile] | None:
    """Return the first of some names that a repository has, None where it has none; asks once.

    Raises:
        InputError: as `look` does, but for a file that is not there.
    """
    for name in names:
        try:
            found = look(repository, name, revision=revision, endpoint=endpoint, patient=False)
        except NoSuchFileError:
            continue
        return name, found
    return None


class NoSuchFileError(InputError):
    """A repository that is there, and a file that is not."""


def download(remote: RemoteFile, target: Path, seen: Seen) -> None:
    """Append to `target` what it lacks of a file; a stop at any moment leaves what has come.

    Raises:
        InputError: the way to the hub broke for good, more came than was announced, or a full disk.
    """
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    with _explained(remote.url), target.open("ab") as file:
        if file.tell() > remote.size_bytes:
            file.truncate(0)
        there = target.stat().st_size
        http_get(
            remote.url,
            _Counted(file, remote, seen),
            resume_size=there,
            headers={**build_hf_headers(), "Accept-Encoding": "identity"},
            expected_size=remote.size_bytes,
        )


class _Counted:
    """A file that tells how much of it is there and takes no more than was announced."""

    def __init__(self, file: BinaryIO, remote: RemoteFile, seen: Seen) -> None:
        self._file, self._remote, self._seen = file, remote, seen
        self.seek, self.tell, self.truncate = file.seek, file.tell, file.truncate

    def write(self, data: bytes) -> int:
        there = self._file.tell() + len(data)
        if there > self._remote.size_bytes:
            raise InputError(
                f"{self._remote.url}: more came than the {self._remote.size_bytes} bytes promised. "
                "Something between here and the hub changes its answers: try again, or mend it."
            )
        self._seen(there)
        return self._file.write(data)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn what the hub, the way to it and the disk refuse into an `InputError`."""
    from huggingface_hub import errors

    hints: tuple[tuple[Any, str], ...] = (
        (errors.GatedRepoError, "Accept its licence on its page, and give HF_TOKEN."),
        (errors.RepositoryNotFoundError, "There is no such repository, or HF_TOKEN lacks access."),
        (errors.HfHubHTTPError, "Check repository, revision and file name in models.yaml."),
        (errors.OfflineModeIsEnabled, "Unset HF_HUB_OFFLINE, or give --from DIR."),
        (errors.HTTPError, _WAY),
        (errors.FileMetadataError, _WAY),
    )
    try:
        yield
    except (errors.HTTPError, OSError) as error:
        hint = next((hint for kind, hint in hints if isinstance(error, kind)), None)
        if hint is None and error.errno is not None:  # the disk's own refusal
            with disk.explained(Path(url)):
                raise
        said = str(error).strip().splitlines() or [type(error).__name__]
        absent = isinstance(error, errors.EntryNotFoundError)
        raise (NoSuchFileError if absent else InputError)(
            f"{url}: {said[0][:300]} {hint or _WAY}"
        ) from error


_LIST_TIMEOUT_S = 10.0
_WAY = (
    "Is the hub reachable? HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE are honoured; what came is "
    "kept, and the same command goes on. On a closed network give --from DIR."
)
