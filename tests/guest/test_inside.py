# SPDX-License-Identifier: MIT
"""Every check from inside passes on what a good guest reports and fails on what a bad one would.

The facts are written here (a fake guest); tests/guest/test_verify.py has them from real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from builder.guest.acceleration import Acceleration
from builder.guest.boots import ask
from builder.guest.checks import across, booted
from builder.guest.checks.packaged import judge_verification
from builder.guest.facts import COMMANDS, COSTLY, Fact, FactScript, make_script, parse_facts
from builder.guest.firmware import FirmwareKind
from builder.guest.instance import Datasource, Instance
from builder.guest.outcome import CheckState, run_checks
from builder.guest.qemu import DiskBus
from builder.guest.record import BootPlan, BootRecord, plan_boots
from builder.guest.ssh import Login
from builder.guest.verify import sources_to_boot
from builder.runner import Completed
from builder.sizes import GIB
from tests.support.manifests import with_settings

INSTANCE = Instance(
    uuid="11111111-1111-4111-8111-111111111111",
    hostname="verify-abc123",
    mac="52:54:00:01:02:03",
    public_key="ssh-ed25519 AAAA verify",
)
COMMAND_LINE = "BOOT_IMAGE=/boot/vmlinuz root=UUID=1 ro console=tty1 console=ttyS0,115200n8 net.ifnames=0"
SERIAL = "[    0.000000] Linux version 6.1.0\n[    1.000000] Run /init\n\nverify-abc123 login: "
MANIFEST = with_settings(kernel_arguments="console=tty1 console=ttyS0,115200n8")
REPORTED = {
    "cloud-status": "status: done\nboot_status_code: enabled-by-generator\ndetail:\nDataSourceNoCloud",
    "system-state": "running",
    "failed-units": "",
    "cloud-result": '{"v1": {"datasource": "DataSourceNoCloud [seed=/dev/vdb]", "errors": []}}',
    "user": "ec2-user",
    "groups": "ec2-user wheel",
    "sudo": "0",
    "hostname": INSTANCE.hostname,
    "command-line": COMMAND_LINE,
    "firmware": "uefi",
    "secure-boot": "1",
    "root-source": "/dev/vda3",
    "root-size": str(int(2.9 * GIB)),
    "root-partition": f"69632\n{3 * GIB // 512 - 69632 - 34}\n{3 * GIB // 512}",
    "root-volume": f"{3 * GIB // 512 - 69632 - 34}",
    "root-device": "/sys/devices/pci0000:00/0000:00:02.0/virtio0/block/vda/vda3",
    "links": f"eth0 {INSTANCE.mac} up\nlo 00:00:00:00:00:00 unknown",
    "host-keys": "ssh-ed25519 AAAAC3one root@verify\necdsa-sha2-nistp256 AAAAE2two root@verify",
    "machine-id": "0123456789abcdef0123456789abcdef",
    "random-device": "virtio_rng.0",
    "serial-getty": "active",
    "boot-time": "Startup finished in 1s (kernel) + 2s (initrd) + 3s (userspace) = 6s",
    "selinux": "1",
    "denials": "",
    "rpm-verify": "S.5....T.  c /etc/ssh/sshd_config",
    "labels": "",
}


def fact(output: str, status: int = 0) -> Fact:
    return Fact(output=output, status=status)


def good_boot(**changes: Any) -> BootRecord:
    reported = {name: fact(text) for name, text in REPORTED.items()}
    reported.update(changes.pop("facts", {}))
    values: dict[str, Any] = {
        "plan": BootPlan(
            firmware=FirmwareKind.UEFI,
            datasource=Datasource.NOCLOUD,
            disk_bus=DiskBus.VIRTIO_BLK,
            secure=True,
        ),
        "label": "ovmf secure-boot nocloud virtio-blk",
        "instance": INSTANCE,
        "user": "ec2-user",
        "acceleration": Acceleration(name="kvm", reason="a kernel booted under it"),
        "disk_size": 3 * GIB,
        "serial": SERIAL,
        "serial_log": Path("serial.log"),
        "manifest": MANIFEST,
        "login_seconds": 12.0,
        "shutdown_seconds": 2.0,
        "root_login": Completed(returncode=255, stdout="", stderr="root@127.0.0.1: Permission denied."),
        "was_asked_all": True,
        "facts": reported,
    }
    return BootRecord(**{**values, **changes})


def states(boot: BootRecord) -> dict[str, CheckState]:
    return {result.check: result.state for result in run_checks(booted.CHECKS, boot)}


def test_a_good_guest_passes_every_check() -> None:
    results = run_checks(booted.CHECKS, good_boot())

    assert {result.check: result.reason for result in results if result.state != CheckState.PASS} == {}


def _reported(name: str, output: str, status: int = 0) -> dict[str, Any]:
    return {"facts": {name: fact(output, status)}}


# id, check, change of the good boot, a piece of the reason
BAD: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("none", "login", {"login_seconds": None, "failure": "no login within 9 s"}, "no login within 9 s"),
    ("slow", "boot-seconds", {"login_seconds": 61.0}, "limit 60 s"),
    ("other", "firmware-used", _reported("firmware", "bios"), "bios, not uefi"),
    ("off", "secure-boot-on", _reported("secure-boot", "0"), "it is off"),
    ("other", "disk-bus-used", _reported("root-device", "/sys/nvme/nvme0/nvme0n1/x"), "not on virtio-blk"),
    ("error", "cloud-init-done", _reported("cloud-status", "status: error", 1), "status error"),
    ("disabled", "cloud-init-done", _reported("cloud-status", "status: disabled"), "status disabled"),
    ("running", "cloud-init-done", _reported("cloud-status", "..", 124), "status .."),
    (
        "errors in the result",
        "cloud-init-done",
        _reported("cloud-result", '{"v1": {"datasource": "DataSourceNoCloud", "errors": ["no disk"]}}'),
        "no disk",
    ),
    (
        "another",
        "datasource-used",
        _reported("cloud-result", '{"v1": {"datasource": "DataSourceNone", "errors": []}}'),
        "DataSourceNone",
    ),
    ("another", "default-user", _reported("user", "fedora"), "the manifest says ec2-user"),
    ("refused", "passwordless-sudo", _reported("sudo", "sudo: a password is required", 1), "password"),
    (
        "let in",
        "root-ssh-refused",
        {"root_login": Completed(returncode=0, stdout="uid=0(root) gid=0(root)\n", stderr="")},
        "root may log in",
    ),
    ("of the builder", "hostname", _reported("hostname", "localhost"), "the metadata says verify-abc123"),
    (
        "partition",
        "root-grown",
        _reported("root-partition", f"2048\n{GIB // 512}\n{3 * GIB // 512}"),
        "not used",
    ),
    ("file system", "root-grown", _reported("root-size", str(2 * GIB)), "the file system has 2048 MiB of"),
    ("volume", "root-grown", _reported("root-volume", f"{GIB // 512}"), "the volume of / has 1024 MiB of"),
    ("disk", "root-grown", _reported("root-partition", "2048\n4096\n8192"), "it was given"),
    (
        "one",
        "no-failed-units",
        _reported("failed-units", "a.service loaded failed failed A"),
        "a.service failed",
    ),
    ("degraded", "system-running", _reported("system-state", "degraded", 1), "degraded"),
    ("waits", "system-running", _reported("system-state", "starting", 124), "still waiting"),
    (
        "argument lost",
        "serial-console",
        _reported("command-line", "ro console=ttyS0,115200n8"),
        "was not given console=tty1",
    ),
    ("no prompt", "serial-console", {"serial": "[    0.000000] Linux version"}, "no login prompt"),
    ("no kernel", "serial-console", {"serial": "verify login: "}, "no message of the kernel"),
    ("no getty", "serial-console", _reported("serial-getty", "inactive", 3), "is inactive"),
    ("no card", "network", _reported("links", "eth0 00:11:22:33:44:55 up"), "no network card"),
    ("other name", "network", _reported("links", f"ens3 {INSTANCE.mac} up"), "the card is ens3"),
    ("none", "host-keys-made", _reported("host-keys", "cat: no such file", 1), "no host key"),
    ("none", "machine-id-set", _reported("machine-id", "uninitialized"), "uninitialized"),
    ("none", "random-device", _reported("random-device", "none"), "rng_current is `none`"),
    ("owner", "rpm-verify", _reported("rpm-verify", ".....U...    /usr/bin/sudo"), "/usr/bin/sudo"),
    ("denied", "selinux-labels", _reported("denials", "avc:  denied { read }"), "denied"),
    ("not running", "selinux-labels", _reported("selinux", "none"), "is not running in the guest"),
    ("permissive", "selinux-labels", _reported("selinux", "0"), "the kickstart says enforcing"),
    ("label", "selinux-labels", _reported("labels", "Would relabel /etc/a from b to c"), "relabel"),
    ("stays", "clean-shutdown", {"shutdown_seconds": None, "shutdown_limit": 30.0}, "still there 30 s"),
)


@pytest.mark.parametrize(
    ("check", "changes", "reason"), [pytest.param(*row[1:], id=f"{row[1]}: {row[0]}") for row in BAD]
)
def test_a_bad_guest_is_found_out(check: str, changes: dict[str, Any], reason: str) -> None:
    results = run_checks(booted.CHECKS, good_boot(**changes))

    result = next(result for result in results if result.check == check)
    assert result.state == CheckState.FAIL
    assert reason in result.reason


def test_every_check_from_inside_can_fail() -> None:
    assert {check.id for check in booted.CHECKS} == {row[1] for row in BAD}


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"groups", "root-source", "boot-time"}))
def test_a_fact_that_is_missing_never_counts_as_a_pass(name: str) -> None:
    boot = good_boot()
    boot = replace(boot, facts={key: value for key, value in boot.facts.items() if key != name})

    changed = {check for check, state in states(boot).items() if state != CheckState.PASS}

    assert changed
    assert CheckState.FAIL not in states(boot).values()


def test_without_login_nothing_passes() -> None:
    boot = good_boot(
        login_seconds=None, failure="no login", shutdown_seconds=None, root_login=None, was_asked_all=True
    )
    boot = replace(boot, facts={})

    found = states(boot)

    assert found.pop("login") == CheckState.FAIL
    assert set(found.values()) == {CheckState.NOT_DONE}


def test_a_lost_connection_is_no_refusal_of_root() -> None:
    lost = Completed(returncode=255, stdout="", stderr="Connection reset by 127.0.0.1 port 2222")

    assert states(good_boot(root_login=lost))["root-ssh-refused"] == CheckState.NOT_DONE


def test_cloud_inits_answer_to_root_is_a_refusal() -> None:
    reported = Completed(
        returncode=142, stdout='Please login as the user "ec2-user" rather than "root".', stderr=""
    )

    assert states(good_boot(root_login=reported))["root-ssh-refused"] == CheckState.PASS


def test_seconds_of_an_emulated_processor_are_only_reported() -> None:
    boot = good_boot(acceleration=Acceleration(name="tcg", reason="no /dev/kvm"), login_seconds=200.0)

    assert states(boot)["boot-seconds"] == CheckState.NOT_APPLICABLE


def test_degraded_cloud_init_passes_with_the_reason() -> None:
    text = "status: done\nextended_status: degraded done\nrecoverable_errors:\nWARNING:\n\t- old key used"
    results = run_checks(booted.CHECKS, good_boot(facts={"cloud-status": fact(text, 2)}))

    result = next(result for result in results if result.check == "cloud-init-done")
    assert (result.state, result.reason) == (CheckState.PASS, "done, degraded: - old key used")


def test_costly_facts_are_for_one_boot_of_a_run() -> None:
    boot = good_boot(was_asked_all=False)
    boot = replace(boot, facts={key: value for key, value in boot.facts.items() if key not in COSTLY})

    assert states(boot)["rpm-verify"] == CheckState.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("line", "problems", "configuration"),
    [
        pytest.param("S.5....T.  c /etc/hosts.conf", [], ["/etc/hosts.conf"], id="configuration changed"),
        pytest.param(".M.......  c /etc/shadow", ["/etc/shadow: .M......."], [], id="mode of configuration"),
        pytest.param(".......T.    /usr/bin/ls", [], [], id="time alone"),
        pytest.param("S.5....T.    /usr/bin/ls", ["/usr/bin/ls: S.5....T."], [], id="content"),
        pytest.param("........P    /usr/bin/ping", ["/usr/bin/ping: ........P"], [], id="capability"),
        pytest.param("......G..    /usr/bin/write", ["/usr/bin/write: ......G.."], [], id="group"),
        pytest.param("missing     /usr/bin/ls", ["/usr/bin/ls: missing"], [], id="missing"),
        pytest.param("missing   c /etc/a.conf", ["/etc/a.conf: missing"], [], id="configuration missing"),
        pytest.param(".M....G..  g /var/log/lastlog", [], [], id="ghost"),
        pytest.param(".M...UG..    /boot/efi/EFI/BOOT", [], [], id="vfat has no owners"),
        pytest.param(".M.......    /var/log/chrony", [], [], id="mode by the service's unit"),
        pytest.param(".....U...    /var/lib/chrony", ["/var/lib/chrony: .....U..."], [], id="owner of state"),
        pytest.param("sudo: a password is required", ["sudo: a password is required"], [], id="no answer"),
    ],
)
def test_output_of_rpm_verify_is_judged(line: str, problems: list[str], configuration: list[str]) -> None:
    assert judge_verification([line]) == (problems, configuration)


def test_what_scripts_changed_is_no_difference() -> None:
    lines = ["S.5....T.    /usr/bin/ls", "missing     /usr/share/doc/a/b", "missing     /usr/lib/c"]

    assert judge_verification(lines, {"/usr/bin/ls", "/usr/share/doc"}) == (
        ["/usr/lib/c: missing"],
        ["/usr/bin/ls", "/usr/share/doc/a/b"],
    )


LET_IN = Completed(returncode=0, stdout="uid=0(root)", stderr="")
# What an author may do: the check, how the guest differs, what the image says of the author's wish.
BY_THE_AUTHOR: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("root-ssh-refused", {"root_login": LET_IN}, {"scripted_cloud_config": {"disable_root": False}}),
    (
        "hostname", _reported("hostname", "mine"), {"scripted_cloud_config": {"preserve_hostname": True}},
    ),
    (
        "root-grown",
        _reported("root-partition", f"2048\n4096\n{3 * GIB // 512}"),
        {"scripted_cloud_config": {"growpart": {"mode": "off"}}},
    ),
    (
        "passwordless-sudo",
        _reported("sudo", "sudo: a password is required", 1),
        {"scripted_cloud_config": {"system_info": {"default_user": {"name": "ec2-user", "sudo": None}}}},
    ),
    (
        "serial-console",
        _reported("serial-getty", "inactive", 3),
        {
            "manifest": with_settings(
                kernel_arguments="console=tty1 console=ttyS0,115200n8",
                changed=("/etc/systemd/system/serial-getty@ttyS0.service",),
            )
        },
    ),
    (
        "serial-console",
        {"serial": "", **_reported("command-line", "BOOT_IMAGE=/boot/vmlinuz root=UUID=1 ro console=tty1")},
        {"manifest": with_settings(kernel_arguments="root=UUID=1 ro console=tty1")},
    ),
)  # fmt: skip


@pytest.mark.parametrize(("check", "differs", "wish"), BY_THE_AUTHOR)
def test_what_the_author_did_is_no_fault_of_the_guest(
    check: str, differs: dict[str, Any], wish: dict[str, Any]
) -> None:
    assert states(good_boot(**differs))[check] == CheckState.FAIL
    assert states(good_boot(**differs, **wish))[check] in (CheckState.PASS, CheckState.NOT_APPLICABLE)


def test_two_guests_with_the_same_keys_are_found() -> None:
    other = replace(INSTANCE, uuid="2")
    same = [good_boot(), good_boot(label="ovmf openstack virtio-blk", instance=other)]
    mine = {
        "host-keys": fact("ssh-ed25519 AAAAother\necdsa-sha2-nistp256 BBBBother"),
        "machine-id": fact("f" * 32),
    }
    different = [good_boot(), good_boot(label="second", instance=other, facts=mine)]

    def state(boots: list[BootRecord]) -> CheckState:
        return run_checks(across.CHECKS, boots)[0].state

    assert state(same) == CheckState.FAIL
    assert state(different) == CheckState.PASS
    assert state([good_boot()]) == CheckState.NOT_APPLICABLE


def test_a_guest_started_again_must_keep_its_identity() -> None:
    first = good_boot()
    kept = good_boot(label="again", is_second=True)
    lost = good_boot(label="again", is_second=True, facts={"machine-id": fact("f" * 32)})

    def state(*boots: BootRecord) -> CheckState:
        return run_checks(across.CHECKS, boots)[1].state

    assert state(first, kept) == CheckState.PASS
    assert state(first, lost) == CheckState.FAIL
    assert state(first) == CheckState.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({}, ["nocloud", "openstack"], id="nothing said"),
        pytest.param({"datasource_list": ["OpenStack", "None"]}, ["openstack"], id="OpenStack alone"),
        pytest.param({"datasource_list": ["Ec2", "ConfigDrive"]}, ["configdrive", "ec2"], id="others"),
        pytest.param({"datasource_list": ["Azure"]}, ["nocloud", "openstack"], id="none that we have"),
        pytest.param({"datasource_list": "OpenStack"}, ["nocloud", "openstack"], id="no list"),
    ],
)
def test_a_boot_offers_metadata_where_the_author_has_cloud_init_look(
    config: dict[str, Any], expected: list[str]
) -> None:
    assert [one.value for one in sources_to_boot(config)] == expected


def test_lists_of_boots_go_side_by_side() -> None:
    plans = plan_boots(
        (FirmwareKind.BIOS, FirmwareKind.UEFI),
        (Datasource.NOCLOUD,),
        (DiskBus.VIRTIO_BLK, DiskBus.NVME, DiskBus.IDE),
    )

    assert [plan.label for plan in plans] == [
        "seabios nocloud virtio-blk",
        "ovmf nocloud nvme",
        "seabios nocloud ide",
    ]


def test_the_script_runs_in_a_real_shell_and_is_taken_apart(run_shell: Callable[[str], str]) -> None:
    script = make_script(wait=1, costly=False)

    facts = parse_facts(script.mark, "a message of the day\n" + run_shell(script.text))

    assert list(facts) == list(COMMANDS)
    assert facts["user"].status == 0
    assert facts["command-line"].text


class Doorkeeper:
    """A fake login: refuses some times, then lets the script run on this host."""

    def __init__(self, refusals: int, run_shell: Callable[[str], str]) -> None:
        self.refusals = refusals
        self.run_shell = run_shell

    def run(self, script: str, **_options: object) -> Completed:
        if self.refusals:
            self.refusals -= 1
            return Completed(returncode=255, stdout="", stderr="kex_exchange: Connection reset by peer\n")
        return Completed(returncode=0, stdout=self.run_shell(script), stderr="")


SHORT = FactScript(mark="@1@", text="printf '@1@ begin user\\nop\\n\\n@1@ end 0\\n'")


def test_a_guest_whose_sshd_starts_anew_is_asked_again(run_shell: Callable[[str], str]) -> None:
    login = cast("Login", Doorkeeper(2, run_shell))

    assert ask(login, SHORT, 60.0, pause=0.01) == ({"user": fact("op\n")}, None)


def test_a_guest_that_stays_silent_is_reported_with_the_reason(run_shell: Callable[[str], str]) -> None:
    facts, silence = ask(cast("Login", Doorkeeper(99, run_shell)), SHORT, 0.05, pause=0.01)
    boot = replace(good_boot(silence=silence), facts=facts)

    result = next(result for result in run_checks(booted.CHECKS, boot) if result.check == "hostname")
    assert (result.state, result.reason) == (
        CheckState.NOT_DONE,
        "the guest reported nothing: kex_exchange: Connection reset by peer",
    )


def test_output_that_is_cut_off_loses_only_what_is_missing() -> None:
    mark = "@1@"
    text = f"\n{mark} begin user\nec2-user\n\n{mark} end 0\n\n{mark} begin sudo\n0\n"

    assert parse_facts(mark, text) == {"user": fact("ec2-user\n")}
