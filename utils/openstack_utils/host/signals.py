# SPDX-License-Identifier: MIT
"""Being stopped by a signal: at once, or at the next moment that suits."""


class Signals:
    """Turns INT, TERM and HUP into an exception, at a moment that suits."""

    def __init__(self):
        self.before = {}
        self.deferred = False
        self.pending = None

    def catch(self):
        import _signal

        for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
            try:
                if _signal.getsignal(number) is not _signal.SIG_IGN:
                    self.before[number] = _signal.signal(number, self._handle)
            except ValueError:
                # Not the main thread (the engine as a library): signals are somebody else's.
                return

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


class Interrupted(BaseException):
    """A signal asked to stop."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


class Stop:
    """A wish to stop, told to the threads of a run: each ends at a moment that suits it."""

    def __init__(self):
        self.number = None
        self._hooks = []

    def request(self, number):
        """Ask all threads to stop; programs that run for them are ended."""
        self.number = number
        for hook in list(self._hooks):
            hook()

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
