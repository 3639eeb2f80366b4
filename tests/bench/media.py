"""The part about ingest of images: compared with copying the file, with `datasets`, and with writing one asset at a
time, in a folder and on S3; and the memory that it takes."""

import os
import pathlib
import shutil

import parts
import pictures
import processes
import servers
import stores
from processes import Failed

COPY, BY_HAND, DATASETS = "copy, Parquet decoded", "copy, Parquet and images decoded", "datasets"
ONE_BY_ONE, SYNCED = "one at a time", "one at a time, each synced"
DISTANT = "S3 10 ms away"
DELAY_MILLISECONDS = 10
COPIES = "copies"
SECONDS = 1800.0


def ingest(place):
    return f"ingest of images, {place}"


def small(place):
    return f"small assets, {place}"


def memory(file):
    return f"memory of an ingest, {file.name} images"


INGESTS = [ingest(place) for place in (stores.FOLDER, stores.S3)]
SMALL = [small(place) for place in (stores.FOLDER, stores.S3, DISTANT)]
MEMORY = [memory(file) for file in (pictures.USUAL, pictures.LARGE)]


def media(run):
    """A gigabyte of images, as many bytes of large images, and ten thousand small ones."""
    for place in (stores.FOLDER, stores.S3):
        folder = run.lake.folder / f"media-{place}"
        folder.mkdir()
        try:
            _measure(run, place, Place(run, place, folder))
        except Failed as failure:
            for measure in (ingest(place), small(place)):
                run.failures[measure, servers.MERGANSER] = str(failure)
            run.say(f"media, {place}: {failure}")
        shutil.rmtree(folder)


class Place:
    """A new server with its assets in a store, and the client of both."""

    def __init__(self, run, name, folder):
        self.run, self.folder = run, folder
        self.store = stores.open_store(run.running, name, folder)
        self.server = self.store.start_server(run.running, servers.start_merganser)
        settings = self.server.settings | {"folder": str(folder), "s3": self.store.told}
        self.clients = servers.Clients(run.running, [servers.Subject(servers.MERGANSER, "media", settings)])
        self.idle = processes.resident_bytes(self.server.server.pid)
        self.ingests = 0

    def ask(self, do, **fields):
        return self.clients.ask(servers.MERGANSER, do, SECONDS, **fields)

    def copy(self, do, **fields):
        """Has the client write copies, and removes them."""
        copies = self.store.copies / COPIES
        copies.mkdir()
        sample = self.ask(do, into=COPIES, **fields)
        shutil.rmtree(copies)
        return sample

    def ingest(self, file):
        """Ingests the file as a new data set, and removes its objects; with what the server's memory grew by."""
        self.ingests += 1
        dataset = f"images_{self.ingests}"
        watch = parts.Watch(self.server.server.pid)
        try:
            sample = self.ask("ingest", source=str(file), dataset=dataset)
        finally:
            held = max(watch.stop()) - self.idle
        for kind in ("assets", "raw"):
            shutil.rmtree(self.store.lake / kind / dataset)
        if sample["assets"] != sample["rows_added"]:
            self.run.wrong.append(f"{file.name}: {sample['assets']} assets of {sample['rows_added']} rows")
        return sample | {"value": sample["seconds"], "held": held / 2**20}


def _measure(run, name, place):
    cache = pathlib.Path(os.environ["BENCH_CACHE"])
    usual, large, tiny = (it.file(cache, run.settings.scale) for it in (pictures.USUAL, pictures.LARGE, pictures.SMALL))
    with place.clients:
        _measure_ingest(run, name, place, usual)
        if name == stores.FOLDER:
            run.interleave([memory(pictures.LARGE)], [servers.MERGANSER], lambda *_: _held(place.ingest(large)))
        _measure_small(run, small(name), place, tiny)
        if name == stores.S3:
            place.store.delay(DELAY_MILLISECONDS)
            _measure_small(run, small(DISTANT), place, tiny)
    run.running.end(place.server.server)


def _held(sample):
    return sample | {"value": sample["held"]}


def _measure_ingest(run, name, place, file):
    def one(measure, subject, number):
        if subject == servers.MERGANSER:
            return place.ingest(file)
        if subject == DATASETS:
            sample = place.copy("datasets", source=str(file))
        else:
            sample = place.copy("copy", source=str(file), images=subject == BY_HAND)
        return sample | {"value": sample["seconds"]}

    run.interleave([ingest(name)], [servers.MERGANSER, COPY, BY_HAND, DATASETS], one)
    if name == stores.FOLDER:
        samples = run.samples.get(ingest(name), {}).get(servers.MERGANSER, [])
        run.samples[memory(pictures.USUAL)] = {servers.MERGANSER: [_held(sample) for sample in samples]}


def _measure_small(run, measure, place, file):
    count = place.ask("load", source=str(file))["count"]

    def one(measure, subject, number):
        if subject == servers.MERGANSER:
            sample = place.ingest(file)
        else:
            sample = place.copy("put_synced" if subject == SYNCED else "put")
        return sample | {"value": count / sample["seconds"]}

    run.interleave([measure], [servers.MERGANSER, ONE_BY_ONE] + ([] if place.store.told else [SYNCED]), one)


PARTS = {"media": media}
