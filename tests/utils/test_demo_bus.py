# SPDX-License-Identifier: MIT
"""The account on the bus, whatever a killed run has left half done; rabbitmqctl is a stand-in."""

from pathlib import Path

import pytest
from openstack_utils.demo import act, steps
from openstack_utils.errors import UtilityError

# Keeps users in `users`, permissions in `may`; with `late` somebody else adds or deletes a user meanwhile.
STAND_IN = """\
#!/bin/sh
cd {folder} || exit
[ "$1" = --quiet ] && shift
echo "$1" >>called
case $1 in
list_users) echo user tags; cat users ;;
list_permissions) echo user configure write read; cat may ;;
authenticate_user) read -r given; [ "$given" = "$(cat password)" ] ;;
add_user)
    read -r given
    if [ -e late ]; then cat late >users; echo "$given" >password; fi
    if grep -q . users; then echo "User \\"openstack\\" already exists" >&2; exit 70; fi
    echo "openstack []" >users; echo "$given" >password ;;
delete_user)
    if [ -e late ]; then : >users; fi
    if ! grep -q . users; then echo "User \\"openstack\\" does not exist" >&2; exit 67; fi
    : >users; : >may ;;
change_password) read -r given; echo "$given" >password ;;
set_permissions) echo "$2 $3 $4 $5" >may ;;
esac
"""
USER, MAY = "openstack []\n", "openstack .* .* .*\n"


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "rabbitmqctl"
    program.write_text(STAND_IN.format(folder=tmp_path))
    program.chmod(0o755)
    for name in ("users", "may", "password", "called"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr(act.processes, "find_program", lambda _name: str(program))
    return tmp_path


def make() -> "list[str]":
    """Do the step twice; return what is said of each."""
    step = steps.Bus("account on the bus", "BUS_PASSWORD")
    return [act.Acting(None, {"BUS_PASSWORD": "right"}).do(step) for _ in range(2)]


@pytest.mark.parametrize(
    ("users", "password", "may"),
    [
        pytest.param("", "", "", id="nothing"),
        pytest.param(USER, "right\n", "", id="killed before the permissions"),
        pytest.param(USER, "right\n", "openstack ^$ .* .*\n", id="other permissions"),
        pytest.param(USER, "wrong\n", MAY, id="another password"),
    ],
)
def test_account_is_made_whole(broker: Path, users: str, password: str, may: str) -> None:
    for name, text in (("users", users), ("password", password), ("may", may)):
        (broker / name).write_text(text)

    assert make() == ["changed", "unchanged"]
    assert [(broker / name).read_text() for name in ("users", "password", "may")] == [USER, "right\n", MAY]


def test_account_that_a_killed_run_still_adds_is_taken(broker: Path) -> None:
    (broker / "late").write_text(USER)

    assert make() == ["changed", "unchanged"]
    assert (broker / "may").read_text() == MAY


def test_account_that_a_killed_run_still_deletes_is_gone(broker: Path) -> None:
    (broker / "users").write_text(USER)
    (broker / "late").write_text("")

    acting = act.Acting(None, {})
    assert [acting.do(steps.RemoveBusUser("account on the bus")) for _ in range(2)] == [
        "unchanged",
        "unchanged",
    ]
    assert (broker / "users").read_text() == ""


def test_account_that_cannot_be_added_is_an_error_in_the_words_of_the_broker(broker: Path) -> None:
    (broker / "late").write_text("somebody []\n")

    with pytest.raises(UtilityError, match='rabbitmqctl: User "openstack" already exists'):
        make()
