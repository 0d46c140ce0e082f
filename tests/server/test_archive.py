"""Tars that come from elsewhere: none may write outside its folder, or unpack to more than is allowed."""

from __future__ import annotations

import io
import tarfile

import pytest

from modelgpt_edge.errors import PackageError
from modelgpt_edge.server.archive import folder_files, read_tar, tar_of, write_files
from modelgpt_edge.server.errors import RequestError
from modelgpt_edge.server.packages import Packages


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    out.seek(0)
    return out


def _kind(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def test_what_is_packed_is_unpacked_and_the_same_files_give_the_same_bytes(tmp_path):
    files = {"a.txt": b"1", "variants/x/model.so": bytes(range(256)) * 9, "empty": b""}
    assert write_files(tmp_path, files.items()) == list(files)
    assert dict(folder_files(tmp_path)) == files
    assert tar_of(folder_files(tmp_path)) == tar_of(sorted(files.items()))
    assert dict(read_tar(io.BytesIO(tar_of(files.items())), 10_000)) == files


UNSAFE = {
    "above": (tarfile.TarInfo("../up"), b"x"),
    "above, later": (tarfile.TarInfo("a/../../up"), b"x"),
    "absolute": (tarfile.TarInfo("/etc/passwd"), b"x"),
    "a drive": (tarfile.TarInfo("C:/x"), b"x"),
    "backslashes": (tarfile.TarInfo("a\\..\\..\\up"), b"x"),
    "a link": (_kind("link", tarfile.SYMTYPE, "/etc/passwd"), b""),
    "a hard link": (_kind("link", tarfile.LNKTYPE, "../up"), b""),
    "a device": (_kind("null", tarfile.CHRTYPE), b""),
    "a pipe": (_kind("pipe", tarfile.FIFOTYPE), b""),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_a_member_that_is_not_a_file_of_the_folder_is_refused(case):
    with pytest.raises(PackageError, match="leaves its folder, or is no file"):
        list(read_tar(_tar((tarfile.TarInfo("fine"), b"x"), UNSAFE[case]), 1000))


def _claiming(**headers: str) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo("claims")
    member.pax_headers = {f"GNU.sparse.{name}": value for name, value in headers.items()}
    return member, b""


def test_a_header_cannot_claim_room_or_zeros_that_were_not_sent():
    many = str(1 << 40)
    for claim in ({"realsize": f"-{many}"}, {"map": f"{many},0", "size": many, "major": "0", "minor": "1"}):
        with pytest.raises(PackageError, match="is no file"):
            list(read_tar(_tar(_claiming(**claim), (tarfile.TarInfo("after"), b"x" * 2000)), 1000))


@pytest.mark.parametrize("name", ["n" * 300, "taken/below"])
def test_a_file_that_cannot_be_written_is_told(name, tmp_path):
    with pytest.raises(PackageError, match="can't be unpacked"):
        write_files(tmp_path, [("taken", b"x"), (name, b"x")])


def test_too_much_is_refused():
    with pytest.raises(PackageError, match="unpacks to too much"):
        list(read_tar(_tar((tarfile.TarInfo("a"), b"x" * 600), (tarfile.TarInfo("b"), b"x" * 600)), 1000))
    with pytest.raises(PackageError, match="unpacks to too much"):
        list(read_tar(_tar(*((tarfile.TarInfo(f"f{n}"), b"") for n in range(5))), 1000, most_files=4))


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100, tar_of([("a", b"x" * 5000)])[:2000]])
def test_a_damaged_tar_is_refused(content):
    with pytest.raises(PackageError, match="damaged or cut short"):
        list(read_tar(io.BytesIO(content), 10_000))


def test_packages_are_kept_for_a_while_and_few(tmp_path):
    now = [0.0]
    packages = Packages(tmp_path / "kept", keep=60, most=2, clock=lambda: now[0])
    ids = []
    for _ in range(2):
        identity, place = packages.place()
        place.mkdir()
        packages.add(identity)
        ids.append(identity)
        now[0] += 10
    assert packages.find(ids[0]).is_dir()  # asked for anew, so the other one is the older
    third, place = packages.place()
    place.mkdir()
    now[0] += 1
    packages.add(third)
    assert packages.find(ids[0]).is_dir()
    with pytest.raises(RequestError, match="no such package is kept here"):
        packages.find(ids[1])
    now[0] += 61
    with pytest.raises(RequestError):
        packages.find(third)
    assert list((tmp_path / "kept").iterdir()) == []
