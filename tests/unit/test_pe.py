# SPDX-License-Identifier: MIT
"""builder.formats.pe: how many signatures an EFI program carries, whatever bytes it is made of."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.formats.pe import count_signatures
from tests.support.efi import efi_program


@pytest.mark.parametrize(
    ("data", "count"),
    [
        pytest.param(efi_program(0), 0, id="unsigned"),
        pytest.param(efi_program(1), 1, id="signed"),
        pytest.param(efi_program(2), 2, id="signed by two"),
        pytest.param(b"", None, id="empty"),
        pytest.param(b"\x7fELF" + bytes(600), None, id="another kind"),
        pytest.param(b"MZ" + bytes(600), None, id="of DOS"),
    ],
)
def test_signatures_are_counted(data: bytes, count: int | None) -> None:
    assert count_signatures(data) == count


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(efi_program()[:-1], id="signature"),
        pytest.param(efi_program()[:0x90], id="directories"),
        pytest.param(efi_program()[:0x20], id="DOS header"),
    ],
)
def test_what_is_cut_off_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="cut off"):
        count_signatures(data)


def test_a_signature_of_no_length_is_an_error() -> None:
    data = efi_program()[:-16] + bytes(16)

    with pytest.raises(ValueError, match="damaged"):
        count_signatures(data)


@given(st.integers(0, 0x20F), st.integers(0, 255))
def test_any_changed_byte_ends_in_an_answer_or_an_error_about_the_file(at: int, value: int) -> None:
    data = bytearray(efi_program())
    data[at] = value

    with contextlib.suppress(ValueError):
        assert count_signatures(bytes(data)) in (None, 0, 1)
