"""Stand in for the Python of gcloud and bq: hand each call to warm_server.py, and exit with its status.

python -I -S warm_client.py FOLDER SCRIPT ARGUMENT...
"""

import marshal
import os
import sys
from _socket import AF_UNIX, SCM_RIGHTS, SOL_SOCKET, socket  # importing `socket` takes longer than all of this


def main(folder, script, *arguments):
    where = os.getcwdb()  # noqa: PTH109
    request = marshal.dumps(([os.fsencode(word) for word in arguments], dict(os.environb), where), 2)
    os.chdir(folder)  # the path of a socket has to be short
    server = socket(AF_UNIX)
    server.connect("-".join(script.split("/")[-2:]))
    streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    server.sendmsg([len(request).to_bytes(8, "big")], [(SOL_SOCKET, SCM_RIGHTS, streams)])
    server.sendall(request)
    status = server.recv(1)
    os._exit(status[0] if status else 70)


if __name__ == "__main__":
    flags = sys.argv[2] == "-S"  # the launchers may give it to their Python
    main(sys.argv[1], *sys.argv[2 + flags :])
