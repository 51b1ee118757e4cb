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
