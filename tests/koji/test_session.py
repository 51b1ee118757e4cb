# SPDX-License-Identifier: MIT
"""Profiles, logins, and calls that meet a hub that is down, refuses, forgets or is not a hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import InputError, RemoteError
from builder.koji.faults import Lost
from builder.koji.hub import Call, Hub
from builder.koji.profile import read_profile
from tests.koji.conftest import TAG, TARGET, HubUnderTest, no_pause, write_profile
from tests.koji.front import NOT_ALLOWED


def test_an_unknown_profile_is_refused_with_those_that_there_are(hub: HubUnderTest) -> None:
    with pytest.raises(InputError, match="koji profile nosuch") as caught:
        read_profile("nosuch", hub.config)

    assert "here" in str(caught.value.hint)


def test_a_value_that_is_not_a_number_is_named(tmp_path: Path) -> None:
    config = write_profile(tmp_path / "k.conf", "http://127.0.0.1:1", timeout="soon")

    with pytest.raises(InputError, match="value for timeout"):
        read_profile("here", config)


def test_a_password_logs_in(hub: HubUnderTest) -> None:
    assert Hub(read_profile("here", hub.config)).login() == hub.user


def test_a_wrong_password_is_one_clear_error_without_it(hub: HubUnderTest) -> None:
    config = write_profile(hub.config, hub.address, user=hub.user, password="wrong-but-secret")

    with pytest.raises(RemoteError, match="login failed: invalid username or password") as caught:
        Hub(read_profile("here", config)).login()

    assert "secret" not in "".join(caught.value.lines())
    assert hub.password not in "".join(caught.value.lines())


def test_a_hub_that_is_not_there_is_asked_again_and_then_named(tmp_path: Path) -> None:
    waited: list[float] = []
    config = write_profile(tmp_path / "k.conf", "http://127.0.0.1:1")

    with pytest.raises(RemoteError, match=r"http://127.0.0.1:1/kojihub: .*refused"):
        Hub(read_profile("here", config), pause=waited.append).ask("getAPIVersion")

    assert len(waited) == 5
    assert waited == sorted(waited)


@pytest.mark.parametrize("harm", ["cut before", "cut after", "offline"])
def test_a_question_is_asked_again(hub: HubUnderTest, harm: str) -> None:
    session = hub.connect()
    hub.front.harm["getBuildTarget"] = [harm, harm]

    assert session.ask("getBuildTarget", TARGET)["dest_tag_name"] == TAG


def test_an_expired_session_is_renewed(hub: HubUnderTest) -> None:
    session = hub.connect()
    hub.stand_in.harm["getBuildTarget"] = ["expire"]

    # A hub without `renew` in its login is the older kind; ours takes it.
    assert session.ask("getBuildTarget", TARGET)


def test_a_submission_that_is_cut_is_not_sent_again(hub: HubUnderTest) -> None:
    session = hub.connect()
    hub.front.harm["build"] = ["cut after"] * 5

    with pytest.raises(Lost):
        session.submit(Call("build", ("git+https://example.org/x#main", TARGET, {})))

    assert len(hub.front.called("build")) == 1


def test_a_missing_permission_is_named(hub: HubUnderTest) -> None:
    session = hub.connect()
    hub.front.harm["build"] = [(NOT_ALLOWED, "image permission required")]

    with pytest.raises(RemoteError, match="build is not allowed: image permission required") as caught:
        session.submit(Call("build", ("x", "y", {})))

    assert caught.value.exit_code == 5


def test_an_address_that_is_no_hub_is_named(hub: HubUnderTest) -> None:
    config = write_profile(hub.config, f"{hub.address}/kojifiles")

    with pytest.raises(RemoteError, match="HTTP 404"):
        Hub(read_profile("here", config), pause=no_pause).ask("getAPIVersion")
