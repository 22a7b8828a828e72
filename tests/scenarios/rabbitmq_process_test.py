"""rabbitmq_process.py against the real rabbitmq-server."""

import os
import unittest

from rabbitmq_process import SERVER, RabbitmqProcess


@unittest.skipUnless(os.access(SERVER, os.X_OK), f"{SERVER} is not installed")
class Helper(unittest.TestCase):

    def test_it_starts_keeps_its_data_through_a_kill_and_is_gone_afterwards(self):
        with RabbitmqProcess() as rabbit:
            folder, pid, url = rabbit.folder, rabbit.pid, rabbit.url()
            self.assertEqual(rabbit.queues("messages"), {})
            rabbit.control("add_user", "somebody", "secret")
            rabbit.restart("kill")
            self.assertNotEqual(rabbit.pid, pid)
            self.assertEqual(rabbit.url(), url)
            self.assertIn("somebody", rabbit.control("list_users"))
            with self.assertRaisesRegex(AssertionError, "no_such_command"):
                rabbit.control("no_such_command")
            pid = rabbit.pid
        self.assertFalse(folder.exists())
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)


if __name__ == "__main__":
    unittest.main()
