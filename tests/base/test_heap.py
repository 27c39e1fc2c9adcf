"""Garbage in cycles, in a process of its own: what is there is left alone, what comes later is not."""

import subprocess
import sys

SCRIPT = """
import gc, weakref
from maskproxy.base.heap import keep_objects

class Node: ...

def cycle():
    node = Node()
    node.itself = node
    return weakref.ref(node)

before = len(gc.get_objects())
kept = Node()
left = cycle()
keep_objects()
assert left() is None, "garbage was kept"
assert gc.get_freeze_count() > 0.9 * before
assert len(gc.get_objects()) < 100, "a collection looks at all objects"
gone = weakref.ref(kept)
del kept
assert gone() is None, "what nobody refers to stays"
left = cycle()
gc.collect()
assert left() is None, "later garbage is not found"
more = []
def count(phase, info):
    if phase == "start":
        more.append(info["generation"])
gc.callbacks.append(count)
rubbish = [[] for _ in range(400_000)]
assert 1 <= more.count(2) <= 3, more.count(2)
"""


def test_only_new_objects_are_looked_at() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)
