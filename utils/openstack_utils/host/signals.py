# SPDX-License-Identifier: MIT
"""Being stopped by a signal: at once, or at the next moment that suits.

The module `signal` makes enumerations when it is imported, which costs as much as an edit of a file:
`_signal` below it does not.
"""

from ..errors import Interrupted


def catch(handle):
    """Call `handle(number, frame)` on INT, TERM and HUP; return {number: handler before}.

    A signal that is ignored (nohup) stays so. Outside of the main thread nothing is changed: there the
    signals are somebody else's.
    """
    import _signal  # type: ignore[import-not-found]

    before = {}
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        try:
            if _signal.getsignal(number) is not _signal.SIG_IGN:
                before[number] = _signal.signal(number, handle)
        except ValueError:
            break
    return before


def interrupt(number, frame):
    """End the run as Ctrl-C does."""
    del number, frame
    raise KeyboardInterrupt


class Signals:
    """Turns INT, TERM and HUP into an exception, at a moment that suits."""

    def __init__(self):
        self.before = {}
        self.deferred = False
        self.pending = None

    def catch(self):
        self.before = catch(self._handle)

    def release(self):
        import _signal

        for number, handler in self.before.items():
            _signal.signal(number, handler)
        self.before = {}

    def defer(self):
        self.deferred = True

    def check(self):
        if self.pending is not None:
            number, self.pending = self.pending, None
            raise Interrupted(number)

    def _handle(self, number, _frame):
        if self.deferred:
            self.pending = number
        else:
            raise Interrupted(number)


class Stop:
    """A wish to stop, for the threads of a run: each ends at a moment that suits it.

    `is_working`: threads are at work. Before and after that a signal ends the run at once.
    """

    def __init__(self):
        self.number = None
        self.is_working = False
        self._hooks = []

    def request(self, number):
        """Ask all threads to stop; programs that run for them are ended."""
        self.number = number
        for hook in list(self._hooks):
            hook()

    def catch_signals(self):
        """While threads work a signal asks them to stop; else it ends the run as Ctrl-C does."""

        def handle(number, frame):
            if self.is_working:
                self.request(number)
            else:
                interrupt(number, frame)

        catch(handle)

    def check(self):
        """Raise Interrupted if the run is to stop."""
        if self.number is not None:
            raise Interrupted(self.number)

    def on_request(self, hook):
        """Call `hook` when the run is to stop, at once if it already is; return what forgets it."""
        self._hooks.append(hook)
        if self.number is not None:
            hook()
        return lambda: self._hooks.remove(hook)
