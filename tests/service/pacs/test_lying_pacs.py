"""A PACS that brings another image than it was asked for, or another patient's, is refused."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.decoding.limits import DecodeLimits
from service.decoding.pool import DecoderPool
from service.pacs.client import PacsClient, SeriesEntry
from service.pacs.identity import Asked, OtherInstanceError
from service.pacs.series import PacsImageError, PacsReference, find_series, read_slab
from service.pacs.settings import PacsSettings
from tests.service.dicom_samples import SeriesLabels, ct_series

LABELS = SeriesLabels("MRN-1", "1", None)
OTHER = SeriesLabels("MRN-2", "9", None)
COUNT = 3


def images(labels: SeriesLabels) -> list[Dataset]:
    hu = np.random.default_rng(int(labels.study)).normal(0, 200, (COUNT, 24, 24))
    return ct_series(hu, labels, spacing_mm_px=(0.8, 0.8), interval_mm=2.5)


class Pacs:
    """Honest about one series; ``lie`` changes an instance or an entry before it is sent."""

    def __init__(self, lie):
        self.images = images(LABELS)
        self.lie = lie

    def answer(self, path: str) -> tuple[str, bytes]:
        parts = path.split("?", maxsplit=1)[0].strip("/").split("/")[1:]
        if parts[-1] == "metadata":
            chosen = [one for one in self.images if parts[-2] in (one.SOPInstanceUID, parts[3])]
            return self._listed(chosen, "header")
        if len(parts) == 6:
            (chosen,) = (one for one in self.images if one.SOPInstanceUID == parts[5])
            return self._multipart(self.lie("instance", copied(chosen)))
        if parts[-1] == "instances":
            return self._listed(self.images, "instances")
        return self._listed(self.images[:1], parts[-1])

    def _listed(self, datasets, what) -> tuple[str, bytes]:
        entries = []
        for dataset in datasets:
            entry = copied(dataset)
            del entry.PixelData
            entry = self.lie(what, entry)
            entries.append(entry.to_json_dict(suppress_invalid_tags=True))
        return "application/dicom+json", json.dumps(entries).encode()

    def _multipart(self, dataset) -> tuple[str, bytes]:
        file = io.BytesIO()
        dataset.save_as(file, enforce_file_format=True)
        body = b"--limit\r\nContent-Type: application/dicom\r\n\r\n" + file.getvalue()
        kind = 'multipart/related; type="application/dicom"; boundary=limit'
        return kind, body + b"\r\n--limit--\r\n"


def copied(dataset: Dataset) -> Dataset:
    same = Dataset()
    for element in dataset:
        same.add(element)
    same.file_meta, same.preamble = dataset.file_meta, dataset.preamble
    return same


@contextmanager
def client_of(pacs: Pacs):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            kind, body = pacs.answer(self.path)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
        yield PacsClient(PacsSettings(url=url, timeout_s=10, answer_timeout_s=10))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def slab_from(client: PacsClient):
    series = find_series(client, PacsReference(LABELS.series_uid, LABELS.study_uid))
    return read_slab(client, series, 1, half_depth_mm=2.0)


def test_an_honest_pacs_is_read():
    with client_of(Pacs(lambda _, dataset: dataset)) as client:
        slab = slab_from(client)
    wanted = np.stack([one.pixel_array for one in images(LABELS)]).astype(np.float32) - 1024
    np.testing.assert_array_equal(slab.hu, wanted)


def rewritten(rule):
    """An honest PACS whose images are changed by ``rule(position, dataset)`` first."""
    pacs = Pacs(lambda _, dataset: dataset)
    for position, image in enumerate(pacs.images):
        rule(position, image)
    return pacs


def test_what_is_no_slice_among_the_neighbours_is_left_out_and_counted():
    def burn_in_the_last(position, image):
        if position == COUNT - 1:
            image.BurnedInAnnotation = "YES"

    with client_of(rewritten(burn_in_the_last)) as client:
        slab = slab_from(client)
    assert len(slab.hu) == COUNT - 1
    assert slab.key_slice_index == 1
    assert "left out: 1 picture of a screen or with burned-in text" in slab.notes


def test_a_key_slice_with_burned_in_text_is_refused():
    def burn_in(_, image):
        image.BurnedInAnnotation = "YES"

    with (
        client_of(rewritten(burn_in)) as client,
        pytest.raises(PacsImageError, match="slice 1 is a picture of a screen or with burned-in"),
    ):
        slab_from(client)


def test_values_that_are_no_hu_are_read_only_where_they_are_said_to_be():
    def electron_density(_, image):
        image.RescaleType = "ED"

    with client_of(rewritten(electron_density)) as client:
        series = find_series(client, PacsReference(LABELS.series_uid, LABELS.study_uid))
        with pytest.raises(PacsImageError, match="--assume-hu"):
            read_slab(client, series, 1, half_depth_mm=2.0)
        slab = read_slab(client, series, 1, half_depth_mm=2.0, assume_hu=True)
    assert len(slab.hu) == COUNT
    assert any("assume_hu says so" in note for note in slab.notes)


@pytest.mark.parametrize("in_a_process", [False, True])
def test_of_two_acquisitions_that_of_the_key_slice_is_read(in_a_process):
    """Two phases of the same places in one series: slices 0, 2, 4 and 1, 3, 5."""
    labels = SeriesLabels("MRN-1", "1", None)
    phases = [images(labels), images(OTHER)]
    for number, phase in enumerate(phases, start=1):
        for place, image in enumerate(phase):
            image.SeriesInstanceUID = labels.series_uid
            image.StudyInstanceUID = labels.study_uid
            image.PatientID = labels.patient_id
            image.AcquisitionNumber = number
            image.SOPInstanceUID = f"1.9.{number}.{place + 1}"
            image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    pacs = Pacs(lambda _, dataset: dataset)
    pacs.images = [image for phase in phases for image in phase]
    with client_of(pacs) as plain, DecoderPool(DecodeLimits(), size=1) as decoders:
        client = PacsClient(plain.settings, decoders=decoders if in_a_process else None)
        for number, phase in enumerate(phases, start=1):
            reference = PacsReference(labels.series_uid, labels.study_uid, f"1.9.{number}.2")
            series = find_series(client, reference)
            slab = read_slab(client, series, series.position_of(reference), half_depth_mm=5.0)
            wanted = np.stack([one.pixel_array for one in phase]).astype(np.float32) - 1024
            np.testing.assert_array_equal(slab.hu, wanted)
            assert slab.key_slice == 1
            assert any("3 images of another acquisition" in note for note in slab.notes)


def changed(what: str, keyword: str, value: str):
    def lie(asked: str, dataset: Dataset) -> Dataset:
        if asked == what:
            setattr(dataset, keyword, value)
        return dataset

    return lie


def other_patients_image(asked: str, dataset: Dataset) -> Dataset:
    return images(OTHER)[0] if asked == "instance" else dataset


@pytest.mark.parametrize(
    ("lie", "what"),
    [
        (changed("instance", "SOPInstanceUID", "1.2.3"), "another instance"),
        (changed("instance", "SeriesInstanceUID", "1.2.3"), "another series"),
        (changed("instance", "StudyInstanceUID", "1.2.3"), "another study"),
        (changed("instance", "PatientID", "MRN-2"), "another patient"),
        (changed("instance", "PatientID", ""), "another patient"),
        (other_patients_image, "another study"),
        (changed("instances", "SeriesInstanceUID", "1.2.3"), "another series"),
        (changed("instances", "StudyInstanceUID", "1.2.3"), "another study"),
        (changed("instances", "SOPInstanceUID", "1.2.3"), "twice"),
        (changed("series", "StudyInstanceUID", "1.2.3"), "another study"),
    ],
)
def test_what_was_not_asked_for_is_refused(lie, what):
    with client_of(Pacs(lie)) as client, pytest.raises(OtherInstanceError, match=what) as refused:
        slab_from(client)
    line = str(refused.value)
    assert "\n" not in line
    assert "MRN" not in line
    assert "1.2.3" not in line


@pytest.mark.parametrize("keyword", ["PatientID", "SOPInstanceUID", "StudyInstanceUID"])
def test_attributes_of_another_image_are_refused(keyword):
    entry = SeriesEntry(LABELS.study_uid, LABELS.series_uid, "CT", "axial", COUNT)
    uid = LABELS.instance_uid(0)
    with client_of(Pacs(lambda _, dataset: dataset)) as client:
        assert client.header(entry, uid, patient_id="MRN-1").SOPInstanceUID == uid
    liar = Pacs(changed("header", keyword, "1.2.3"))
    with client_of(liar) as client, pytest.raises(OtherInstanceError):
        client.header(entry, uid, patient_id="MRN-1")


def test_a_list_may_leave_attributes_out_an_instance_may_not():
    asked = Asked("1.2", "1.2.3", patient_id="MRN-1")
    asked.check(Dataset(), listed=True)
    with pytest.raises(OtherInstanceError, match="another study"):
        asked.check(Dataset())


class PacsOfHalfInstances(Pacs):
    """Sends instances without a SOP class, in their attributes and in their file's header."""

    def _multipart(self, dataset) -> tuple[str, bytes]:
        kind, whole = super()._multipart(dataset)
        start = whole.index(b"\r\n\r\n") + 4
        sent = dcmread(io.BytesIO(whole[start : -len(b"\r\n--limit--\r\n")]))
        del sent.SOPClassUID
        del sent.file_meta.MediaStorageSOPClassUID
        file = io.BytesIO()
        sent.save_as(file, enforce_file_format=False)
        return kind, whole[:start] + file.getvalue() + b"\r\n--limit--\r\n"


def test_an_instance_without_a_sop_class_is_one_line():
    """It ended a request with 500: the copy for the decoder could not be written."""
    pacs = PacsOfHalfInstances(lambda _, dataset: dataset)
    with client_of(pacs) as client, DecoderPool(DecodeLimits(), size=1) as decoders:
        client.decoders = decoders
        with pytest.raises(PacsImageError, match="slice 0") as refused:
            slab_from(client)
    assert "MRN" not in str(refused.value)
