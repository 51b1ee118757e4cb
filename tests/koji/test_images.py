# SPDX-License-Identifier: MIT
"""Images: built by a hub from a flattened kickstart, and ours imported as content generator builds."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import InputError, RemoteError
from builder.koji.builds import submit_once
from builder.koji.components import list_components
from builder.koji.contentgenerator import GENERATOR, Component, Import, check, describe, import_image
from builder.koji.images import ImageSubmission, check_name, find_submitted, require_image_builds
from builder.koji.outputs import build_outputs, fetch
from builder.manifest import ImageFile, InstalledPackage, as_data
from builder.report import Report
from tests.koji.conftest import HubUnderTest, no_pause
from tests.koji.front import GENERIC, NOT_ALLOWED
from tests.support.manifests import MANIFEST

BUILD_FAILED = 3
QUIET = Report(quiet=True, err=io.StringIO())


def image_submission() -> ImageSubmission:
    return ImageSubmission(
        name="jeos", version="9", hub_target="epel9-candidate", arches=("x86_64",), disk_gib=5,
        install_tree="https://mirror.example/9/os", distro="RHEL-9.0", ksversion="RHEL9",
        repositories=("https://mirror.example/9/AppStream",),
    )  # fmt: skip


def test_an_image_is_submitted_once_though_the_answer_is_lost(hub: HubUnderTest) -> None:
    session, one = hub.connect(), image_submission()
    hub.front.harm["buildImageOz"] = ["cut after"]

    task = submit_once(
        session, one.call("jeos.ks"), lambda: find_submitted(session, one, 1e9), pause=no_pause
    )

    (arguments,) = hub.front.called("buildImageOz")
    assert [row.id for row in hub.stand_in.tasks.values()] == [task]
    assert arguments[:5] == ["jeos", "9", ["x86_64"], "epel9-candidate", "https://mirror.example/9/os"]
    assert arguments[5]["kickstart"] == f"work/{one.folder}/jeos.ks"
    assert arguments[5]["repo"] == ["https://mirror.example/9/AppStream"]


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        pytest.param(["build", "kiwiBuild"], "kiwi wants a description of its own", id="kiwi"),
        pytest.param(["build", "osbuildImage"], "osbuild wants a blueprint", id="osbuild"),
        pytest.param(["build"], "does not build images from kickstarts", id="none"),
    ],
)
def test_a_hub_without_image_builds_is_refused_with_the_way_out(
    hub: HubUnderTest, methods: list[str], reason: str
) -> None:
    hub.stand_in.methods = methods

    with pytest.raises(RemoteError, match=reason) as caught:
        require_image_builds(hub.connect())

    assert "koji import" in str(caught.value.hint)


@pytest.mark.parametrize(("name", "version"), [("a b", "1"), ("a", "1-2"), ("", "1"), ("a/b", "1")])
def test_a_name_that_koji_cannot_take_apart_is_refused(name: str, version: str) -> None:
    with pytest.raises(InputError):
        check_name(name, version)


@pytest.fixture
def wanted(tmp_path: Path) -> Import:
    """An image of a few bytes with the manifest that describes it."""
    image = tmp_path / "jeos.qcow2"
    image.write_bytes(b"QFI\xfb" + b"image" * 1000)
    file = ImageFile(
        path=image.name, size=image.stat().st_size, sha512="", md5="",
        sha256=hashlib.sha256(image.read_bytes()).hexdigest(),
    )  # fmt: skip
    manifest = replace(MANIFEST, artifact=file)
    path = tmp_path / "jeos.manifest.json"
    path.write_text(json.dumps(as_data(manifest)))
    component = Component(
        name="bash", epoch=None, version="5.2", release="1.el9", arch="x86_64",
        sigmd5="a" * 32, signature="8cd08a6e",
    )  # fmt: skip
    return Import(
        name="jeos", version="9", release=secrets.token_hex(4), source="git+https://example.org/x#abc",
        images=(image,), companions=(path,), manifest=manifest, components=(component,),
        host_os="Fedora Linux 45", started=1000, ended=1060, tools=(("rpm", "6.0"),),
    )  # fmt: skip


def test_the_metadata_is_that_of_format_version_0(wanted: Import) -> None:
    metadata = describe(wanted, build_id=5)

    assert metadata["metadata_version"] == 0
    assert metadata["build"]["build_id"] == 5
    assert metadata["buildroots"][0]["content_generator"]["name"] == GENERATOR
    image, log = metadata["output"]
    assert image["components"] == [
        {
            "type": "rpm", "name": "bash", "epoch": None, "version": "5.2", "release": "1.el9",
            "arch": "x86_64", "sigmd5": "a" * 32, "signature": "8cd08a6e",
        }
    ]  # fmt: skip
    assert image["checksum"] == wanted.manifest.artifact.sha256
    assert set(image["extra"]) == {"image"}
    assert log["type"] == "log"
    assert {output["buildroot_id"] for output in metadata["output"]} == {metadata["buildroots"][0]["id"]}


def test_an_image_is_reserved_uploaded_and_imported(hub: HubUnderTest, wanted: Import) -> None:
    build = import_image(hub.connect(), wanted)

    assert build["state"] == 1
    order = [name for name in hub.front.count() if name.startswith("CG")]
    assert order == ["CGInitBuild", "CGImport"]


@pytest.mark.parametrize(
    ("method", "harm"),
    [
        pytest.param("CGImport", [(GENERIC, "No such content generator")], id="the hub refuses the import"),
        pytest.param("checkUpload", [(NOT_ALLOWED, "no permission")], id="the upload is refused"),
        # The library sends a call twice by itself, under one call number.
        pytest.param("CGImport", ["cut before", "cut before"], id="the import is lost"),
    ],
)
def test_the_reservation_is_given_back_when_it_fails(
    hub: HubUnderTest, wanted: Import, method: str, harm: list[object]
) -> None:
    hub.front.harm[method] = harm

    with pytest.raises(RemoteError):
        import_image(hub.connect(), wanted)

    assert hub.connect().ask("getBuild", wanted.nvr)["state"] == BUILD_FAILED


def test_an_import_whose_answer_is_lost_stands(hub: HubUnderTest, wanted: Import) -> None:
    hub.front.harm["CGImport"] = ["cut after"]

    assert import_image(hub.connect(), wanted)["state"] == 1
    assert len(hub.front.called("CGImport")) == 1
    assert not hub.front.called("CGRefundBuild")


def test_what_was_imported_comes_back_as_it_was(hub: HubUnderTest, wanted: Import, tmp_path: Path) -> None:
    session = hub.connect()
    build = import_image(session, wanted)

    fetched = fetch(session, build_outputs(session, build["build_id"], key=None), tmp_path / "out", QUIET)

    (image,), (manifest,) = wanted.images, wanted.companions
    assert (tmp_path / "out" / image.name).read_bytes() == image.read_bytes()
    assert [path.read_bytes() for path in fetched.others if path.name == manifest.name] == [
        manifest.read_bytes()
    ]


def test_an_image_whose_bytes_are_not_those_of_the_hub_is_refused(
    hub: HubUnderTest, wanted: Import, tmp_path: Path
) -> None:
    session = hub.connect()
    outputs = build_outputs(session, import_image(session, wanted)["build_id"], key=None)
    image = replace(next(one for one in outputs if one.checksum), checksum=("sha256", "00"))

    with pytest.raises(RemoteError, match="its sha256 is"):
        fetch(session, [image], tmp_path / "out", QUIET)


def test_a_build_that_exists_is_not_imported_again(hub: HubUnderTest, wanted: Import) -> None:
    import_image(hub.connect(), wanted)

    with pytest.raises(RemoteError, match=f"{wanted.nvr} exists already"):
        import_image(hub.connect(), wanted)

    assert len(hub.front.called("CGInitBuild")) == 1


def test_a_failed_import_can_be_made_again(hub: HubUnderTest, wanted: Import) -> None:
    hub.front.harm["CGImport"] = [(GENERIC, "disk full")]
    with pytest.raises(RemoteError):
        import_image(hub.connect(), wanted)

    assert import_image(hub.connect(), wanted)["state"] == 1


def test_an_image_that_its_manifest_does_not_describe_is_refused(wanted: Import) -> None:
    wanted.files[0].write_bytes(b"another")

    with pytest.raises(InputError, match="is not the image that its manifest describes"):
        check(wanted)


def add_format(wanted: Import, ending: str) -> Import:
    """Have the image in one format more, which its manifest describes."""
    image = wanted.images[0].with_suffix(f".{ending}")
    image.write_bytes(ending.encode() * 1000)
    file = replace(
        wanted.manifest.artifact, path=image.name, size=image.stat().st_size,
        sha256=hashlib.sha256(image.read_bytes()).hexdigest(),
    )  # fmt: skip
    manifest = replace(wanted.manifest, others=(*wanted.manifest.others, file))
    return replace(wanted, images=(*wanted.images, image), manifest=manifest)


def test_each_format_of_the_image_is_imported(hub: HubUnderTest, wanted: Import) -> None:
    several = add_format(wanted, "vmdk")
    check(several)
    session = hub.connect()

    build = import_image(session, several)

    outputs = build_outputs(session, build["build_id"], key=None)
    assert {path.name for path in several.images} <= {output.name for output in outputs}


def test_a_format_that_the_hub_does_not_know_is_refused_before_the_build_is_reserved(
    hub: HubUnderTest, wanted: Import
) -> None:
    with pytest.raises(RemoteError, match=r"no archive type for jeos\.strange"):
        import_image(hub.connect(), add_format(wanted, "strange"))

    assert not hub.front.called("CGInitBuild")


def test_an_image_that_is_not_in_the_manifest_is_refused(wanted: Import) -> None:
    other = wanted.images[0].with_name("other.qcow2")
    other.write_bytes(b"other")

    with pytest.raises(InputError, match=r"other\.qcow2 is not in the manifest"):
        check(replace(wanted, images=(other,)))


def test_an_image_that_is_named_twice_is_refused(wanted: Import) -> None:
    with pytest.raises(InputError, match=r"jeos\.qcow2 is named twice"):
        check(replace(wanted, images=wanted.images * 2))


@pytest.mark.parametrize("release", ["1-2", "", "1 2"])
def test_a_release_that_koji_cannot_take_apart_is_refused(wanted: Import, release: str) -> None:
    with pytest.raises(InputError, match="--release"):
        check(replace(wanted, release=release))


@pytest.mark.parametrize(
    ("nevra", "epoch", "version", "release", "arch"),
    [
        pytest.param("bash-5.2-1.el9.x86_64", None, "5.2", "1.el9", "x86_64", id="plain"),
        pytest.param("grub2-tools-1:2.12-3.fc45.noarch", 1, "2.12", "3.fc45", "noarch", id="epoch"),
    ],
)
def test_the_packages_of_a_manifest_are_its_components(
    nevra: str, epoch: int | None, version: str, release: str, arch: str
) -> None:
    package = InstalledPackage(nevra=nevra, name="x", sha256=None, size=1, sigmd5="b" * 32, key="8cd08a6e")

    (component,) = list_components(replace(MANIFEST, packages=(package,)))

    assert (component.epoch, component.version) == (epoch, version)
    assert (component.release, component.arch) == (release, arch)
    assert (component.sigmd5, component.signature) == ("b" * 32, "8cd08a6e")


def test_a_manifest_without_the_digests_is_refused() -> None:
    with pytest.raises(InputError, match=r"has no sigmd5 of kernel-6-1\.x86_64"):
        list_components(MANIFEST)
