"""The part about fragments of clips: one percent of them is read by a query, from a folder and from S3, compared with
reading all clips whole, and with blobs of a Lance dataset."""

import os
import pathlib
import shutil
import tempfile

import servers
import stores
from processes import Failed

PLACES = (stores.FOLDER, stores.S3)
LANCE, TAKEN = "pylance", "pylance, rows known"
BYTES = 10**9
FRAGMENTS_IN_CLIP = 100
FRAMES_IN_FRAGMENT = 10
CLIP_BYTES = 12_000_000  # roughly
WIDTH, HEIGHT = 160, 120

CHOSEN = (
    "SELECT clip_uri, fragment_id, fragment_bytes(clip_uri, init_length, byte_offset, byte_length) AS mp4 "
    "FROM silver.clips_fragments"
)
WHOLE = "SELECT clip_uri, read_object(clip_uri) AS mp4 FROM silver.clips_clips"


def selected(place):
    return f"1 % of the fragments, {place}"


def whole(place):
    return f"all clips whole, {place}"


def fragments(run):
    """One fragment of each clip, another one in each round."""
    clips = _clips(pathlib.Path(os.environ["BENCH_CACHE"]), run.settings.scale)
    for place in PLACES:
        folder = run.lake.folder / f"fragments-{place}"
        folder.mkdir()
        try:
            _read(run, place, folder, clips)
        except Failed as failure:
            for measure in (selected(place), whole(place)):
                run.failures[measure, servers.MERGANSER] = str(failure)
            run.say(f"{selected(place)}: {failure}")
        shutil.rmtree(folder)


def _read(run, place, folder, clips):
    store = stores.open_store(run.running, place, folder)
    served = store.start_server(run.running, servers.start_merganser)
    lance = servers.Subject(LANCE, "lance", {"uri": f"{store.uri}/clips.lance", "options": store.options})
    with servers.Clients(run.running, [served]) as clients, servers.Clients(run.running, [lance]) as others:
        load = f"CALL merganser.ingest(source => '{clips.as_uri()}', dataset => 'clips')"
        clients.ask(servers.MERGANSER, "execute", sql=load)
        names = [servers.MERGANSER, *_lance(run, place, served, others)]

        def one(measure, name, number):
            if measure == whole(place):
                sample = clients.ask(name, "whole", sql=WHOLE, way="stream")
                return sample | {"value": sample["seconds"]}
            fragment = number * 17 % FRAGMENTS_IN_CLIP
            if name != servers.MERGANSER:
                sample = others.ask(LANCE, "take", fragment=fragment, known=name == TAKEN)
                return sample | {"value": sample["seconds"]}
            sql = f"{CHOSEN} WHERE fragment_id = {fragment}"
            sample = clients.ask(name, "whole", sql=sql, way="stream")
            told = clients.ask(name, "reads", sql=sql)
            if LANCE in names:
                expected = others.ask(LANCE, "take", fragment=fragment, known=False)["bytes"]
                run.compare(f"{measure}: bytes", [(LANCE, expected), (name, told["bytes"])])
            return sample | told | {"value": sample["seconds"], "ratio": told["bytes_read"] / told["bytes"]}

        run.interleave([selected(place)], names, one)
        run.interleave([whole(place)], [servers.MERGANSER], one)
    run.running.end(served.server)


def _lance(run, place, served, others):
    """Copies the fragments to a Lance dataset, in the same store; the names under which it takes part."""
    try:
        others.ask(LANCE, "write", server=served.settings["uri"], sql=f"{CHOSEN} ORDER BY fragment_id, clip_uri")
        return [LANCE, TAKEN]
    except Failed as failure:
        for name in (LANCE, TAKEN):
            run.failures[selected(place), name] = str(failure)
        run.say(f"{selected(place)}, {LANCE}: {failure}")
        return []


# === clips ===


def _clips(cache, scale):
    """A folder with clips of noise, `BYTES` times the scale together; created if absent. PyAV encodes them."""
    folder = cache / f"clips-{scale:g}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    new = pathlib.Path(tempfile.mkdtemp(prefix=".clips-", dir=cache))
    try:
        for number in range(max(2, round(BYTES * scale / CLIP_BYTES))):
            _encode(new / f"clip-{number:03}.mp4", seed=number)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def _encode(path, seed):
    try:
        import av
        import numpy
    except ImportError as missing:
        raise Failed(f"clips cannot be encoded here: {missing}") from missing
    noise = numpy.random.default_rng(seed)
    with av.open(path, "w") as file:
        stream = file.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.gop_size = FRAMES_IN_FRAGMENT
        stream.options = {"preset": "ultrafast", "crf": "20", "sc_threshold": "0"}
        for _ in range(FRAGMENTS_IN_CLIP * FRAMES_IN_FRAGMENT):
            picture = noise.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=numpy.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())


PARTS = {"fragments": fragments}
