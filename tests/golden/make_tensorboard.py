"""Writes tensorboard.tfevents with TensorBoard's own writer: what apps/tensorboard.h must write, byte for byte.

    pip install tensorboard==2.21.0
    python tests/golden/make_tensorboard.py

With files as arguments it reads them instead, by TensorBoard's own reader, and prints every scalar that is shown.
"""
import os
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

SCALARS = [  # step, tags and values
    (9, [("loss/training", 2.3125), ("learning rate", 1e-3)]),
    (300, [("loss/validation", -1.5e-7)]),
    (5_000_000_000, [("a tag of more than one hundred and twenty-seven bytes " * 3, 1e30)]),
]


def write(path):
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        time = 1_700_000_000.25
        writer.write(Event(wall_time=time, file_version="brain.Event:2").SerializeToString())
        log = SessionLog(status=SessionLog.START)
        writer.write(Event(wall_time=time, step=9, session_log=log).SerializeToString())
        for step, scalars in SCALARS:
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars]
            writer.write(Event(wall_time=time, step=step, summary=Summary(value=values)).SerializeToString())


def read(folder):
    events = EventAccumulator(folder, size_guidance={"scalars": 0})
    events.Reload()
    for tag in events.Tags()["scalars"] or events.Tags()["tensors"]:
        for event in events.Scalars(tag):
            print(tag, event.step, event.value)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        for folder in sys.argv[1:]:
            read(folder)
    else:
        write(os.path.join(os.path.dirname(__file__), "tensorboard.tfevents"))
