"""A training of a second for tests of the whole program: pictures, an autoencoder trained on them, and the command of a denoiser."""

import os
import pathlib
import struct
import subprocess
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BATON = pathlib.Path(os.environ.get("BATON", ROOT / "build/release/baton"))
MODEL = ROOT / "assets/model"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


def png(pixels, side):
    """RGB bytes [side, side, 3] as a PNG file."""
    rows = b"".join(b"\0" + pixels[3 * side * y:3 * side * (y + 1)] for y in range(side))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks)


class TinyTraining:
    """Below `folder`: data/ and vae/. Each call of command() is one training of a denoiser."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        data = self.folder / "data"
        data.mkdir(parents=True)
        for i in range(8):
            pixels = bytes((40 * i + 5 * k + 3 * (k // 48)) % 256 for k in range(3 * 32 * 32))
            (data / f"{i}.png").write_bytes(png(pixels, 32))
            (data / f"{i}.txt").write_text(f"picture {i}")
        self._run("tiny_vae", "checkpoint.folder=" + str(self.folder / "vae"), "steps=2", "validation.items=4")

    def _run(self, config, *assignments):
        subprocess.run(self._command(config, *assignments), cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True, timeout=300)

    def _command(self, config, *assignments):
        return [str(BATON), "train", "--config", str(ROOT / f"configs/test/{config}.yaml"), "--set", f"data.folder={self.folder / 'data'}",
                *assignments]

    def command(self, run, *assignments):
        """Trains in the folder `run`; checkpoints every two steps unless `assignments` say otherwise."""
        return self._command(
            "tiny_denoiser", f"model.vae={self.folder / 'vae/model'}", f"model.tokenizer={ROOT / 'tests/golden/t5_tokenizer'}",
            f"checkpoint.folder={run}", "steps=8", "batch=4", "log_every=1", "dtype=f32", "experts.branch_at=3", "checkpoint.every=2",
            "validation.every=4", "validation.items=2", *assignments)
