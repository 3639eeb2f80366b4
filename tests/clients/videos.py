"""Clips for the tests, drawn and encoded here."""

import pathlib

import av
import numpy

WIDTH, HEIGHT, RATE, N_FRAMES, GROUP = 160, 120, 25, 100, 25
# No group ends where the picture changes.
SAME_GROUPS = {"sc_threshold": "0"}


def draw(path, *, busy=range(50, 75), codec="libx264", hidden=0, options=None):
    """Writes a clip of 4 seconds in groups of 25 frames: a moving bar, and noise in the `busy` frames.

    The edit list hides the first `hidden` frames. `options` are the encoder's.
    """
    path = pathlib.Path(path)
    noise = numpy.random.default_rng(7)
    packets = []
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=SAME_GROUPS | (options or {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = GROUP
        for number in range(N_FRAMES):
            picture = numpy.full((HEIGHT, WIDTH, 3), 64, numpy.uint8)
            picture[:, number : number + 20] = [200, 180, 40]
            if number in busy:
                picture[20:100] = noise.integers(0, 256, (80, WIDTH, 3), numpy.uint8)
            packets += stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        for packet in packets + stream.encode():
            # Their unit is a frame; what is shown before 0 is what the container's edit list hides.
            packet.pts -= hidden
            packet.dts -= hidden
            container.mux(packet)
    return path
