"""A large CSV is reported in bounded memory, and cancelling stops it within a second.

CARILLON_CSV_SIZE says how large: 200M unless given, 1G for the whole claim.
"""

import csv
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from carillon_process import ROOT, CarillonProcess, wait_until
from report_client import FINAL, start_csv, state

SIZE = os.environ.get("CARILLON_CSV_SIZE", "200M")
PEAK_BYTES_MAX = 256 * 1024 * 1024
REPORT_SECONDS = 600
COUNTED_BYTES_MAX = 256 * 1024 * 1024  # Python needs a minute for a gigabyte


def rows_of(path):
    """The rows without the header, counted by an independent reader."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        return sum(1 for _ in csv.reader(file)) - 1


class LargeReport(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="carillon-csv-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = os.path.join(cls.folder.name, "large.csv")
        subprocess.run([sys.executable, ROOT / "tools/make_csv.py", SIZE, cls.path], check=True, timeout=600,
                       capture_output=True)
        cls.server = CarillonProcess()
        cls.addClassCleanup(cls.server.close)
        cls.server.start()

    def test_1_report_is_made_in_bounded_memory(self):
        begin = time.monotonic()
        job = start_csv(self.server, self.path)
        uploaded = time.monotonic()
        wait_until(lambda: state(self.server, job)["status"] in FINAL, REPORT_SECONDS, "the report has ended")
        ended = time.monotonic()
        self.assertEqual(state(self.server, job)["status"], "completed", state(self.server, job))
        peak = self.server.memory_peak_bytes()
        print(f"\n    {SIZE}: upload {uploaded - begin:.1f} s, report {ended - uploaded:.1f} s, "
              f"peak {peak / 1048576:.0f} MiB")
        self.assertLess(peak, PEAK_BYTES_MAX)
        _, report = self.server.get_json(f"/reports/{job}/result.json")
        self.assertEqual(report["bytes"], os.path.getsize(self.path))
        if os.path.getsize(self.path) <= COUNTED_BYTES_MAX:
            self.assertEqual(report["rows"], rows_of(self.path))

    def test_2_cancel_stops_it_within_a_second(self):
        job = start_csv(self.server, self.path)
        wait_until(lambda: state(self.server, job)["progress"] > 0, 30, "the report has begun")
        begin = time.monotonic()
        status, _, _ = self.server.request("POST", f"/reports/{job}/cancel/")
        self.assertLess(status, 300)
        wait_until(lambda: state(self.server, job)["status"] == "cancelled", 1.0 - (time.monotonic() - begin),
                   "the report is cancelled")
        self.assertLess(time.monotonic() - begin, 1.2)
        used = self.server.cpu_seconds()
        wait_until(lambda: time.monotonic() - begin > 2.5, 5, "a while has passed")
        self.assertLess(self.server.cpu_seconds() - used, 0.5, "the work goes on though it says cancelled")
        self.assertEqual(state(self.server, job)["status"], "cancelled")

    def test_3_upload_that_breaks_off_leaves_the_server_well(self):
        whole = os.path.getsize(self.path)
        connection = socket.create_connection(("127.0.0.1", self.server.port), 10)
        connection.sendall(f"POST /reports/start/ HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\n"
                           f"Content-Type: text/csv\r\nContent-Length: {whole}\r\n\r\n".encode())
        with open(self.path, "rb") as file:
            connection.sendall(file.read(5_000_000))
        connection.close()
        self.assertEqual(self.server.request("GET", "/healthz", seconds=5)[0], 200)
        self.assertLess(self.server.memory_peak_bytes(), PEAK_BYTES_MAX)


if __name__ == "__main__":
    unittest.main()
