"""What the tests of beats share: the configuration file of a beat, and beats that are killed in the middle of their
work."""

import collections
import datetime
import itertools
import json
import time

from carillon_process import CarillonProcess, wait_until

LEASE_SECONDS = 30  # how long a moment belongs to a beat that has died; it is looked for every ten seconds
TICK = "tick"


class BeatProcess(CarillonProcess):
    """`carillon-showcase beat` with one schedule of the given task, every second."""

    def __init__(self, *options, task="bench.noop", queue="celery", **more):
        super().__init__(*options, command="beat", **more)
        write_schedule(self, task, queue)

    def start(self, wait=True):
        begin = self.log().count('"beat ready"')
        super().start(wait=False)
        if wait:
            wait_until(lambda: self.log().count('"beat ready"') > begin, 20, f"beat is ready\n{self.log_tail()}")
        return self


def write_schedule(process, task, queue="celery", arguments=(), name=TICK):
    """The carillon.toml of a process: one schedule, every second."""
    process.folder.mkdir(exist_ok=True)
    (process.folder / "carillon.toml").write_text(
        f'[schedule.{name}]\ntask = "{task}"\nevery = 1\nqueue = "{queue}"\nargs = {json.dumps(list(arguments))}\n',
        encoding="utf-8")


def lines(process, message):
    """The lines of a process' log with that message."""
    found = []
    for line in process.log().splitlines():
        if f'"{message}"' in line:
            found.append(json.loads(line))
    return found


def moment(identity):
    """The second since 1970 that an id tells: "tick@2026-01-01T00:00:05.000000Z"."""
    return int(datetime.datetime.fromisoformat(identity.split("@")[1].replace("Z", "+00:00")).timestamp())


def kill_in_turn(beats, kills):
    """Kills one beat after the other with -9, each about when a moment is due, and starts it again a second later; the
    others live meanwhile."""
    for number, victim in zip(range(kills), itertools.cycle(beats)):
        due = int(time.time()) + 2 + 0.002 * number  # another part of its work each time
        wait_until(lambda: time.time() >= due, 5, "the moment is due")
        assert victim.child.poll() is None, f"a beat ended by itself:\n{victim.log_tail()}"
        victim.kill()
        wait_until(lambda: time.time() >= int(due) + 1.5, 5, "the others have served it")
        victim.start()


def judge(test, identities, beats, since, until):
    """Each second from `since` to `until` has its job; and one alone, unless a beat has taken the moment over from one
    that died. Returns the moments that were sent twice."""
    counted = collections.Counter(moment(one) for one in identities)
    test.assertEqual([second for second in range(since, until + 1) if not counted[second]], [], "moments were lost")
    twice = {second for second, count in counted.items() if count > 1}
    taken_over = {moment(f'{line["entry"]}@{line["moment"]}') for one in beats
                  for line in lines(one, "a moment that another beat claimed and did not serve is served")}
    test.assertLessEqual(twice, taken_over, "a moment was served twice for no reason")
    print(f"\n    {len(counted)} moments, {len(taken_over)} taken over, {len(twice)} of them twice")
    return twice


def run_and_kill(test, beats, identities, kills=5):
    """Starts the beats, kills them in turn, and waits until every moment of that time has its job; `identities` gives
    the ids of the jobs that were sent. Returns what judge() does."""
    for one in beats:
        one.start()
    wait_until(identities, 10, "the first job")
    since = int(time.time()) + 1
    kill_in_turn(beats, kills)
    until = int(time.time())
    wanted = set(range(since, until + 1))
    wait_until(lambda: wanted <= {moment(one) for one in identities()}, LEASE_SECONDS + 15,
               "every moment has its job\n" + "\n".join(one.log_tail(200) for one in beats))
    for one in beats:
        test.assertEqual(one.stop(), 0)
    return judge(test, identities(), beats, since, until)
