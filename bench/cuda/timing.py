"""Times work on a GPU: each as a CUDA graph, replayed in turns."""
import statistics
import torch


def graph(work, count):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        work(0)
        stream.synchronize()
        made = torch.cuda.CUDAGraph()
        with torch.cuda.graph(made, stream=stream):
            for i in range(count):
                work(i)
    return made, stream


def measure(works, count, rounds=15):
    """Medians of microseconds a launch, in turns."""
    graphs = [graph(w, count) for w in works]
    times = [[] for _ in works]
    for _ in range(rounds):
        for (g, stream), t in zip(graphs, times):
            begin, end = torch.cuda.Event(True), torch.cuda.Event(True)
            with torch.cuda.stream(stream):
                begin.record()
                g.replay()
                end.record()
            end.synchronize()
            t.append(begin.elapsed_time(end) * 1000 / count)
    return [statistics.median(t[2:]) for t in times]
