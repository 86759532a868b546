"""Run gcloud and bq without starting them: fork from processes that hold their imports.

gcloud's own launcher starts this file on the Python that gcloud chooses. There is one process for each script that a
launcher runs. For every call it forks, and the fork runs the script with the arguments, environment, folder and streams
of the caller. Whatever the fork has to import, the process then imports too, for the calls that follow. Standard input
is a pipe from the process that started all this: when it ends, so do they.

CLOUDSDK_PYTHON_ARGS="-S warm_server.py" gcloud FOLDER
"""

import atexit
import contextlib
import gc
import importlib
import marshal
import os
import selectors
import signal
import socket
import sys
import threading
import types
from pathlib import Path

SCRIPTS = ("lib/gcloud.py", "bin/bootstrapping/bq.py", "platform/bq/bq.py")


class Call:
    """A client that waits, and the fork that works for it.

    Attributes:
        told: the imports that the fork has reported so far; the report ends when the fork does.
    """

    def __init__(self, client, fork, report):
        self.client, self.fork, self.report = client, fork, report
        self.told = b""


class Server:
    """The process for one script."""

    def __init__(self, script, listener):
        self._script, self._listener = script, listener
        self._code = compile(Path(script).read_bytes(), script, "exec")
        self._calls, self._tried = set(), set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(0, selectors.EVENT_READ)
        self._selector.register(listener, selectors.EVENT_READ)

    def serve(self):
        """Return the work to do in a fork, and nothing at the end of standard input."""
        while True:
            for key, _ in self._selector.select():
                if key.fd == 0:
                    return self._end()
                if key.fileobj is self._listener:
                    if work := self._accept():
                        return work
                elif key.data in self._calls:
                    self._go_on(key.data, key.fileobj)

    def _accept(self):
        client, _ = self._listener.accept()
        header, streams, _, _ = socket.recv_fds(client, 8, 3)
        request = b""
        while part := client.recv(int.from_bytes(header, "big") - len(request)):
            request += part
        report, reporting = os.pipe()
        fork = os.fork()
        if not fork:
            return lambda: self._run(streams, reporting, *marshal.loads(request))
        for number in (reporting, *streams):
            os.close(number)
        call = Call(client, fork, report)
        self._calls.add(call)
        self._selector.register(report, selectors.EVENT_READ, call)
        self._selector.register(client, selectors.EVENT_READ, call)
        return None

    def _go_on(self, call, ready):
        if ready is call.client:  # it sends nothing more: it has gone
            self._selector.unregister(call.client)
            os.kill(call.fork, signal.SIGKILL)
        elif part := os.read(call.report, 1 << 16):
            call.told += part
        else:
            self._finish(call)

    def _finish(self, call):
        _, status = os.waitpid(call.fork, 0)
        code = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(OSError):
            call.client.sendall(bytes([code if code >= 0 else 128 - code]))
        self._selector.unregister(call.report)
        with contextlib.suppress(KeyError):
            self._selector.unregister(call.client)
        os.close(call.report)
        call.client.close()
        self._calls.remove(call)
        if code >= 0 and call.told:
            self._learn(*marshal.loads(call.told))

    def _learn(self, path, names):
        """Import the modules that a fork had to import, where it has found them."""
        fresh = [name for name in names if name not in self._tried]
        if not fresh:
            return
        own, sys.path = sys.path, path
        for name in fresh:
            with contextlib.suppress(Exception):  # some are made at run time, from no file
                importlib.import_module(name)
        sys.path = own
        self._tried.update(fresh)
        gc.collect()
        gc.freeze()  # so that no fork looks through them again

    def _end(self):
        for call in self._calls:
            os.kill(call.fork, signal.SIGKILL)
            os.waitpid(call.fork, 0)

    def _run(self, streams, reporting, arguments, environment, folder):
        for target, number in enumerate(streams):
            os.dup2(number, target)
            os.close(number)
        os.chdir(folder)
        # Set by the launcher that chose this Python; the caller's launcher was given a Python, and sets nothing.
        site = {name: value for name, value in os.environb.items() if name == b"CLOUDSDK_PYTHON_SITEPACKAGES"}
        os.environb.clear()
        os.environb.update(environment | site)
        sys.argv = [self._script, *map(os.fsdecode, arguments)]
        sys.path[0] = os.path.dirname(self._script)  # noqa: PTH120
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        main.__file__ = self._script
        atexit.register(report_imports, reporting, set(sys.modules))
        try:
            exec(self._code, vars(main))
            leave(0)
        except SystemExit as end:
            if end.code is None or isinstance(end.code, int):
                leave(end.code or 0)
            raise


def leave(status):
    """End as Python ends, without taking its objects apart, which takes as long as a call does."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 255)


def report_imports(number, known):
    names = [name for name in sys.modules if name not in known and not name.startswith("__")]
    with open(number, "wb") as report:  # noqa: PTH123
        marshal.dump((sys.path, names), report)


def main():
    launched, folder = sys.argv[1:]
    root = Path(launched).parents[1]
    del os.environ["CLOUDSDK_PYTHON_ARGS"]
    os.chdir(folder)
    listeners = {script: socket.socket(socket.AF_UNIX) for script in SCRIPTS}
    for script, listener in listeners.items():
        listener.bind("-".join(script.split("/")[-2:]))
        listener.listen(64)
    os.write(1, b"ready\n")
    os.dup2(2, 1)
    processes = []
    for script, listener in listeners.items():
        processes.append(os.fork())
        if not processes[-1]:
            processes.clear()
            if work := Server(str(root / script), listener).serve():
                work()
            return
    for process in processes:
        os.waitpid(process, 0)


if __name__ == "__main__":
    main()
