"""The client's rules without a PACS: settings, hostile answers, series in order, body height."""

from __future__ import annotations

import gzip
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from starlette.testclient import TestClient

from retrieval.image import Slab
from retrieval.lesion import Box
from service.cli import main
from service.engine.lesion_location import LocationEstimate
from service.extras import Extra, MissingExtraError, need_extra
from service.http.app import create_app
from service.http.settings import Settings
from service.pacs.client import InstanceEntry, PacsClient, SeriesEntry, StudyEntry
from service.pacs.errors import (
    PacsError,
    PacsLimitError,
    PacsUnavailableError,
    UnknownReferenceError,
)
from service.pacs.proposals import QueryPlace, level_of
from service.pacs.series import PacsImageError, PacsReference, PacsSeries, open_series
from service.pacs.settings import PacsSettings, PacsSettingsError

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
STUDY = StudyEntry("1.2", "MRN-1", date(2020, 1, 1))
ENTRY = SeriesEntry("1.2", "1.2.3", "CT", "axial", 4)


@contextmanager
def answering(respond):
    """A server on loopback that answers each GET by ``respond(handler)``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            respond(self)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(handler, body, *, status=200, **headers):
    handler.send_response(status)
    for name, value in {"Content-Type": "application/dicom+json", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def drip(handler):
    """An answer that never ends, a byte at a time."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/dicom+json")
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)
    except OSError:
        pass


STUDY_UID = b'"0020000D": {"vr": "UI", "Value": ["1.2.3"]}'
HALF = b"{" + STUDY_UID + b', "00100020": {"vr": "LO", "Value": ["\\ud800"]}}'
DEEP = b'[{"00081110": {"vr": "SQ", "Value": [' * 20_000

BOMB = gzip.compress(b" " * (3 << 20))


@pytest.mark.parametrize(
    ("respond", "error", "words"),
    [
        (lambda h: send(h, b"[]"), UnknownReferenceError, "no study"),
        (lambda h: send(h, b"not JSON"), PacsError, "not readable DICOMweb"),
        (lambda h: send(h, b'[{"0020000D": 7}]'), PacsError, "not readable DICOMweb"),
        (lambda h: send(h, b"[" * 100_000), PacsError, "not readable DICOMweb"),
        (lambda h: send(h, DEEP), PacsError, "not readable DICOMweb"),
        (lambda h: send(h, b"[" + HALF + b"]"), PacsError, "not readable DICOMweb"),
        (lambda h: send(h, b"{}", status=401), PacsError, "credentials"),
        (lambda h: send(h, b"{}", status=404), UnknownReferenceError, "check the UIDs"),
        (lambda h: send(h, b"{}", status=500), PacsUnavailableError, r"failed \(500\)"),
        (lambda h: send(h, b"{}", status=418), PacsError, r"refused \(418\)"),
        (lambda h: send(h, b"", status=302, Location="/x"), PacsError, "redirects"),
        (lambda h: send(h, b" " * (3 << 20)), PacsLimitError, "MAX_MB"),
        (lambda h: send(h, BOMB, Content_Encoding="gzip"), PacsLimitError, "MAX_MB"),
        (lambda h: time.sleep(1.0), PacsUnavailableError, "in time"),
        (drip, PacsUnavailableError, "in time"),
    ],
    ids=[
        "none",
        "text",
        "numbers",
        "brackets",
        "deep",
        "half a character",
        "401",
        "404",
        "500",
        "418",
        "302",
        "big",
        "bomb",
        "mute",
        "drip",
    ],
)
def test_hostile_or_broken_answers_are_one_line(respond, error, words):
    with answering(respond) as url:
        settings = PacsSettings(url=url, max_mb=1, timeout_s=0.5, answer_timeout_s=0.6)
        with pytest.raises(error, match=words) as refused:
            PacsClient(settings).study("1.2.3")
    assert "\n" not in str(refused.value)
    assert "1.2.3" not in str(refused.value)


def test_nobody_there_and_not_a_uid():
    client = PacsClient(PacsSettings(url="http://127.0.0.1:9/dicom-web", timeout_s=1))
    with pytest.raises(PacsUnavailableError, match="cannot be reached"):
        client.study("1.2.3")
    with pytest.raises(PacsError):
        client.retrieve(ENTRY, "../../patients", patient_id="MRN-1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": None}, "no PACS is configured"),
        ({"url": "ftp://pacs"}, "not of the form"),
        ({"url": "http://user:secret@pacs/x"}, "holds credentials"),
        ({"url": "http://pacs/x", "token": "secret"}, "unprotected"),
        ({"url": "https://pacs/x", "token": "secret", "user": "u", "password": "p"}, "one of"),
        ({"url": "https://pacs/x", "user": "u"}, "both a user and a password"),
    ],
)
def test_settings_that_make_no_pacs(changes, words):
    with pytest.raises(PacsSettingsError, match=words) as refused:
        PacsClient(PacsSettings(**changes))
    assert "secret" not in str(refused.value)


def test_credentials_come_from_the_environment_and_are_never_shown(monkeypatch):
    monkeypatch.setenv("LESION_SEARCH_PACS_URL", "https://pacs.example/dicom-web/")
    monkeypatch.setenv("LESION_SEARCH_PACS_TOKEN", "secret-token")
    settings = PacsSettings()
    assert settings.checked_url() == "https://pacs.example/dicom-web"
    assert "secret-token" not in repr(settings) + str(settings)
    trusted = PacsSettings(url="http://pacs/x", plain_http=True)
    assert trusted.checked_url() == "http://pacs/x"


