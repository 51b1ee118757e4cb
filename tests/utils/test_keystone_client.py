# SPDX-License-Identifier: MIT
"""The client of Keystone: what is asked again, and what is not."""

from typing import Any

import pytest
from openstack_utils.keystone.client import KeystoneClient, RemoteError


class Answers(KeystoneClient):
    """A client whose requests have these answers: a status, or the JSON of a good one."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(None)
        self.answers = list(answers)
        self.pauses = [0.0, 0.0]

    def send(self, method: str, path: str, body: Any = None, token: Any = None) -> "tuple[Any, Any]":
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            raise RemoteError(f"HTTP {answer}", status=answer)
        return {}, answer


def test_what_a_starting_keystone_forbids_is_asked_again() -> None:
    assert Answers(403, 403, {"users": []}).call("POST", "/users", {}) == {"users": []}


# id: (answers, status of the error, answers that are left)
FINAL = {
    "forbidden for good": ((403, 403, 403, 200), 403, 1),
    "not there": ((404, 200), 404, 1),
    "there already": ((409, 200), 409, 1),
    "forbidden, then not there": ((403, 404, 200), 404, 1),
}


@pytest.mark.parametrize("case", FINAL)
def test_other_answers_stand(case: str) -> None:
    answers, status, left = FINAL[case]
    client = Answers(*answers)

    with pytest.raises(RemoteError) as error:
        client.call("GET", "/users")

    assert error.value.status == status
    assert len(client.answers) == left
