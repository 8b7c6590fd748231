"""What the image archives hold, read with nothing but tar and JSON."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

LIMIT = 30_000_000  # bytes, unpacked
SHELLS = {"sh", "bash", "dash", "ash", "busybox", "env", "perl", "python3", "apt", "dpkg"}


class Image:
    def __init__(self, archive):
        with tarfile.open(archive) as tar:
            self.files = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}
            self.members = tar.getmembers()
        self.descriptor = json.loads(self.files["index.json"])["manifests"][0]
        self.manifest = json.loads(self.blob(self.descriptor))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.docker = json.loads(self.files["manifest.json"])[0]

    def blob(self, descriptor):
        return self.files["blobs/" + descriptor["digest"].replace(":", "/")]

    def layer(self):
        return tarfile.open(fileobj=io.BytesIO(self.blob(self.manifest["layers"][0])))


@pytest.fixture(scope="session")
def archives(build_images, tmp_path_factory):
    return build_images(tmp_path_factory.mktemp("images"), "-v", "1.2.3")


@pytest.fixture(scope="session")
def image(archives, program):
    return Image(archives[program])


@pytest.fixture(scope="session")
def root(image, program, tmp_path_factory):
    """The unpacked image."""
    folder = tmp_path_factory.mktemp(program)
    with image.layer() as layer:
        layer.extractall(folder, filter="data")
    return folder


def test_same_programs_give_the_same_bytes_whatever_the_surroundings(build_images, archives, tmp_path, program):
    old_umask = os.umask(0o077)
    try:
        again = build_images(tmp_path, "-v", "1.2.3", TZ="Asia/Tokyo", LC_ALL="C", TMPDIR=str(tmp_path))
    finally:
        os.umask(old_umask)
    assert again[program].read_bytes() == archives[program].read_bytes()


def test_source_date_epoch_sets_every_time(build_images, tmp_path, program):
    dated = Image(build_images(tmp_path, "-v", "1.2.3", SOURCE_DATE_EPOCH="1000000000")[program])
    assert dated.config["created"] == "2001-09-09T01:46:40Z"
    with dated.layer() as layer:
        assert {member.mtime for member in layer} == {1000000000}


def test_every_digest_and_size_is_that_of_the_blob(image):
    for name, data in image.files.items():
        if name.startswith("blobs/sha256/"):
            assert hashlib.sha256(data).hexdigest() == name.removeprefix("blobs/sha256/")
    for descriptor in (image.descriptor, image.manifest["config"], *image.manifest["layers"]):
        assert len(image.blob(descriptor)) == descriptor["size"]
    assert image.config["rootfs"]["diff_ids"] == [layer["digest"] for layer in image.manifest["layers"]]


def test_docker_and_oci_readers_see_the_same_image(image, program):
    path = "blobs/" + image.manifest["config"]["digest"].replace(":", "/")
    assert image.docker["Config"] == path
    assert image.docker["Layers"] == ["blobs/" + layer["digest"].replace(":", "/") for layer in image.manifest["layers"]]
    assert image.docker["RepoTags"] == [f"{program}:1.2.3"]
    assert image.descriptor["annotations"] == {
        "io.containerd.image.name": f"docker.io/library/{program}:1.2.3", "org.opencontainers.image.ref.name": "1.2.3"}


def test_prefix_and_version_are_in_the_name(build_images, tmp_path, program):
    named = Image(build_images(tmp_path, "-p", "registry.example:5000/team/", VERSION="9")[program])
    assert named.docker["RepoTags"] == [f"registry.example:5000/team/{program}:9"]
    assert named.descriptor["annotations"]["io.containerd.image.name"] == f"registry.example:5000/team/{program}:9"


def test_image_runs_the_program_as_an_ordinary_user(image, program):
    container = image.config["config"]
    assert container["User"] == "65532:65532"
    assert container["Entrypoint"] == [f"/usr/bin/{program}"]
    assert container["Labels"] == {
        "org.opencontainers.image.title": program, "org.opencontainers.image.version": "1.2.3",
        "org.opencontainers.image.licenses": "Apache-2.0"}


def test_image_unpacks_to_at_most_30_mb(image):
    with image.layer() as layer:
        assert sum(member.size for member in layer) <= LIMIT


def test_image_holds_no_shell_and_nothing_else_to_execute(image, program):
    with image.layer() as layer:
        files = [member for member in layer if not member.isdir()]
        scripts = [m.name for m in files if m.isfile() and layer.extractfile(m).read(2) == b"#!"]
    assert not scripts
    assert not {Path(member.name).name for member in files} & SHELLS
    # What may be executed is the program, its loader and libraries.
    executables = [member.name for member in files if member.mode & 0o111]
    assert [name for name in executables if not re.match(r"lib(64)?/.*\.so(\.|$)", name)] == [f"usr/bin/{program}"]


def test_files_belong_to_root_and_nobody_else_may_write_them(image):
    with image.layer() as layer:
        for member in layer:
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", ""), member.name
            assert member.isdir() or member.isfile(), member.name
            assert member.mode in ((0o755,) if member.isdir() else (0o644, 0o755)), member.name


def test_every_library_is_found_inside_the_image(root, program):
    """Asks the image's own loader, told to look nowhere but where it would look in the container."""
    [loader] = root.glob("lib*/ld-linux*.so.*")
    folders = [str(folder) for folder in root.glob("lib/*-linux-gnu*")]
    result = subprocess.run([loader, "--inhibit-cache", "--library-path", ":".join(folders), "--list", root / "usr/bin" / program],
                            capture_output=True, text=True, check=True)
    found = re.findall(r"=> (\S+) \(", result.stdout)
    assert found
    for path in found:
        assert path.startswith(str(root)), path


def test_program_is_stripped_and_is_the_one_that_was_built(root, program):
    readelf = subprocess.run(["readelf", "-S", "-n", root / "usr/bin" / program], capture_output=True, text=True, check=True).stdout
    assert ".debug_info" not in readelf
    assert ".symtab" not in readelf


def test_image_holds_what_glibc_and_openssl_look_up(root):
    assert "-----BEGIN CERTIFICATE-----" in (root / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert "nonroot:x:65532:65532:" in (root / "etc/passwd").read_text()
    assert "nonroot:x:65532:" in (root / "etc/group").read_text()
    assert "hosts: files dns" in (root / "etc/nsswitch.conf").read_text()


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="the packages are recorded on Debian only")
def test_scanners_find_the_package_of_every_library(root):
    for library in root.glob("lib/*/*.so*"):
        owner = subprocess.run(["dpkg-query", "-S", f"*/{library.name}"], capture_output=True, text=True, check=True).stdout
        packages = {line.split(":")[0] for line in owner.splitlines()}
        recorded = [name for name in packages if (root / "var/lib/dpkg/status.d" / name).exists()]
        assert recorded, library.name
        status = (root / "var/lib/dpkg/status.d" / recorded[0]).read_text()
        assert f"Package: {recorded[0]}\n" in status
        assert "\nVersion: " in status
        assert (root / "usr/share/doc" / recorded[0] / "copyright").exists()
