"""What several ranks say and write together.  usage: BATON=build/release/baton [BATON_MPI=1] ranks_test.py"""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from tiny_training import BATON, ENVIRONMENT, MODEL, ROOT, TinyTraining

MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
on_processes = unittest.skipUnless(os.environ.get("BATON_MPI") == "1", "built without MPI")


def run(*words):
    return subprocess.run([str(word) for word in words], cwd=ROOT, env=ENVIRONMENT | MPI, capture_output=True, text=True, timeout=300, check=False)


class Ranks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.training = TinyTraining(cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def assert_said_once(self, text, *commands):
        for command in commands:
            done = run(*command)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr.count(text), 1, f"{command}: {done.stderr}")

    def test_a_warning_of_the_prompt_is_given_once(self):
        draw = (BATON, "generate", "a (red:1.3) apple", "--model", MODEL, "--size", "32x32", "--steps", 1, "-o", self.folder / "drawn")
        self.assert_said_once('"(red:1.3)" is drawn as words', (*draw, "--mesh", "tp=2"), (*draw, "--mesh", "dp=2", "--count", 4))
        long = (BATON, "generate", "apple " * 100, *draw[3:])
        self.assert_said_once("the prompt is longer than", (*long, "--mesh", "tp=2"), (*long, "--text-ranks", 2))

    def test_a_note_on_the_data_set_is_given_once(self):
        data = self.folder / "with_note"
        shutil.copytree(self.training.folder / "data", data)
        (data / "lost.txt").write_text("of no picture")
        evaluate = (BATON, "evaluate", MODEL, "--data", data, "--size", 32, "--items", 4, "--t-bins", 2)
        self.assert_said_once("no picture of that name", (*evaluate, "--ranks", 2))

    @on_processes
    def test_a_warning_of_the_model_is_given_by_one_process(self):
        model = self.folder / "model"
        shutil.copytree(MODEL, model)
        config = model / "vae/config.json"
        config.write_text(config.read_text().replace("{", '{"of_tomorrow": 1,', 1))
        draw = (BATON, "generate", "apple", "--model", model, "--size", "32x32", "--steps", 1, "-o", self.folder / "b.png")
        self.assert_said_once("of_tomorrow", (*draw, "--mesh", "tp=2"), ("mpirun", "--oversubscribe", "-n", 2, *draw, "--mesh", "tp=2"))

    @on_processes
    def test_unequal_data_are_refused_before_anything_is_written(self):
        other = self.folder / "other"
        shutil.copytree(self.training.folder / "data", other)
        for change, key in ((lambda: (other / "3.txt").write_text("another picture"), "captions"),
                            (lambda: shutil.copy(other / "1.png", other / "2.png"), "pictures")):
            change()
            folder = self.folder / "run"
            train = self.training.command(folder, "parallel.mesh=dp=2")
            done = run("mpirun", "--oversubscribe", "-n", 1, *train, ":", "-n", 1, *train, f"data.folder={other}")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f"ranks 0 and 1 have different data sets: hash of the {key} is ", done.stderr)
            self.assertFalse(folder.exists(), list(folder.glob("**/*")))
            shutil.copytree(self.training.folder / "data", other, dirs_exist_ok=True)


if __name__ == "__main__":
    unittest.main()
