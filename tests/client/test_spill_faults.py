"""Files and folders that are not as they should be cost what is in them at most, never the rest."""

import json
import os
from datetime import timedelta

import pytest

from tests.client.control_plane import eventually
from tests.client.spills import a_batch, files, kept

SOON = timedelta(seconds=10)


def test_a_line_that_was_cut_off_spoils_nothing(spill, folder):
    first = spill()
    first.keep(a_batch("whole"))
    first.keep(a_batch("cut off"))
    first.close()
    [path] = files(folder)
    path.write_bytes(path.read_bytes()[:-9])
    second = spill()
    second.adopt()
    assert [json.loads(each.body)[0]["message"] for each in kept(second)] == ["whole"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"key": 3}\n',
        b'{"key" nonsense}\n',
        b'{"sent": 7}\nx\n',
        b'{"sent": 7{"sent": 0}\n',
        b"",
    ],
)
def test_what_nobody_understands_is_passed_over(spill, folder, line):
    folder.mkdir()
    first = spill()
    (folder / f"{first._name}-1-x.jsonl").write_bytes(line)
    first.adopt()
    first.keep(a_batch("mine"))
    assert [json.loads(each.body)[0]["message"] for each in kept(first)] == ["mine"]


def test_a_batch_that_can_no_longer_be_read_is_counted_as_dropped(plane, client, folder):
    """Somebody emptied the file; nobody may wait for what was in it."""
    plane.is_away = True
    holdfast = client()
    holdfast.report("boom")
    eventually(lambda: files(folder))
    eventually(lambda: len(holdfast._crew._spill))
    with files(folder)[0].open("r+b") as file:
        file.truncate()
    plane.is_away = False
    assert holdfast.flush(SOON)
    assert holdfast.dropped == 1


def test_a_folder_that_can_not_be_looked_through_keeps_nothing_back(plane, client, tmp_path):
    holdfast = client(spill=tmp_path / ("long" * 100))
    holdfast.report("boom")
    assert holdfast.flush(SOON)
    assert plane.counts == {"boom": 1}


def test_files_that_come_out_as_another_user_s_are_given_up(spill, folder, monkeypatch, caplog):
    """As some network file systems do with those of root."""
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert spill().keep(a_batch()) is None
    assert files(folder) == []
    assert "can't be kept" in caplog.text


def test_a_link_that_somebody_put_there_is_not_followed(spill, folder, tmp_path):
    target = tmp_path / "precious"
    target.write_bytes(a_batch().line)
    folder.mkdir()
    first = spill()
    (folder / f"{first._name}-1-x.jsonl").symlink_to(target)
    first.adopt()
    assert len(first) == 0
    assert target.read_bytes()


def test_where_nothing_can_be_written_reports_stay_in_memory(plane, client, tmp_path, caplog):
    """What there is no room for is dropped, counted and told."""
    (tmp_path / "file").write_text("")
    plane.is_away = True
    holdfast = client(spill=tmp_path / "file" / "folder", capacity=2)
    holdfast.report("first")
    eventually(lambda: plane.requests)
    for number in range(5):
        holdfast.report("boom", error_type=f"Kind{number}")
    eventually(lambda: "can't be kept" in caplog.text)
    plane.is_away = False
    assert holdfast.flush(SOON)
    assert holdfast.dropped == 3
    assert plane.counts == {"first": 1, "boom": 2}
    assert "3 reports were dropped" in caplog.text


def test_what_is_closed_takes_nothing_up_again(spill):
    """Its thread may be late; what it took up now would be held until the process ends."""
    first = spill()
    first.keep(a_batch())
    first.close()
    first.adopt()
    assert first.keep(a_batch()) is None
    second = spill()
    second.adopt()
    assert len(kept(second)) == 1
