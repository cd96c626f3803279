"""Remote write out to the real receivers, with five kills of either side: nothing may be missing."""
import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import xml_unittest  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from remote_write_case import RemoteWriteCase  # noqa: E402


class RemoteWrite(RemoteWriteCase):
    @unittest.skipUnless(shutil.which("prometheus"), "Debian's prometheus is not installed")
    def test_prometheus_misses_nothing(self):
        self.run_against("prometheus", "/api/v1/write", kills=5)

    @unittest.skipUnless(shutil.which("victoria-metrics"), "Debian's victoria-metrics is not installed")
    def test_victoria_metrics_misses_nothing(self):
        self.run_against("victoria", "/api/v1/write", kills=5)


if __name__ == "__main__":
    xml_unittest.main()
