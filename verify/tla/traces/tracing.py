"""What the translations share: a trace is a dictionary for TLC whose "events" are tuples, the first of each who."""


class Impossible(Exception):
    """A line that the translation does not know: the code has changed."""


def places(trace, operation):
    return [i for i, event in enumerate(trace["events"]) if event[1] == operation]


def without(trace, *dropped):
    return dict(trace, events=[event for i, event in enumerate(trace["events"]) if i not in dropped])


def replaced(trace, index, *others):
    """Others in place of one event."""
    events = trace["events"]
    return dict(trace, events=events[:index] + list(others) + events[index + 1:])


def of(trace, who):
    return [i for i, event in enumerate(trace["events"]) if event[0] == who]
