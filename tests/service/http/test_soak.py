"""Mixed reading and writing on a real service process: no error, nothing lost, no growth.

The long form is ``python benchmarks/service_load.py --soak 1800 --soak-only``.
"""

from __future__ import annotations

import shutil
import threading
import time

import psutil

from tests.service.serving import service_process

CLIENTS = 3
SECONDS = 120


def memory_mb(process):
    own = psutil.Process(process.pid)
    family = [own, *own.children(recursive=True)]
    return sum(one.memory_info().rss for one in family) / 2**20


def one_round(service, lesion, number, content):
    """Reads and writes; returns every answer that was not the expected one."""
    form = {
        "file": content,
        "box": ",".join(str(edge) for edge in lesion.box.to_list()),
        "spacing": "0.9,0.9,2.5",
    }
    added_form = {**form, "patient_id": f"soak{number}", "study_id": f"soak{number}_01"}
    status, added = service.ask("POST", "/v1/lesions", added_form)
    if status != 201:
        return [("add", status, added)]
    path = f"/v1/lesions/{added['lesion_id']}"
    answers = [
        (200, *service.ask("GET", f"/v1/lesions/{lesion.lesion_id}/similar?k=30")),
        (200, *service.ask("POST", "/v1/search", form)),
        (200, *service.ask("GET", path)),
        (200, *service.ask("GET", f"/v1/patients/{lesion.patient_id}/tracks")),
        (204, *service.ask("DELETE", path)),
        (404, *service.ask("GET", path)),
    ]
    found = {hit["lesion"]["lesion_id"] for hit in answers[0][2]["hits"]}
    wrong = [] if added["lesion_id"] in found else [("added but not found", found)]
    return wrong + [answer for answer in answers if answer[0] != answer[1]]


def test_mixed_load_is_answered_without_error_or_growth(
    built_index, encoder_file, archive, tmp_path
):
    index = shutil.copytree(built_index, tmp_path / "index")
    wrong, rounds = [], []
    with service_process(index, encoder_file, tmp_path) as service:
        before = service.wait_until_ready()["lesions"]

        def work(number):
            until = time.monotonic() + SECONDS
            for lesion in (archive.lesions * 1000)[number:]:
                if time.monotonic() > until:
                    return
                content = (archive.root / archive.source(lesion).image).read_bytes()
                wrong.extend(one_round(service, lesion, number, content))
                rounds.append(number)

        one_round_of_each(service, archive, wrong)
        warm = memory_mb(service.process)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert set(rounds) == set(range(CLIENTS))
        assert service.wait_until_ready()["lesions"] == before
        assert memory_mb(service.process) - warm < max(80, 0.15 * warm)
    assert not any((index / "added" / "Images_png").iterdir())


def one_round_of_each(service, archive, wrong):
    for lesion in archive.lesions[:4]:
        content = (archive.root / archive.source(lesion).image).read_bytes()
        wrong.extend(one_round(service, lesion, 99, content))
