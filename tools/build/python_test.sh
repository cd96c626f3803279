#!/bin/sh
# Runs a Python test with Debian's Python, which has the packages that apt installed.
exec /usr/bin/python3 "$@"
