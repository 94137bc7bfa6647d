"""Times on the device, from events around a recorded graph of launches."""

from typing import NamedTuple

import torch

LONGEST = 0.4  # seconds of one measurement, warming up aside
SAMPLE = 1e-3  # seconds that a sample takes at least


class Time(NamedTuple):
    """Of one launch, in seconds: the median, and half of the distance between the 10th and 90th percentile."""

    median: float
    spread: float
    samples: int


def between(work, rounds):
    """Seconds of `rounds` calls."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(rounds):
        work()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def recorded(calls, rounds):
    """One callable for `rounds` calls in turn: a graph, so that the processor's time for a launch is out of it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(rounds):
            calls[i % len(calls)]()
    return graph.replay


def measure(calls, graph=True):
    """The time of one of `calls`, which go over sets of buffers, so that caches do not hold them."""
    for call in calls[:2] * 2:
        call()
    torch.cuda.synchronize()
    first = between(calls[0], 3) / 3
    rounds = min(max(len(calls), round(SAMPLE / max(first, 1e-7))), 512)
    rounds = -(-rounds // len(calls)) * len(calls)
    once = recorded(calls, rounds) if graph else lambda: [calls[i % len(calls)]() for i in range(rounds)]
    # A cold clock is no measurement.
    spent = 0.0
    while spent < LONGEST / 4:
        spent += between(once, 1)
    each = between(once, 1)
    samples = min(max(round(LONGEST / max(each, 1e-6)), 5), 200)
    times = sorted(between(once, 1) / rounds for _ in range(samples))
    at = lambda share: times[min(int(share * len(times)), len(times) - 1)]
    return Time(at(0.5), (at(0.9) - at(0.1)) / 2, samples)


def row(time):
    """As columns."""
    return {"median_us": time.median * 1e6, "spread_percent": 100 * time.spread / time.median, "samples": time.samples}
