"""Shortens what a random test found."""


def shrink(steps, fails, replays):
    """Leaves out steps that are not needed for a failure: halves first, single ones last."""
    size = len(steps) // 2
    while size:
        start = 0
        while start < len(steps) and replays:
            shorter = steps[:start] + steps[start + size :]
            replays -= 1
            if fails(shorter):
                steps = shorter
            else:
                start += size
        size //= 2
    return steps
