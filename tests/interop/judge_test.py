"""The judge of the interop tests finds what it is there to find."""

import unittest

from judge import faults, numbers_of

NONE = {"lost": 0, "twice": 0, "strange": 0, "out_of_order": False}


class Judge(unittest.TestCase):
    def test_a_whole_stream_has_no_faults(self):
        self.assertEqual(faults([0, 1, 2], range(3)), NONE)

    def test_each_fault_is_found(self):
        self.assertEqual(faults([0, 2], range(3)), {**NONE, "lost": 1})
        self.assertEqual(faults([0, 1, 1, 2], range(3)), {**NONE, "twice": 1})
        self.assertEqual(faults([0, 1, 2, 7], range(3)), {**NONE, "strange": 1})
        self.assertEqual(faults([1, 0, 2], range(3)), {**NONE, "out_of_order": True})

    def test_numbers_are_read_from_the_json_of_either_server(self):
        data = (b'\x81\x30{"event":{"type":"probe.event","publisher":"a","n":0}}'
                b'\x81\x31{"event": {"type": "probe.event", "publisher": "b", "n": 17}}'
                b'\x81\x30{"event":{"type":"probe.event","publisher":"a","n":1}}')
        self.assertEqual(numbers_of(data), {"a": [0, 1], "b": [17]})


if __name__ == "__main__":
    unittest.main()
