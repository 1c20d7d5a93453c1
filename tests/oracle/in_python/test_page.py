"""The session of docs/python.md, as a reader types it in the repository's root."""

from __future__ import annotations

import doctest

import pytest

from lab.program import REPO


def test_the_session_of_the_page_is_what_python_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO)
    text = (REPO / "docs" / "python.md").read_text().replace("```", "")
    session = doctest.DocTestParser().get_doctest(text, {}, "python.md", "docs/python.md", 0)
    assert len(session.examples) >= 7
    done = doctest.DocTestRunner(verbose=False).run(session)
    assert done.failed == 0
