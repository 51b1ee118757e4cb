# SPDX-License-Identifier: MIT
"""A stand-in for Image Factory on a builder: our own direct engine, under the names that kojid imports.

Image Factory has Anaconda install a guest under libvirt, which needs KVM. Here the kickstart that kojid hands
over (`install_script`, its repositories replaced by Koji's) is built by `openstack-builder image`. What is
given back is what kojid goes on with: a raw disk, a domain of libvirt, and the packages as the template's
own `rpm -qa` prints them. Formats are converted by kojid with qemu-img, as ever; other targets (OVA, Docker)
are not there.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import types
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, ClassVar
from xml.sax.saxutils import escape

DOMAIN = """<domain type="kvm"><name>{name}</name><devices><disk device="disk" type="file">
<driver name="qemu" type="raw"/><source file="{disk}"/><target bus="virtio" dev="vda"/>
</disk></devices></domain>"""
LOG = logging.getLogger(__name__)


def install() -> None:
    """Make the modules of Image Factory importable that kojid imports."""
    contents: dict[str, dict[str, Any]] = {
        "BuildDispatcher": {"BuildDispatcher": BuildDispatcher},
        "Builder": {"Builder": Builder},
        "PluginManager": {"PluginManager": Ignored},
        "ReservationManager": {"ReservationManager": Ignored},
        "ApplicationConfiguration": {"ApplicationConfiguration": ApplicationConfiguration},
        "PersistentImageManager": {"PersistentImageManager": Ignored},
        "BaseImage": {"BaseImage": Image},
        "TargetImage": {"TargetImage": Image},
        "FactoryUtils": {"qemu_convert_cmd": qemu_convert_cmd},
    }
    sys.modules["imgfac"] = types.ModuleType("imgfac")
    for name, members in contents.items():
        module = types.ModuleType(f"imgfac.{name}")
        vars(module).update(members)
        sys.modules[module.__name__] = module


class Ignored:
    """What kojid makes and tells, and what there is nothing to do for here."""

    MIN_PORT, MAX_PORT = 1025, 65535

    def __init__(self, *_words: object) -> None:
        pass

    def load(self) -> None:
        """Load no plug-ins."""


class ApplicationConfiguration:
    """The configuration that kojid makes for each task: folders below the task's own."""

    configuration: ClassVar[dict[str, Any]] = {}

    def __init__(self, configuration: dict[str, Any]) -> None:
        ApplicationConfiguration.configuration = configuration


class Image:
    """An image of Image Factory: its state, the file, and what was found in it."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.identifier = "image"
        self.status = "NEW"
        self.status_detail: dict[str, Any] = {"error": None}
        self.data = ""
        self.icicle = ""
        self.parameters = parameters


class Builder:
    """One build, which goes on in a thread."""

    os_plugin = None
    target_image = None

    def __init__(self, template: str, parameters: dict[str, Any]) -> None:
        self.base_image = Image(parameters)
        self.base_thread = threading.Thread(target=self._run, args=(template,))
        self.base_thread.start()

    def _run(self, template: str) -> None:
        image = self.base_image
        image.status = "BUILDING"
        try:
            build(image, ET.fromstring(template))
        except Exception as error:
            image.status, image.status_detail = "FAILED", {"error": str(error)}
            return
        image.status = "COMPLETE"


class BuildDispatcher:
    """What starts builds."""

    def builder_for_base_image(self, template: str, parameters: dict[str, Any]) -> Builder:
        """Start the build of a raw disk out of a template (TDL) and a kickstart."""
        return Builder(template, parameters)

    def builder_for_target_image(self, image_type: str, **_words: Any) -> Builder:
        """Refuse formats that Image Factory's plug-ins make."""
        raise NotImplementedError(f"{image_type}: nothing stands in for this plug-in of Image Factory")


def build(image: Image, template: ET.Element) -> None:
    """Build the kickstart of an image, and fill in what is known of the result."""
    name = template.findtext("name") or "image"
    folder = Path(ApplicationConfiguration.configuration["tmpdir"])
    folder.mkdir(parents=True)
    kickstart = folder / "install.ks"
    kickstart.write_text(image.parameters["install_script"])
    argv = [os.environ["BUILDER_PYTHON"], "-m", "builder", "image", os.fspath(kickstart), "--name", name]
    argv += ["--size", f"{template.findtext('disk/size')}G"]
    argv += [
        "--format",
        "raw",
        "--out",
        os.fspath(folder),
        "--keep",
        *shlex.split(os.environ["IMAGE_OPTIONS"]),
    ]
    environment = {word: value for word, value in os.environ.items() if word != "PYTHONPATH"}
    done = subprocess.run(
        argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    LOG.info("%s\n%s%s", shlex.join(argv), done.stdout, done.stderr)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        raise RuntimeError(errors[0] if errors else f"openstack-builder ended with {done.returncode}")
    image.data = os.fspath(next(folder.rglob("*.raw")))
    image.parameters["libvirt_xml"] = DOMAIN.format(name=escape(name), disk=escape(image.data))
    commands = [one.text or "" for one in template.iter("extra_command")]
    rows = "".join(f"<extra>{escape(line)}</extra>" for line in packages(folder, commands[0]))
    image.icicle = f"<icicle><packages/>{rows}</icicle>"


def packages(folder: Path, command: str) -> list[str]:
    """Return what the template's `rpm -qa …` prints, asked of the tree that the build kept."""
    (tree,) = folder.rglob("tree.tar")
    words = shlex.split(command)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        subprocess.run(["tar", "-xf", tree, "-C", temporary, "--wildcards", "*/rpmdb.sqlite"], check=True)
        database = next(Path(temporary).rglob("rpmdb.sqlite")).parent
        words[1:1] = ["--dbpath", os.fspath(database)]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def qemu_convert_cmd(original: str, destination: str, compress: bool = False) -> list[str]:
    """Return the command that makes a qcow2 of a raw disk, readable by a qemu before 1.1."""
    more = ["-c"] if compress else []
    return [
        "qemu-img",
        "convert",
        *more,
        "-f",
        "raw",
        "-O",
        "qcow2",
        "-o",
        "compat=0.10",
        original,
        destination,
    ]