def test_the_token_is_sent_and_no_other_host_is_asked():
    seen = []

    def respond(handler):
        seen.append(handler.headers.get("Authorization"))
        send(handler, b"", status=307, Location="http://127.0.0.1:9/stolen")

    with answering(respond) as url, pytest.raises(PacsError, match="redirects"):
        PacsClient(PacsSettings(url=url, token="t0k3n")).study("1.2.3")
    assert seen == ["Bearer t0k3n"]


def entry(z_mm, *, orientation=AXIAL, sop_uid=None, pixels=16):
    return InstanceEntry(sop_uid or f"1.9.{z_mm:.0f}", None, (0.0, 0.0, z_mm), orientation, pixels)


class ListedPacs:
    """A PACS that lists the given images."""

    def __init__(self, images):
        self._images = images

    def instances(self, _):
        return self._images


def test_a_series_is_ordered_by_position_and_scouts_are_left_out():
    scout = entry(99.0, orientation=CORONAL, sop_uid="1.7")
    images = [entry(7.0), scout, entry(2.0), entry(4.5), replace(entry(0.0), position=None)]
    series = open_series(ListedPacs(images), STUDY, ENTRY)
    assert [image.depth_mm for image in series.images] == [2.0, 4.5, 7.0]
    assert series.interval_mm == 2.5
    assert series.notes == ("left out: 2 images of another orientation, or without one",)
    assert series.position_of(PacsReference("1.2.3")) == 1
    assert series.position_of(PacsReference("1.2.3", sop_uid="1.9.7")) == 2
    with pytest.raises(PacsImageError, match="0 to 2"):
        series.position_of(PacsReference("1.2.3", key_slice_index=3))
    with pytest.raises(UnknownReferenceError):
        series.position_of(PacsReference("1.2.3", sop_uid="1.7"))
    with pytest.raises(PacsImageError, match="no position"):
        open_series(ListedPacs([images[-1]]), STUDY, ENTRY)


@pytest.mark.parametrize(
    ("half_depth_mm", "wanted"), [(0.0, (4, 7)), (2.5, (3, 8)), (6.0, (2, 9)), (900.0, (0, 20))]
)
def test_slices_within_a_depth(half_depth_mm, wanted):
    series = PacsSeries(STUDY, ENTRY, tuple(entry(2.5 * k) for k in range(20)))
    assert series.within(5, half_depth_mm) == range(*wanted)
    assert series.within(0, 0.0) == range(2)
    assert series.within(19, 0.0) == range(18, 20)


class HeightLocator:
    """Tells the body height that the pixels spell, with one outlier; None for the first slice."""

    def locate_lesion(self, slab, box):
        height = float(slab.hu.mean()) / 1000
        if height < 0.101:
            return None
        wrong = 0.9 if abs(height - 0.5) < 0.02 else height
        return LocationEstimate((0.5, 0.5, wrong), (0.05, 0.08, 0.02))


class HeightEngine:
    def __init__(self, locator):
        self.locator = locator


@pytest.mark.parametrize(("height", "position"), [(0.3, 40), (0.62, 104), (0.5, 80)])
def test_the_level_of_the_query_is_found_in_another_series(monkeypatch, height, position):
    """Height rises by 0.005 a slice of 2.5 mm, from 0.1; one sample is far off."""
    series = PacsSeries(STUDY, ENTRY, tuple(entry(2.5 * k) for k in range(161)))
    monkeypatch.setattr("service.pacs.proposals.read_slab", spelled)
    place = QueryPlace((3.0, -4.0), 20.0, height)
    engine = HeightEngine(HeightLocator())
    found = level_of(engine, None, series, place)
    assert abs(found - position) <= 2
    assert level_of(engine, None, series, replace(place, height=2.0)) is None
    assert level_of(engine, None, series, replace(place, height=None)) is None
    assert level_of(HeightEngine(None), None, series, place) is None
    short = PacsSeries(STUDY, ENTRY, series.images[:9])
    assert level_of(engine, None, short, place) == 4


def spelled(_, __, position, *, half_depth_mm):
    hu = np.full((1, 300, 300), 100.0 + 5.0 * position, np.float32)
    return Slab(hu, (0.8, 0.8), 2.5)


def test_the_same_place_on_another_grid():
    coarse = Slab(np.zeros((1, 101, 101), np.float32), (2.0, 2.0), 5.0)
    fine = Slab(np.zeros((1, 401, 401), np.float32), (0.5, 0.5), 5.0)
    place = QueryPlace.of(coarse, Box(60, 40, 70, 50), 0.5)
    box = place.box_on(fine)
    assert box.center == pytest.approx((200 + 15 * 4, 200 - 5 * 4))
    assert box.width == pytest.approx(40)
    small = Slab(np.zeros((1, 11, 11), np.float32), (1.0, 1.0), 5.0)
    assert place.box_on(small).center == pytest.approx((10, 0))


def test_without_a_pacs_the_routes_say_so(engine, monkeypatch):
    monkeypatch.delenv("LESION_SEARCH_PACS_URL", raising=False)
    with TestClient(create_app(Settings(index=engine.index.path), engine=engine)) as client:
        answer = client.post("/v1/dicomweb/search", json={"series_instance_uid": "1.2.3"})
    assert answer.status_code == 503
    assert "LESION_SEARCH_PACS_URL" in answer.json()["detail"]


def test_without_the_extra_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("service.extras.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"lesion-search\[dicom\]"):
        need_extra(Extra.DICOM)
    assert main(["pacs", "query", "--index", "i", "--series", "1.2.3"]) == 2
    assert "pip install" in capsys.readouterr().err


def test_a_report_needs_somewhere_to_go(capsys):
    assert main(["pacs", "report", "--index", "i", "--series", "1.2.3"]) == 2
    assert "--out FILE, --store" in capsys.readouterr().err
