import re
from pathlib import Path

import pytest

from bloomdiff.data.published import PUBLISHED, Listing, RemoteFile
from bloomdiff.data.sources import find_source, pretraining_warning
from bloomdiff.data.vocabulary import SOURCES, codes, to_vocabulary
from bloomdiff.errors import ParameterError

REPOSITORY = Path(__file__).parents[2]


def test_the_issues_sets_are_there_and_in_the_vocabulary() -> None:
    assert {"matek-2019", "bone-marrow", "acevedo", "raabin", "mll23", "lisc"} <= set(PUBLISHED)
    assert set(PUBLISHED) <= set(SOURCES)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_number_of_classes_is_that_of_the_vocabulary(name: str) -> None:
    told = {to_vocabulary(name, code) for code in codes(name)}
    assert PUBLISHED[name].classes == len(told)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_every_entry_is_complete(name: str) -> None:
    source = PUBLISHED[name]
    assert source.name == name
    assert source.page.startswith("http")
    assert re.search(r"doi:10\.\d{4,}/\S+$", source.citation)
    assert source.files or source.manual
    if not isinstance(source.files, Listing):
        assert all(file.url.startswith("http") for file in source.files)


def test_checksums_are_of_their_algorithms_length() -> None:
    length = {"md5": 32, "sha256": 64}
    for source in PUBLISHED.values():
        if isinstance(source.files, Listing):
            continue
        for file in source.files:
            assert isinstance(file, RemoteFile)
            if file.checksum:
                algorithm, digest = file.checksum.split(":")
                assert re.fullmatch(rf"[0-9a-f]{{{length[algorithm]}}}", digest)


def test_an_unknown_set_is_told_with_the_nearest() -> None:
    with pytest.raises(ParameterError, match="did you mean 'acevedo'"):
        find_source("acevdo")


@pytest.mark.parametrize("encoder", ["dinobloom-s", "hf-hub:1aurent/x.dinobloom", "DinoBloom-G"])
def test_dinobloom_is_warned_of(encoder: str) -> None:
    told = pretraining_warning(["acevedo", "matek-2019", "lisc", "our lab"], encoder)
    assert told is not None
    assert encoder in told
    assert "was pre-trained on matek-2019 and may have been pre-trained on lisc" in told
    assert "acevedo" not in told
    assert "our lab" not in told
    assert "\n" not in told


@pytest.mark.parametrize("name", ["matek-2019", "bone-marrow", "raabin", "mll23", "raabin-testb"])
def test_each_set_it_saw_is_warned_of(name: str) -> None:
    assert pretraining_warning([name], "dinobloom-b") is not None


def test_the_published_test_split_is_told() -> None:
    told = pretraining_warning(["bone-marrow"], "dinobloom-s")
    assert told is not None
    assert "test split" in told


@pytest.mark.parametrize(
    ("sources", "encoder"),
    [
        (["matek-2019"], "dinov2-s"),
        (["matek-2019"], "colour-histogram"),
        (["acevedo", "bloodmnist", "pbc-five"], "dinobloom-s"),
        (["our lab", "matek"], "dinobloom-s"),
        ([], "dinobloom-s"),
    ],
)
def test_otherwise_nothing_is_said(sources: list[str], encoder: str) -> None:
    assert pretraining_warning(sources, encoder) is None


def test_the_page_tells_of_every_set() -> None:
    page = (REPOSITORY / "docs" / "published-sets.md").read_text(encoding="utf-8")
    for name, source in PUBLISHED.items():
        assert f"\n| `{name}` |" in page
        assert (f"bloomdiff data get {name}" in page) == bool(source.files)
