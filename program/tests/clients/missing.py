"""Resolves each name with the C library, and prints the result. Arguments: names."""
import socket
import sys

for name in sys.argv[1:]:
    try:
        socket.getaddrinfo(name, 9042)
        print(name, "found")
    except socket.gaierror as error:
        missing = error.errno in (socket.EAI_NONAME, socket.EAI_NODATA)
        print(name, "not found" if missing else error)
