"""Clients that cannot tell which server they are on: the same steps at Daphne and at Carillon, the frames compared.
Also scenarios 44, 45, 47 and 50 at both."""

import json

from interop_case import InteropCase, event
from raw_websocket import CLOSE, HandshakeRefused, close_payload, frame


class Script:
    """Plays a client's steps at one site and keeps what it saw."""

    def __init__(self, case, site, send):
        self.case, self.site, self.send, self.seen = case, site, send, []

    def page(self, path):
        return self.case.for_test(self.site.socket(path))

    def see(self, *pages):
        """The next frame of each page: JSON with its order of members, or the text."""
        for page in pages:
            got = page.next()
            try:
                got = json.loads(got, object_pairs_hook=list)
            except ValueError:
                pass
            self.seen.append(got)


class SameClient(InteropCase):
    """Each script runs at both sites; events come from Python and from Carillon in turn."""

    def assert_same(self, script):
        for name, send in (("python", self.peer.group_send), ("carillon", self.carillon.group_send)):
            with self.subTest(sender=name):
                played = [Script(self, site, send) for site in (self.daphne, self.carillon)]
                for one in played:
                    script(one)
                self.assertTrue(played[0].seen)
                self.assertEqual(played[0].seen, played[1].seen)

    def test_reports(self):
        job = "0b5ad3a4-5c1c-4f5b-9a63-8bd46a6f3c11"

        def script(play):
            pages = [play.page(f"/ws/reports/{job}/") for _ in range(2)]
            other = play.page("/ws/reports/abc/")
            for percent in (10, 50, 100):
                status = "completed" if percent == 100 else "in_progress"
                play.send(f"report_{job}", event("progress_update", progress=percent, status=status,
                                                 message=f"{percent}% — complete"))
                play.see(*pages)
            play.send("report_abc", event("progress_update", progress=1, status="in_progress", message=""))
            play.see(other)
        self.assert_same(script)

    def test_wards_and_dashboards(self):
        def script(play):
            wards = [play.page("/ws/ward/5/"), play.page("/ws/ward/5/")]
            board = play.page("/ws/dashboard/ward_management/")
            wards[0].send_json({"action": "set_bed", "bed_id": 3, "status": "occupied"})
            play.see(*wards, board)
            play.send("ward_5", event("patient_admitted", data={"patient": "Žofia 世界", "bed_id": 3, "since": 1.5}))
            play.see(*wards)
            for ward in wards:
                ward.send_json({"action": "get_status"})
                play.see(ward)
            wards[0].send_json({"action": "dance"})
            play.see(wards[0])
            play.send("dashboard_ward_management", event("dashboard_update", data={
                "occupancy_rate": 75.5, "patient_count": 42, "pending_discharges": 3, "active_wards": 8,
                "timestamp": "2026-02-03T14:30:00Z"}))
            play.see(board)
        self.assert_same(script)

    def test_tasks(self):
        def script(play):
            pages = [play.page("/ws/tasks/") for _ in range(3)]
            for data in ({"id": 7, "title": "Wäsche", "completed": False}, {"id": 7, "deleted": True}):
                play.send("tasks", event("task_update", data=data))
                play.see(*pages)
        self.assert_same(script)

    def test_notifications(self):
        def script(play):
            page = play.page("/ws/test/")
            page.send_text("any text")
            play.see(page)
            play.send("test_consumer_group", event("send_notification", value="no JSON, as it is: häß \"quoted\""))
            play.see(page)
            self.assertEqual(play.site.request("GET", "/home/?count=4")[0], 200)
            play.see(*[page] * 4)
        self.assert_same(script)

    def test_events_of_one_site_reach_the_pages_of_the_other_in_order(self):
        pages = [site.socket("/ws/test/") for site in (self.daphne, self.carillon)]
        for page in pages:
            self.for_test(page)
        for site in (self.carillon, self.daphne):
            site.request("GET", "/home/?count=20")
            for page in pages:
                self.assertEqual([page.next_json()["count"] for _ in range(20)], list(range(1, 21)))


class SocketEdges(InteropCase):
    with_peer = False

    @property
    def sites(self):
        return (self.daphne, self.carillon)

    def test_44_the_subprotocol_that_the_consumer_picked_is_answered_and_none_else(self):
        for site in self.sites:
            with self.subTest(type(site).__name__):
                picked = self.for_test(site.socket("/ws/subprotocol/?pick=superchat.v2",
                                                   subprotocols="chat, superchat.v2"))
                self.assertEqual(picked.answer.get("sec-websocket-protocol"), "superchat.v2")
                none = self.for_test(site.socket("/ws/subprotocol/", subprotocols="chat, superchat.v2"))
                self.assertNotIn("sec-websocket-protocol", none.answer)

    def test_45_a_consumer_that_denies_is_a_403_without_a_frame(self):
        for site in self.sites:
            with self.subTest(type(site).__name__):
                with self.assertRaises(HandshakeRefused) as caught:
                    site.socket("/ws/deny/")
                self.assertEqual(caught.exception.status, 403)

    def test_47_the_codes_of_a_close_arrive_on_the_other_side_once(self):
        for site in self.sites:
            with self.subTest(type(site).__name__):
                told, telling = self.probe(site), self.probe(site)
                told.send_json({"do": "close", "code": 4001})
                self.assertEqual(told.event()[:2], ("close", 4001))
                told.send(frame(CLOSE, close_payload(4001)))
                telling.send(frame(CLOSE, close_payload(4999)))
                self.assertEqual(telling.until_end()[0][0], "close")
                self.until(lambda: telling.channel in site.disconnects(), "the disconnect handler ran")
                self.assertEqual(site.disconnects()[telling.channel], [4999])

    def test_50_after_an_exception_carillon_closes_with_1011_runs_the_handler_and_leaves_the_groups(self):
        group = self.group()
        failing, staying = self.probe(self.carillon, group), self.probe(self.carillon, group + ".other")
        self.assertTrue(self.members(group))
        failing.send_json({"do": "raise"})
        self.assertEqual(failing.event()[:2], ("close", 1011))
        self.until(lambda: failing.channel in self.carillon.disconnects(), "the disconnect handler ran")
        self.assertEqual(len(self.carillon.disconnects()[failing.channel]), 1)
        self.until(lambda: not self.members(group), "the membership is gone")
        self.assertTrue(self.members(group + ".other"), staying)

    def test_50_daphne_closes_with_1011_too_but_runs_no_handler(self):
        """What the reference says of it; a change there should be seen here."""
        failing, witness = self.probe(self.daphne), self.probe(self.daphne)
        failing.send_json({"do": "raise"})
        self.assertEqual(failing.event()[:2], ("close", 1011))
        witness.send(frame(CLOSE, close_payload(1000)))
        self.until(lambda: witness.channel in self.daphne.disconnects(), "a later disconnect was heard")
        self.assertNotIn(failing.channel, self.daphne.disconnects())
