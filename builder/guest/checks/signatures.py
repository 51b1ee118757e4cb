# SPDX-License-Identifier: MIT
"""Check from outside: what firmware with Secure Boot runs on the way to the kernel is signed.

Firmware verifies shim by Microsoft's key; shim verifies GRUB, and GRUB by shim the kernel, by the
distribution's (rhboot's shim, README). Here it is seen that there are signatures; that they are right, only a
boot shows (`verify --secure-boot`).
"""

from __future__ import annotations

from builder.formats.pe import count_signatures
from builder.guest.evidence import ImageEvidence
from builder.guest.outcome import Check, Outcome, failed, judge_all, not_applicable

ESP = "/boot/efi"
_FIRST = f"{ESP}/efi/boot/bootx64.efi"
# shim, GRUB, shim's programs for keys and for boot entries.
_PROGRAMS = {"bootx64.efi", "shimx64.efi", "grubx64.efi", "mmx64.efi", "fbx64.efi"}


def _boot_signed(evidence: ImageEvidence) -> Outcome:
    loaders = {
        path.lower(): path
        for path in evidence.tree.files(ESP)
        if path.lower().rpartition("/")[2] in _PROGRAMS
    }
    if _FIRST not in loaders:
        reason = "the image does not boot by UEFI"
        if evidence.secure_boot:
            return failed(reason)
        raise not_applicable(reason)
    first = _complaint(evidence, loaders.pop(_FIRST))
    if first and not evidence.secure_boot:
        raise not_applicable(f"{first}: the image boots only where Secure Boot is off")
    kernels = [
        path for path in (f"/boot/vmlinuz-{one}" for one in evidence.kernels) if evidence.tree.is_file(path)
    ]
    others = [*loaders.values(), *kernels]
    problems = [first, *(_complaint(evidence, path) for path in others)]
    return judge_all(
        [problem for problem in problems if problem],
        f"{len(loaders) + 1} EFI programs, {len(kernels)} kernel{'s' if len(kernels) != 1 else ''}",
    )


def _complaint(evidence: ImageEvidence, path: str) -> str | None:
    """Return what is wrong with the program, None where it is signed."""
    try:
        count = count_signatures(evidence.tree.bytes(path))
    except ValueError as error:
        return f"{path}: {error}"
    if count is None:
        return f"{path} is not an EFI program"
    return None if count else f"{path} is not signed"


CHECKS: tuple[Check[ImageEvidence], ...] = (
    Check(
        id="boot-signed",
        rows=(31,),
        explanation="Where shim boots the image, or --secure-boot is given: all up to the kernel is signed.",
        judge=_boot_signed,
    ),
)
