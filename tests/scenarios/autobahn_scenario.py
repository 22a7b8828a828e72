"""The conformance suite against /ws/echo/, with one reactor thread and with two."""

import io
import os
import unittest

import autobahn
from carillon_process import CarillonProcess

# CARILLON_AUTOBAHN=quick leaves out the largest cases, =full sends 1,000 messages in every case that sends many.
EXTENT = os.environ.get("CARILLON_AUTOBAHN", "")


class Conformance(unittest.TestCase):

    def judge(self, threads):
        with CarillonProcess("--bench", "--threads", str(threads)) as server:
            settings = autobahn.settings_for(server.ws_url("/ws/echo/"), EXTENT == "quick", EXTENT == "full")
            report = io.StringIO()
            passed, failures, _ = autobahn.run(settings, out=report)
            self.assertEqual(failures, 0, f"{passed} passed, {failures} failed\n{report.getvalue()}")
            self.assertGreater(passed, 340)
            self.assertGreater(settings.compressed_answers, 0, "no answer ever came compressed")

    def test_all_cases_with_one_thread(self):
        self.judge(1)

    def test_all_cases_with_two_threads(self):
        self.judge(2)


if __name__ == "__main__":
    unittest.main()
