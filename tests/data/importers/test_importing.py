from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import bloomdiff.data.importers
from bloomdiff.data.images import pixel_digest, read_rgb
from bloomdiff.data.importers import (
    IMPORTERS,
    ClassRules,
    Importer,
    ImporterParams,
    Record,
    import_cells,
    importing,
    make_importer,
)
from bloomdiff.data.importers.paths import find_images
from bloomdiff.data.importers.transaction import _settle
from bloomdiff.data.manifest import read_manifest
from bloomdiff.data.records import Box
from bloomdiff.data.validate import validate_manifest
from bloomdiff.errors import InputError, ParameterError, ProblemsError


@pytest.fixture
def lab(tmp_path: Path, paint) -> Path:
    for name in ("basophil/a.png", "basophil/deep/er/b.tif", "monocyte/c.jpg", "monocyte/d.bmp"):
        paint(tmp_path / "lab" / name)
    return tmp_path / "lab"


@pytest.fixture
def other(tmp_path: Path, paint) -> Path:
    for name in ("monocyte/a.png", "eosinophil/e.webp"):
        paint(tmp_path / "other" / name)
    return tmp_path / "other"


def test_whole_files_are_copied_byte_for_byte_and_described(lab: Path, load, snapshot) -> None:
    cells = load("folder", lab)
    out = lab.parent / "out"
    found = snapshot(out)
    assert set(found) == {"manifest.csv"} | {f"images/lab/{name}" for name in snapshot(lab)}
    for name, data in snapshot(lab).items():
        assert found[f"images/lab/{name}"] == data
    assert cells["cell_id"].tolist() == sorted(f"lab/{name}" for name in snapshot(lab))
    for cell in cells.itertuples():
        rgb = read_rgb(out / cell.path)
        assert (cell.height, cell.width) == rgb.shape[:2] == (10, 12)
        assert cell.blake3 == pixel_digest(rgb)
        assert cell.label == cell.cell_id.split("/")[1]
        assert cell.group == cell.cell_id
        assert cell.source == "lab"
    pd.testing.assert_frame_equal(cells, read_manifest(out / "manifest.csv"))
    validate_manifest(cells, out, jobs=1)


def test_workers_write_what_one_thread_writes(lab: Path, load, snapshot) -> None:
    load("folder", lab)
    alone = snapshot(lab.parent / "out")
    import_cells("folder", lab, lab.parent / "pool", jobs=2)
    assert snapshot(lab.parent / "pool") == alone


