"""What `baton` hands to the program that it starts, libexec/baton, for which a script stands in.  usage: BATON=build/release/baton launcher_test.py"""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

BATON = pathlib.Path(os.environ["BATON"])
SPINS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


class Launcher(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name) / "a folder"
        (self.folder / "libexec").mkdir(parents=True)
        self.baton = shutil.copy(BATON, self.folder / "baton")

    def starts(self, script):
        program = self.folder / "libexec/baton"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(0o755)

    def run_baton(self, *words, program=None, **variables):
        environment = {name: value for name, value in os.environ.items() if name not in SPINS} | variables
        return subprocess.run([program or self.baton, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)

    def test_threads_that_wait_sleep_soon_unless_the_user_says_how_long(self):
        self.starts('echo "${GOMP_SPINCOUNT-unset} ${OMP_WAIT_POLICY-unset}"')
        self.assertEqual(self.run_baton().stdout, "1000 unset\n")
        self.assertEqual(self.run_baton(GOMP_SPINCOUNT="7").stdout, "7 unset\n")
        self.assertEqual(self.run_baton(OMP_WAIT_POLICY="active").stdout, "unset active\n")

    def test_words_streams_and_exit_code_are_passed_on(self):
        self.starts('for word; do echo "<$word>"; done; echo said >&2; exit 42')
        done = self.run_baton("generate", "a red panda", "", "*", "--seed=3", "猫")
        self.assertEqual(done.stdout, "<generate>\n<a red panda>\n<>\n<*>\n<--seed=3>\n<猫>\n")
        self.assertEqual(done.stderr, "said\n")
        self.assertEqual(done.returncode, 42)

    def test_signals_reach_the_program_and_its_end_by_one_is_seen(self):
        self.starts('trap "exit 43" TERM; echo ready; while :; do sleep 0.05; done')
        process = subprocess.Popen([self.baton], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=60), 43)
        self.starts("kill -KILL $$")
        self.assertEqual(self.run_baton().returncode, -signal.SIGKILL)

    def test_it_is_found_through_links(self):
        self.starts("echo here")
        link = self.folder.parent / "link"
        link.symlink_to(self.baton)
        self.assertEqual(self.run_baton(program=link).stdout, "here\n")

    def test_a_program_that_is_missing_is_named(self):
        done = self.run_baton("--version")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{self.folder}/libexec/baton cannot be started: No such file", done.stderr)


if __name__ == "__main__":
    unittest.main()
