"""The check of the words counts what it is meant to count."""

from __future__ import annotations

from pathlib import Path

from words import Comment, comments, main, problems, repeated_types


def source(folder: Path, name: str, text: str) -> Path:
    path = folder / "src" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_run_of_lines_is_one_comment(tmp_path: Path) -> None:
    path = source(
        tmp_path,
        "a.rs",
        "//! What a module is.\n//! More.\n\n    /// `Role` of a job.\n    fn a() {}\n//// None.\n// No.\n",
    )
    found = list(comments(path))
    assert found == [Comment(path, 1, "What a module is. More."), Comment(path, 4, "`Role` of a job.")]
    assert [comment.first for comment in found] == ["what", "role"]


def test_a_type_name_in_two_files_is_reported(tmp_path: Path) -> None:
    one = source(tmp_path, "a.rs", "pub struct Policy;\npub(crate) enum Action {}\nstruct Private;\n")
    two = source(tmp_path, "b.rs", "pub(super) trait Policy {}\npub struct Action;\npub struct Private;\n")
    assert repeated_types([one, two]) == {"Policy": [one, two]}


def test_shares_at_the_limit_pass_and_above_it_fail() -> None:
    plain, what, it = (Comment(Path("a.rs"), 1, text) for text in ["The role.", "What it is.", "It is."])
    assert problems([plain] * 95 + [what] + [it] * 4, {}) == []
    assert problems([plain] * 94 + [what] + [it] * 5, {}) == [
        "6 of 100 doc comments begin with a pronoun (at most 5% may)"
    ]
    assert problems([plain] * 98 + [what] * 2, {}) == ["2 of 100 doc comments begin with 'what' (at most 1% may)"]


def test_a_folder_without_doc_comments_fails(tmp_path: Path) -> None:
    source(tmp_path, "a.rs", "// No doc comment.\n")
    assert main([str(tmp_path)]) == 1
    source(tmp_path, "a.rs", "/// The role.\n")
    assert main([str(tmp_path)]) == 0
