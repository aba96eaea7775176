import json
import shutil

from vfer.prepare import main


def test_a_check_prints_json_and_finds_pointers_empty_files_and_equal_clips(
    tmp_path, facs_root, capsys
):
    video = next(facs_root.rglob("*.avi"))
    for name in ("s1/an1.avi", "s2/an1.avi"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(video, tmp_path / name)
    (tmp_path / "s1/fe1.avi").write_bytes(b"")
    (tmp_path / "s1/sa1.avi").write_text("version https://git-lfs.github.com/spec/v1\n")
    argv = ["--data.corpus", "rml", "--data.root", str(tmp_path), "--check"]
    assert main([*argv, "--json", "--deep"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [name for name, _ in found["unreadable"]] == ["s1/fe1", "s1/sa1"]
    assert found["doubtful"] == [["s1/an1", "the same content as s2/an1"]]
    assert main(argv) == 1
    assert "git-lfs" in capsys.readouterr().out
