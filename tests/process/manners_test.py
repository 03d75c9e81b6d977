"""How the whole program behaves towards its surroundings: signals, full disks, closed streams, terminals.  usage: BATON=build/release/baton manners_test.py"""

import fcntl
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from tiny_training import BATON, ENVIRONMENT, MODEL, ROOT, TinyTraining

FULL = "/dev/full"
LIMIT = 300  # seconds, on a busy machine


def baton(*words, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "cwd": ROOT, "env": ENVIRONMENT, **options}
    return subprocess.run([str(BATON), *map(str, words)], timeout=LIMIT, check=False, text=True, **options)


def draw(*words, **options):
    return baton("generate", "red apple", "--model", MODEL, "--size", "32x32", "--steps", 1, *words, **options)


def end(process):
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


class Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.training = TinyTraining(cls.scratch.name)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.scratch.name))

    def start_training(self, *assignments, **options):
        """A training that would go on for hours, after its first line of metrics."""
        run = self.folder / "run"
        command = self.training.command(run, "steps=1000000", "checkpoint.every=0", "validation.every=0", *assignments)
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(command + ["--progress", "none"], cwd=ROOT, env=ENVIRONMENT, text=True, **options)
        self.addCleanup(end, process)
        deadline = time.monotonic() + LIMIT
        metrics = run / "metrics.jsonl"
        while not (metrics.exists() and metrics.stat().st_size > 0):
            self.assertIsNone(process.poll())
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        return process, run

    def assert_saved(self, process, run):
        output = process.communicate(timeout=LIMIT)
        self.assertEqual(process.returncode, 130, output)
        self.assertEqual(len(list(run.glob("step-*/manifest.json"))), 1)

    def assert_alive(self, process, seconds=1.5):
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)


