# SPDX-License-Identifier: MIT
"""A few threads that do tasks, each as soon as what it needs is done. Knows nothing of Keystone."""

import threading
from typing import NamedTuple


class Task(NamedTuple):
    """Something to do. It gives `key`, and begins when all keys of `needs` are there.

    Of those that are `slow` (Keystone hashes a password) one at a time is done while there is other
    work: the hash takes one processor, and everything else the other.
    """

    run: object
    key: object = None
    needs: tuple = ()
    slow: bool = False


class Workers:
    """A few threads at a time that do tasks, those that need nothing of each other at the same time."""

    def __init__(self, count):
        self.count = max(1, count)

    def run(self, functions):
        """Do independent functions without arguments. The first one that raises stops those not begun."""
        self.run_tasks([Task(function) for function in functions])

    def run_tasks(self, tasks):
        """Do Tasks, in their order as far as their needs allow.

        The first one that raises stops those not yet begun; its error is raised when those under way
        have ended. A need that no task provides is met already.
        """
        batch = _Batch(tasks)
        # Daemons: an interrupted run ends at once and not with the last answer.
        threads = [
            threading.Thread(target=batch.work, daemon=True) for _ in range(min(self.count, len(tasks)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(1)
        if batch.errors:
            raise batch.errors[0]


class _Batch:
    """Tasks that are being done."""

    def __init__(self, tasks):
        self.waiting = list(tasks)
        self.missing = {task.key for task in tasks if task.key is not None}
        self.slow = 0
        self.errors = []
        self.changed = threading.Condition()

    def work(self):
        while True:
            with self.changed:
                task = self._next()
            if task is None:
                return
            try:
                task.run()
            except BaseException as error:
                self.errors.append(error)
            finally:
                with self.changed:
                    self.slow -= task.slow
                    self.missing.discard(task.key)
                    self.changed.notify_all()

    def _next(self):
        """Wait for a task that can begin; None when there is none left."""
        while self.waiting and not self.errors:
            ready = [task for task in self.waiting if self.missing.isdisjoint(task.needs)]
            if ready:
                slow = [task for task in ready if task.slow]
                other = [task for task in ready if not task.slow]
                task = (slow or other)[0] if not self.slow else (other or slow)[0]
                self.waiting.remove(task)
                self.slow += task.slow
                return task
            self.changed.wait()
        return None