def test_copies_are_made_by_threads_and_crops_by_processes(
    lab: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[bool] = []
    mapped = importing.map_chunks

    def told(*args: Any, **options: Any) -> Any:
        asked.append(options["threads"])
        return mapped(*args, **options)

    monkeypatch.setattr(importing, "map_chunks", told)
    copy = Record("a.png", find_images(lab)[0], "monocyte")
    crop = Record("b.png", copy.image, "monocyte", box=Box(1, 1, 5, 5), field="a")
    pixels = Record("c.png", np.zeros((4, 4, 3), np.uint8), "monocyte")
    for records in ([copy], [copy, crop], [copy, pixels]):
        written = importing._write([(one,) for one in records], tmp_path, "lab", jobs=2)
        assert len(written) == len(records)
    importing._write(iter([(pixels,)]), tmp_path, "lab", jobs=1)
    assert asked == [True, False, False, False]


def test_a_manifest_there_is_refused_untouched(lab: Path, other: Path, load, snapshot) -> None:
    load("folder", lab)
    before = snapshot(lab.parent / "out")
    with pytest.raises(InputError, match=r"manifest\.csv: is there already; .*--append.*--replace"):
        load("folder", other)
    assert snapshot(lab.parent / "out") == before


def test_append_joins_a_second_source(lab: Path, other: Path, load, snapshot) -> None:
    first = load("folder", lab)
    both = load("folder", other, append=True)
    assert both["source"].value_counts().to_dict() == {"lab": 4, "other": 2}
    kept = both[both["source"] == "lab"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, first)
    validate_manifest(both, lab.parent / "out", jobs=1)
    before = snapshot(lab.parent / "out")
    with pytest.raises(InputError, match=r"lists source 'other' already; .*--source"):
        load("folder", other, append=True)
    assert snapshot(lab.parent / "out") == before
    assert len(load("folder", other, append=True, source="again")) == 8


def test_groups_of_two_sources_never_meet(lab: Path, other: Path, load) -> None:
    load("folder", lab, {"group": r"/(\w)\."})
    both = load("folder", other, {"group": r"/(\w)\."}, append=True)
    assert set(both["group"]) == {"lab/a", "lab/b", "lab/c", "lab/d", "other/a", "other/e"}


def test_replace_takes_away_what_the_old_manifest_lists(
    lab: Path, other: Path, load, snapshot
) -> None:
    load("folder", lab)
    out = lab.parent / "out"
    (out / "notes.txt").write_text("mine")
    load("folder", other, replace=True)
    assert set(snapshot(out)) == {
        "manifest.csv",
        "notes.txt",
        "images/other/monocyte/a.png",
        "images/other/eosinophil/e.webp",
    }
    assert not (out / "images" / "lab").exists()


def test_replace_by_the_same_source_leaves_no_old_file(lab: Path, load, paint, snapshot) -> None:
    load("folder", lab)
    (lab / "monocyte" / "c.jpg").unlink()
    paint(lab / "monocyte" / "z.png")
    load("folder", lab, replace=True)
    names = {name for name in snapshot(lab.parent / "out") if name.startswith("images")}
    assert names == {f"images/lab/{name}" for name in snapshot(lab)}


def test_files_in_the_way_are_never_overwritten(lab: Path, load, snapshot, paint) -> None:
    out = lab.parent / "out"
    paint(out / "images" / "lab" / "basophil" / "mine.png")
    before = snapshot(out)
    for replace in (False, True):
        with pytest.raises(InputError, match=r"mine\.png: is in the way"):
            load("folder", lab, replace=replace)
        assert snapshot(out) == before


def test_append_and_replace_exclude_one_another(lab: Path, load) -> None:
    with pytest.raises(ParameterError, match="exclude one another"):
        load("folder", lab, append=True, replace=True)


def test_every_bad_image_is_told_and_nothing_is_left(lab: Path, load, snapshot) -> None:
    (lab / "basophil" / "bad.png").write_bytes(b"no image")
    whole = (lab / "monocyte" / "d.bmp").read_bytes()
    (lab / "monocyte" / "cut.bmp").write_bytes(whole[:100])
    with pytest.raises(ProblemsError) as caught:
        load("folder", lab)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert any("basophil/bad.png: is not a PNG" in line for line in lines)
    assert any("monocyte/cut.bmp: the image is damaged" in line for line in lines)
    assert not (lab.parent / "out").exists()


def test_a_failed_append_leaves_the_old_import(lab: Path, other: Path, load, snapshot) -> None:
    load("folder", lab)
    before = snapshot(lab.parent / "out")
    (other / "monocyte" / "bad.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"bad\.png"):
        load("folder", other, append=True)
    assert snapshot(lab.parent / "out") == before


def test_labels_that_differ_in_spelling_alone_are_refused(
    lab: Path, tmp_path: Path, paint, load, snapshot
) -> None:
    load("folder", lab)
    before = snapshot(lab.parent / "out")
    paint(tmp_path / "third" / "MONOCYTE" / "m.png")
    told = r"third: cell 'third/\S+': labels 'monocyte' and 'MONOCYTE' differ in spelling alone"
    with pytest.raises(InputError, match=told):
        load("folder", tmp_path / "third", append=True)
    assert snapshot(lab.parent / "out") == before
    rules = ClassRules(rename={"MONOCYTE": "monocyte"})
    assert len(load("folder", tmp_path / "third", append=True, classes=rules)) == 5


def test_unknown_kinds_options_and_paths(lab: Path, load) -> None:
    with pytest.raises(
        ParameterError, match="importer 'foldr': unknown name; did you mean 'folder'"
    ):
        load("foldr", lab)
    with pytest.raises(ParameterError, match="grup: is not a known key; did you mean 'group'"):
        load("folder", lab, {"grup": "x"})
    with pytest.raises(ParameterError, match=r"group: .*not a regular expression"):
        load("folder", lab, {"group": "("})
    with pytest.raises(InputError, match="no such file or folder"):
        load("folder", lab / "none")
    assert not (lab.parent / "out").exists()


def test_a_second_import_at_the_same_time_is_refused(lab: Path, tmp_path: Path, load) -> None:
    import fcntl

    out = tmp_path / "out"
    out.mkdir()
    handle = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another import is writing here"):
            load("folder", lab)
    finally:
        os.close(handle)
    assert len(load("folder", lab)) == 4


class _Names(Importer):
    name = "names"
    summary = "records of given names"
    Params = ImporterParams
    given: tuple[str, ...] = ()

    def records(self, path: Path) -> Iterator[Record]:
        for name in self.given:
            yield Record(name, np.zeros((4, 5, 3), np.uint8), "x")


@pytest.mark.parametrize(
    "names",
    [("../a.png",), ("a//b.png",), ("/a.png",), ("a\n.png",), ("a\\b.png",), ("a.png",) * 2],
)
def test_names_that_leave_the_folder_or_repeat_are_refused(
    names: tuple[str, ...], tmp_path: Path, load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(IMPORTERS._entries, "names", _Names)
    monkeypatch.setattr(_Names, "given", names)
    with pytest.raises(InputError, match=r"is not a plain name|is the name of two cells"):
        load("names", tmp_path)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(_Names, "given", ("sub/a.png", "b.png"))
    assert len(load("names", tmp_path, source="s")) == 2


def test_a_source_must_be_a_plain_name(lab: Path, load) -> None:
    for source in ("a/b", "..", "a\\b"):
        with pytest.raises(InputError, match="is not a plain name"):
            load("folder", lab, source=source)


def test_a_source_or_file_that_no_folder_can_hold_is_one_line(
    lab: Path, load, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"source 'xxx.* is longer than 255 bytes; rename it"):
        load("folder", lab, source="x" * 300)
    monkeypatch.setitem(IMPORTERS._entries, "names", _Names)
    monkeypatch.setattr(_Names, "given", ("sub/" + "é" * 126 + ".png",))
    with pytest.raises(InputError, match=r"file 'sub/é.* is longer than 255 bytes"):
        load("names", lab)
    assert not (lab.parent / "out").exists()


@pytest.mark.parametrize("place", ["images", "images/lab"])
@pytest.mark.parametrize("link", [False, True])
def test_a_file_where_the_images_go_is_told_before_the_work(
    lab: Path, load, snapshot, monkeypatch: pytest.MonkeyPatch, place: str, link: bool
) -> None:
    monkeypatch.setattr(importing, "_write", None)
    file = lab.parent / "out" / place
    file.parent.mkdir(parents=True)
    file.symlink_to(lab.parent / "nowhere") if link else file.write_text("mine")
    before = snapshot(lab.parent / "out")
    with pytest.raises(InputError, match=rf"out/{place}: is in the way and no folder; move it"):
        load("folder", lab)
    assert snapshot(lab.parent / "out") == before


@pytest.mark.parametrize("inner", ["", "images"])
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_the_import_of_what_an_import_wrote_is_refused(
    lab: Path, load, snapshot, inner: str, mode: str
) -> None:
    load("folder", lab)
    out = lab.parent / "out"
    before = snapshot(out)
    with pytest.raises(InputError, match=r"holds the images that .*manifest\.csv lists"):
        load("folder", out / inner, source="again", **{mode: True})
    assert snapshot(out) == before
    # The images of one source lie as the source had them; and data may lie beside the images.
    assert len(load("folder", out / "images" / "lab", replace=True)) == 4
    shutil.copytree(lab, out / "raw")
    assert len(load("folder", out / "raw", replace=True)) == 4


def test_annotations_beside_the_images_of_the_import_may_be_imported_again(
    tmp_path: Path, paint, load
) -> None:
    paint(tmp_path / "out" / "images" / "x.png", 60, 40)
    (tmp_path / "out" / "labels").mkdir()
    (tmp_path / "out" / "labels" / "x.txt").write_text("0 0.5 0.5 0.25 0.5")
    (tmp_path / "out" / "data.yaml").write_text("names: [a]")
    assert len(load("yolo", tmp_path / "out")) == 1
    assert len(load("yolo", tmp_path / "out", replace=True)) == 1


def test_a_label_with_a_line_end_is_refused_before_it_breaks_the_manifest(
    tmp_path: Path, paint, load
) -> None:
    paint(tmp_path / "lab" / "a.png")
    file = tmp_path / "lab" / "t.csv"
    file.write_bytes(b'path,label,group\na.png,"large\rlymphocyte",p1\n')
    with pytest.raises(InputError, match=r"label 'large\\rlymphocyte' has .* control characters"):
        load("csv", file)
    assert not (tmp_path / "out").exists()


def test_every_importer_names_itself() -> None:
    for name in IMPORTERS:
        assert IMPORTERS[name].name == name
        assert IMPORTERS[name].summary
        assert issubclass(IMPORTERS[name].Params, ImporterParams)
    assert {"folder", "csv", "medmnist", "coco", "voc", "yolo"} <= set(IMPORTERS)
    assert make_importer("folder").params.group == ""


def run_and_die(path: Path, out: Path, step: int) -> int:
    """Import in a forked process that kills itself before its change number `step` to the disk."""
    return die_at(step, lambda: import_cells("folder", path, out, jobs=1, replace=True))


def die_at(step: int, work: Callable[[], Any], last: str = "") -> int:
    """Do it in a forked process that kills itself before its change number `step` to the disk.

    It does so too before a file called `last` is put in place out of another folder. Returns the
    number of changes that it made, where it lived to make them all.
    """
    child = os.fork()
    if child == 0:
        changes = 0

        def dying(change: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **options: Any) -> Any:
                nonlocal changes
                changes += 1
                paths = [Path(arg) for arg in args if isinstance(arg, str | Path)]
                moves = len(paths) == 2 and len({path.parent for path in paths}) == 2
                if changes == step or (moves and paths[1].name == last):
                    os.kill(os.getpid(), signal.SIGKILL)
                return change(*args, **options)

            return call

        Path.write_bytes = dying(Path.write_bytes)  # type: ignore[method-assign]
        for name in ("rename", "replace", "unlink", "mkdir", "rmdir"):  # of `shutil` too
            setattr(os, name, dying(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(changes)
    _, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


@pytest.mark.slow
def test_killed_at_any_step_the_next_import_finishes(
    lab: Path, other: Path, tmp_path: Path, snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill an import in place of an older one before each change to the disk, then run it again."""
    monkeypatch.setattr(importing, "table_problems", lambda *_: [])  # half of the time

    def prepared(name: str) -> Path:
        import_cells("folder", lab, tmp_path / name, jobs=1)
        return tmp_path / name

    steps = run_and_die(other, prepared("whole"), -1)
    assert steps > 15
    wanted = snapshot(tmp_path / "whole")
    old = snapshot(prepared("old"))
    bad = other / "monocyte" / "bad.png"
    outcomes = []
    for step in range(1, steps + 1):
        out = prepared(f"step{step}")
        assert run_and_die(other, out, step) == -signal.SIGKILL
        # One that fails takes the killed one back, unless that had come to its end.
        bad.write_bytes(b"no image")
        with pytest.raises(InputError):
            import_cells("folder", other, out, jobs=1, replace=True)
        bad.unlink()
        outcomes.append(snapshot(out) == old)
        assert snapshot(out) in (old, wanted), step
        run_and_die(other, out, step)
        import_cells("folder", other, out, jobs=1, replace=True)
        assert snapshot(out) == wanted, step
    assert outcomes[0]
    assert outcomes == sorted(outcomes, reverse=True)


def test_killed_twice_the_old_import_is_whole(
    lab: Path, other: Path, tmp_path: Path, paint, snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill an import in its last step, then another at every step at which it undoes the first."""
    monkeypatch.setattr(importing, "table_problems", lambda *_: [])
    paint(lab / "monocyte" / "mine.png")
    import_cells("folder", lab, tmp_path / "whole", source="lab", jobs=1)
    old = snapshot(tmp_path / "whole")
    killed = shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    work = partial(import_cells, "folder", other, source="lab", jobs=1, replace=True)
    assert die_at(-1, partial(work, out=killed), last="manifest.csv") == -signal.SIGKILL
    assert snapshot(killed) != old

    steps = die_at(-1, partial(_settle, shutil.copytree(killed, tmp_path / "undone")))
    assert snapshot(tmp_path / "undone") == old
    assert steps > 10
    for step in range(1, steps + 1):
        out = shutil.copytree(killed, tmp_path / f"step{step}")
        assert die_at(step, partial(work, out=out)) == -signal.SIGKILL
        die_at(step, partial(_settle, out))
        with pytest.raises(InputError, match="is there already"):
            import_cells("folder", other, out, source="lab", jobs=1)
        assert snapshot(out) == old, step
    work(out=out)
    assert {name for name in snapshot(out) if "images" in name} == {
        f"images/lab/{name}" for name in snapshot(other)
    }


def test_the_pool_survives_kill_minus_nine(tmp_path: Path, paint, snapshot) -> None:
    lab = tmp_path / "lab"
    for number in range(600):
        paint(lab / "x" / f"{number:03d}.png", 96, 96)
    code = "import sys; from bloomdiff.data.importers import import_cells as f; f(*sys.argv[1:])"
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", code, "folder", str(lab), str(out)])
    deadline = time.monotonic() + 60
    while not list(out.glob(".importing-*/new/lab/x/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (out / "manifest.csv").exists()
    cells = import_cells("folder", lab, out, jobs=1)
    assert len(cells) == 600
    assert len(snapshot(out)) == 601
    validate_manifest(cells, out, jobs=1)


@pytest.mark.parametrize("kind", ["folder", "medmnist"])
def test_memory_does_not_grow_with_the_images(tmp_path: Path, kind: str) -> None:
    """The pixels of 20 MiB of images are never in memory together."""
    pixels = np.zeros((400, 128, 128, 3), np.uint8)
    path = tmp_path / "bloodmnist.npz" if kind == "medmnist" else tmp_path / "lab"
    if kind == "medmnist":
        parts = {"train": pixels[:200], "val": pixels[200:300], "test": pixels[300:]}
        content = {f"{split}_images": part for split, part in parts.items()}
        content |= {f"{split}_labels": np.zeros(len(part), int) for split, part in parts.items()}
        np.savez_compressed(path, **content)
    else:
        (path / "EOS").mkdir(parents=True)
        for number, rgb in enumerate(pixels):
            Image.fromarray(rgb).save(path / "EOS" / f"{number}.bmp")
    import_cells(kind, path, tmp_path / "first", jobs=1)  # imports modules, fills caches
    tracemalloc.start()
    try:
        import_cells(kind, path, tmp_path / "out", jobs=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * 2**20 < pixels.nbytes / 3


def test_the_documented_importer_works(
    tmp_path: Path, paint, load, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    monkeypatch.setattr(IMPORTERS, "_entries", dict(IMPORTERS._entries))
    names = vars(bloomdiff.data.importers) | {"Path": Path, "find_images": find_images}
    exec("from __future__ import annotations\n" + code, dict(names))
    paint(tmp_path / "export" / "slide7" / "EOS_1.tif")
    cells = load("our-lab", tmp_path / "export")
    assert cells[["label", "group"]].to_numpy().tolist() == [["EOS", "export/slide7"]]


def test_a_damaged_manifest_does_not_ask_for_the_import_under_way(lab: Path, load) -> None:
    load("folder", lab)
    (lab.parent / "out" / "manifest.csv").write_text("")
    with pytest.raises(InputError, match=r"out/manifest\.csv: .*move it and .*out/images away"):
        load("folder", lab, replace=True)


def test_a_folder_that_cannot_be_listed_is_one_line(lab: Path, load, monkeypatch) -> None:
    scan = os.scandir

    def denied(folder: str | Path | int) -> Any:
        if not isinstance(folder, int) and Path(folder).name == "monocyte":
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(InputError, match=r"monocyte: cannot be read \(Permission denied\)"):
        load("folder", lab)


def test_an_out_that_cannot_be_written_to_is_one_line(
    lab: Path, tmp_path: Path, load, monkeypatch
) -> None:
    (tmp_path / "out").mkdir()

    def denied(**_: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", denied)
    with pytest.raises(InputError, match=r"out: is no folder to write to \(Permission denied\)"):
        load("folder", lab)


def test_linked_images_come_back_when_an_import_in_their_place_stops(
    lab: Path, other: Path, tmp_path: Path, load, monkeypatch
) -> None:
    """A relative link leads nowhere while it waits in the folder of what is replaced."""
    cells = load("folder", lab, source="lab")
    image = tmp_path / "out" / cells["path"][0]
    image.rename(tmp_path / "raw.png")
    image.symlink_to(os.path.relpath(tmp_path / "raw.png", image.parent))
    before = image.read_bytes()

    def stop(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bloomdiff.data.importers.transaction._prune", stop)
        with pytest.raises(KeyboardInterrupt):
            load("folder", other, source="lab", replace=True)
    assert image.is_symlink()
    assert image.read_bytes() == before
    load("folder", other, source="lab", replace=True)
    assert not os.path.lexists(image)