class Signals(Test):
    def test_every_signal_that_ends_a_program_saves(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU):
            with self.subTest(signal=number.name):
                shutil.rmtree(self.folder / "run", ignore_errors=True)
                process, run = self.start_training()
                process.send_signal(number)
                self.assert_saved(process, run)

    def test_signals_that_come_in_numbers_still_save(self):
        process, run = self.start_training()
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            process.send_signal(number)
        self.assert_saved(process, run)

    def test_a_second_interrupt_ends_at_once(self):
        process = subprocess.Popen([str(BATON), "generate", "--model", str(MODEL), "--prompt-file", "-"], env=ENVIRONMENT, cwd=self.folder,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(end, process)
        deadline = time.monotonic() + LIMIT
        status = pathlib.Path(f"/proc/{process.pid}/status")
        while not int(re.search(r"SigCgt:\s*(\w+)", status.read_text())[1], 16) & 1 << (signal.SIGINT - 1):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        self.assert_alive(process)  # it waits for its prompt
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=LIMIT), 130)
        self.assertIn("Ctrl-C again", process.stderr.read())

    def test_nohup_is_obeyed(self):
        process, run = self.start_training(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        process.send_signal(signal.SIGHUP)
        self.assert_alive(process)
        process.send_signal(signal.SIGTERM)
        self.assert_saved(process, run)

    def test_generate_says_how_many_pictures_there_are(self):
        process = subprocess.Popen([str(BATON), "generate", "red apple", "--model", str(MODEL), "--count", "1000", "-o", str(self.folder / "out")],
                                   env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(end, process)
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=LIMIT)
        self.assertEqual(process.returncode, 130)
        drawn = len(list((self.folder / "out").glob("*.png")))
        self.assertIn(f"stopped: {drawn} of 1000 pictures are drawn", log)


class Streams(Test):
    def test_a_training_lives_without_its_log(self):
        for how, closed in (("full disk", lambda: os.dup2(os.open(FULL, os.O_WRONLY), 2)), ("closed", lambda: os.close(2))):
            with self.subTest(how):
                run = self.folder / how.replace(" ", "_")
                done = subprocess.run(self.training.command(run, "steps=4") + ["--progress", "json"], cwd=ROOT, env=ENVIRONMENT,
                                      preexec_fn=closed, stdout=subprocess.PIPE, timeout=LIMIT, check=False)
                self.assertEqual(done.returncode, 0)
                self.assertTrue((run / "model/model_index.json").exists())

    def test_a_training_lives_when_the_reader_of_its_log_ends(self):
        process, run = self.start_training()
        process.stdout.close()
        process.stderr.close()
        process.send_signal(signal.SIGHUP)
        self.assertEqual(process.wait(timeout=LIMIT), 130)
        self.assertEqual(len(list(run.glob("step-*/manifest.json"))), 1)

    def test_a_training_lives_when_its_terminal_is_gone(self):
        outer, inner = pty.openpty()
        process, run = self.start_training(stdout=inner, stderr=inner)
        os.close(inner)
        os.close(outer)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        self.assert_saved(process, run)

    def test_pictures_are_worth_more_than_the_log(self):
        with open(FULL, "w", encoding="ascii") as full:
            for mode in ("json", "bar", "auto"):
                self.assertEqual(draw("-o", self.folder / "a.png", "--progress", mode, stderr=full).returncode, 0)
        self.assertTrue((self.folder / "a.png").stat().st_size > 0)

    def test_output_that_is_lost_is_an_error(self):
        config = ["--config", ROOT / "configs/test/tiny_vae.yaml"]
        for words in (["inspect", MODEL], ["--help"], ["generate", "--help"], ["--version"], ["train", *config, "--print-config"],
                      ["dataset", self.training.folder / "data", "--size", 32], ["plan", ROOT / "configs/plan/wan2.2-a14b.yaml", "--machine",
                      ROOT / "configs/machines/h100-80g.yaml", "--ranks", 8]):
            with self.subTest(words=words[0]), open(FULL, "w", encoding="ascii") as full:
                done = baton(*words, stdout=full)
                self.assertEqual((done.returncode, "standard output" in done.stderr), (1, True), done.stderr)
            with self.subTest(closed=words[0]):
                self.assertEqual(baton(*words, preexec_fn=lambda: os.close(1)).returncode, 1)
            self.assertEqual(baton(*words).returncode, 0)

    def test_pictures_are_drawn_when_their_names_are_lost(self):
        with open(FULL, "w", encoding="ascii") as full:
            done = draw("-o", self.folder / "out", "--count", 3, "--json", stdout=full)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(list((self.folder / "out").glob("*.png"))), 3)

    def test_closed_streams_are_no_files(self):
        for stream in (0, 1, 2):
            draw("-o", self.folder / "a.png", "--seed", 3, preexec_fn=lambda: os.close(stream))
            self.assertEqual((self.folder / "a.png").read_bytes()[:4], b"\x89PNG")

    def test_a_file_size_limit_is_an_error_with_words(self):
        done = baton(*self.training.command(self.folder / "run")[1:], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)))
        self.assertEqual(done.returncode, 1)
        self.assertIn("File too large", done.stderr)


class Memory(Test):
    def limited(self, megabytes, *words):
        return baton(*words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20)))

    def test_memory_that_runs_out_is_an_error_with_words(self):
        least = next((limit for limit in range(100, 2000, 10) if self.limited(limit, "--version").returncode == 0), None)
        if least is None:
            self.skipTest("sanitizers take more")
        run = self.folder / "run"
        draw_one = ("generate", "red apple", "--model", MODEL, "--size", "512x512", "--steps", 1, "-o", self.folder / "a.png")
        for words, result in ((draw_one, self.folder / "a.png"), (self.training.command(run)[1:], run / "model")):
            failed = 0
            for limit in range(least + 10, least + 1000, 20):
                done = self.limited(limit, *words, "--threads", 1)
                if done.returncode == 0:
                    break
                failed += 1
                self.assertEqual(done.returncode, 1, f"{limit} MB: {done.stderr}")
                self.assertRegex(done.stderr, r"error: .*(out of memory|Cannot allocate memory)")
                self.assertFalse(result.exists())
            self.assertTrue(result.exists(), done.stderr)
            self.assertGreater(failed, 0)


