# SPDX-License-Identifier: MIT
"""The pictures of the talk: the dashboard with an instance, and the console of that instance."""

from __future__ import annotations

import json
from pathlib import Path

from tests.rig.talk.browser import Page

# Of the screen of a guest: a line of text has some hundred dots that are not black.
DOTS = 200
COUNT_DOTS = """\
(() => {
    const canvas = document.querySelector("#screen canvas");
    if (!canvas || !canvas.width) return 0;
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let dots = 0;
    for (let at = 0; at < data.length; at += 4) dots += data[at] + data[at + 1] + data[at + 2] > 150;
    return dots;
})()
"""


def take_dashboard(page: Page, url: str, user: str, password: str, instance: str, path: Path) -> None:
    """Log in to the dashboard, and take a picture of the instances.

    Raises:
        BuildError: the form, what follows it, or the instance is not to be seen.
    """
    page.open(f"{url}/auth/login/")
    page.wait_for("form to log in", "document.querySelector('[name=password]') !== null")
    for name, value in (("username", user), ("password", password)):
        page.evaluate(f"document.querySelector('[name={name}]').value = {json.dumps(value)}")
    page.evaluate("document.querySelector('#loginBtn').click()")
    page.wait_for("page after the login", "!location.pathname.includes('/auth/login')")
    page.open(f"{url}/project/instances/")
    page.wait_for(
        "list of instances", f"document.querySelector('table')?.innerText.includes({json.dumps(instance)})"
    )
    page.take_picture(path)


def take_console(page: Page, url: str, path: Path) -> None:
    """Take a picture of the console of an instance, when there is something on it.

    Args:
        url: as Nova gives it out, with a token that is good for one session.

    Raises:
        BuildError: the console does not connect, or stays black.
    """
    page.open(url)
    page.wait_for("connection", "document.querySelector('#status')?.textContent.startsWith('Connected')")
    page.wait_for("text on the console", f"{COUNT_DOTS} > {DOTS}")
    page.take_picture(path)