class Folders(Test):
    def test_one_training_a_folder(self):
        process, run = self.start_training()
        second = baton(*self.training.command(run)[1:])
        self.assertEqual(second.returncode, 2)
        self.assertIn(f"process {process.pid} on ", second.stderr)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertTrue((run / ".lock").exists())
        self.assertEqual(baton(*self.training.command(run)[1:]).returncode, 0)
        self.assertFalse((run / ".lock").exists())

    def test_what_cannot_be_written_is_said_before_the_work(self):
        (self.folder / "file").write_text("x")
        (self.folder / "circle.png").symlink_to("circle.png")
        long = self.folder / ("x" * 252 + ".png")
        for out in ("missing/a.png", "file/a.png", "file/folder", "circle.png", "circle.png/folder", "missing/a.PNG", "a.GIF", "a.Jpeg", "a.TIFF",
                    "a.avif", long):
            with self.subTest(out=str(out)[:200]):
                done = draw("-o", self.folder / out)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertNotIn("filesystem error", done.stderr)
        done = baton(*self.training.command(self.folder / "file/run")[1:])
        self.assertEqual(done.returncode, 2)
        self.assertNotIn("filesystem error", done.stderr)

    def test_a_working_folder_that_is_deleted(self):
        gone = self.folder / "gone"
        delete = lambda: (gone.mkdir(), os.chdir(gone), gone.rmdir())
        absolute = baton("generate", "x", "--size", "32x32", "--steps", 1, "-o", self.folder / "a.png", cwd="/", preexec_fn=delete)
        self.assertEqual(absolute.returncode, 0, absolute.stderr)
        relative = baton("generate", "x", "--size", "32x32", "--steps", 1, cwd="/", preexec_fn=delete)
        self.assertEqual(relative.returncode, 2)
        self.assertNotIn("filesystem error", relative.stderr)

    def test_nothing_is_overwritten_in_silence(self):
        for _ in range(3):
            self.assertEqual(draw(cwd=self.folder).returncode, 0)
        for _ in range(2):
            self.assertEqual(draw("--seed", 7, "--count", 2, cwd=self.folder).returncode, 0)
        names = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*.png"))
        self.assertEqual(names, ["picture-2.png", "picture-3.png", "picture.png", "pictures/7-0-2.png", "pictures/7-0.png", "pictures/8-1-2.png",
                                 "pictures/8-1.png"])
        self.assertEqual(len({path.read_bytes() for path in self.folder.glob("picture*.png")}), 3)  # other seeds

    def test_two_programs_draw_into_one_folder(self):
        programs = [subprocess.Popen([str(BATON), "generate", "red apple", "--model", str(MODEL), "--size", "32x32", "--steps", "1", "--count", "12",
                                      "--seed", "1", *out], cwd=self.folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    for out in ([], [], ["-o", "pictures"])]
        for program in programs:
            self.assertEqual((program.communicate(timeout=LIMIT), program.returncode)[1], 0)
        pictures = list((self.folder / "pictures").iterdir())
        self.assertEqual(len(pictures), 36)


class Terminals(Test):
    def on_a_terminal(self, columns, words, **environment):
        outer, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([str(BATON), *map(str, words)], stdout=inner, stderr=inner, stdin=subprocess.DEVNULL, cwd=self.folder,
                                   env={**ENVIRONMENT, "TERM": "xterm", **environment})
        self.addCleanup(end, process)
        os.close(inner)
        text = b""
        try:
            while block := os.read(outer, 1 << 16):
                text += block
        except OSError:  # how Linux says that the other side is closed
            pass
        os.close(outer)
        self.assertEqual(process.wait(timeout=LIMIT), 0, text)
        return text.decode()

    def draw_on_a_terminal(self, columns, **environment):
        return self.on_a_terminal(columns, ["generate", "red apple", "--model", MODEL, "--size", "64x64", "--steps", 10, "--count", 3, "--seed", 5,
                                            "-o", "out"], **environment)

    def test_the_bar_fits_and_paths_stand_alone(self):
        for columns in (30, 40, 80, 200):
            with self.subTest(columns=columns):
                shutil.rmtree(self.folder / "out", ignore_errors=True)
                text = self.draw_on_a_terminal(columns)
                drawn = [part for line in text.split("\n") for part in re.split(r"\r(?!$)", line) if part]
                self.assertTrue(any("generate 30/30" in part for part in drawn))
                for part in drawn:
                    self.assertLess(len(re.sub(r"\x1b\[[0-9;]*[mK]|\r", "", part)), columns)
                # what the terminal shows at the end: text after the last "erase"
                shown = [re.split(r"\r|\x1b\[K", line.rstrip("\r"))[-1] for line in text.split("\n")]
                self.assertEqual([line for line in shown if line], ["out/5-0.png", "out/6-1.png", "out/7-2.png"])

    def test_a_dumb_terminal_gets_plain_lines(self):
        text = self.draw_on_a_terminal(80, TERM="dumb", COLORTERM="truecolor")
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\r", text.replace("\r\n", "\n"))

    def test_no_color_is_obeyed(self):
        for environment, coloured in (({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({}, True)):
            outer, inner = pty.openpty()
            done = baton("inspect", "/nowhere", stderr=inner, env={**ENVIRONMENT, "TERM": "xterm", **environment})
            os.close(inner)
            self.assertEqual(done.returncode, 2)
            self.assertEqual("\x1b[31m" in os.read(outer, 4096).decode(), coloured)
            os.close(outer)


class Numbers(Test):
    def test_seeds_are_random_printed_and_stored(self):
        seeds = set()
        for words in ([], ["--seed", -1], []):
            done = draw("--json", *words, cwd=self.folder)
            seed = json.loads(done.stdout)["seed"]
            self.assertIn(f"seed {seed}", done.stderr)
            self.assertIn(f"Seed: {seed},", baton("inspect", json.loads(done.stdout)["path"], "--json", cwd=self.folder).stdout +
                          (self.folder / json.loads(done.stdout)["path"]).read_bytes().decode("latin-1"))
            seeds.add(seed)
        self.assertEqual(len(seeds), 3)
        self.assertEqual(draw("--seed", 2**63 - 1, "--count", 2, cwd=self.folder).returncode, 2)
        self.assertEqual(draw("--seed", 2**63 - 1, cwd=self.folder).returncode, 0)
        self.assertEqual(draw("--seed", -2, cwd=self.folder).returncode, 2)

    def test_threads_have_a_range(self):
        for command in (self.training.command(self.folder / "run"), [str(BATON), "generate", "red apple", "--model", str(MODEL)]):
            for threads in ("-3", "99999999999", "many"):
                with self.subTest(command=command[1], threads=threads):
                    done = baton(*command[1:], "--threads", threads)
                    self.assertEqual(done.returncode, 2, done.stderr)
                    self.assertIn(f"--threads={threads}: threads: ", done.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_prompts_come_through_pipes(self):
        pictures = []
        for text, name in (("red apple\n", "-"), ("red apple", "/dev/stdin"), ("red apple\r\n", "-")):
            done = baton("generate", "--prompt-file", name, "--model", MODEL, "--size", "32x32", "--steps", 1, "--seed", 1, "-o", self.folder / "a.png",
                         stdin=None, input=text)
            self.assertEqual(done.returncode, 0, done.stderr)
            pictures.append((self.folder / "a.png").read_bytes())
        self.assertEqual(len(set(pictures)), 1)
        self.assertEqual(draw("--seed", 1, "-o", self.folder / "a.png").returncode, 0)
        self.assertEqual((self.folder / "a.png").read_bytes(), pictures[0])
        endless = baton("generate", "--prompt-file", "/dev/zero", "--model", MODEL)
        self.assertEqual((endless.returncode, "accepted here" in endless.stderr), (2, True))


if __name__ == "__main__":
    unittest.main()
