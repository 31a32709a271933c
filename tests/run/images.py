"""The images of ``deploy``, built by buildah and tried as a cluster runs them.

``python -m tests.run.images [--base IMAGE]`` builds each one without a daemon, and runs its programs
as the image's user on a read-only root, without capabilities, as the chart asks for: only what the
chart mounts may be written. It needs root, ten to thirty gigabytes and the packages' registry; no
other test runs it. An image that it built is removed at the end.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["IMAGES"]

REPOSITORY = Path(__file__).parents[2]
_USER = "10001"
_WRITABLE = ("/tmp", "/var/lib/flywheel")  # noqa: S108 - in the container
_REFUSED = "import sys, pathlib; pathlib.Path(sys.argv[1]).touch()"
# By Dockerfile: the programs that must end well.
IMAGES: dict[str, tuple[tuple[str, ...], ...]] = {
    "Dockerfile": (
        ("flywheel", "--help"),
        ("flywheel", "--version"),
        # The home is new in each program.
        (
            "sh",
            "-ec",
            (
                "flywheel services prepare; flywheel status; "
                "{ echo text; seq -f 'pump %g leaks at its flange' 40; } > /tmp/texts.csv; "
                "flywheel base build tiny --workload defect_reports --texts /tmp/texts.csv; "
                "flywheel doctor; "
                "dagster definitions validate --workspace workspace.yaml"
            ),
        ),
        ("mlflow", "--version"),
    ),
    "trainer.Dockerfile": (
        ("ray", "start", "--help"),
        ("flywheel", "--help"),
        ("python", "-c", "import trl, peft, bitsandbytes, flywheel.train; print('imported')"),
    ),
}
# In namespaces of its own: what is mounted is gone with the process.
_RUN = """
set -e
root=$1; shift; folder=$1; shift
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for each in WRITABLE; do mount -t tmpfs -o mode=0777 tmpfs "$root$each"; done
exec chroot "$root" setpriv --reuid USER --regid USER --clear-groups --bounding-set=-all \
  --no-new-privs -- sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
""".replace("WRITABLE", " ".join(_WRITABLE)).replace("USER", _USER)


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _build(file: str, base: str | None) -> str:
    tag = f"flywheel-try-{file.partition('.')[0].lower()}"
    options = [] if base is None else ["--build-arg", f"BASE={base}"]
    command = [
        "buildah", "bud", "--isolation", "chroot", "--network", "host", *options,
        "--file", f"deploy/{file}", "--tag", tag, ".",
    ]  # fmt: skip
    subprocess.run(command, cwd=REPOSITORY, check=True)
    return tag


def _try(tag: str, programs: Sequence[Sequence[str]]) -> list[str]:
    """Return what did not end as it should."""
    config = json.loads(_said("buildah", "inspect", "--type", "image", tag))["OCIv1"]["config"]
    environment = dict(one.split("=", 1) for one in config["Env"])
    container = _said("buildah", "from", tag)
    failed = [] if config["User"].split(":")[0] == _USER else [f"its user is {config['User']}"]
    try:
        root = _said("buildah", "mount", container)
        given = [
            "unshare", "--mount", "--pid", "--ipc", "--uts", "--net", "--fork", "sh", "-c", _RUN,
            "sh", root, config["WorkingDir"],
        ]  # fmt: skip
        refused = [("python", "-c", _REFUSED, path) for path in ("/new", "/opt/flywheel/new")]
        for program in [*programs, *refused]:
            done = subprocess.run(
                [*given, *program], check=False, capture_output=True, text=True, env=environment
            )
            well = (done.returncode == 0) is (program not in refused)
            print(f"{tag}: {' '.join(program)}: {'as it should' if well else 'NOT as it should'}")  # noqa: T201
            if not well:
                failed.append(f"{' '.join(program)}: {(done.stdout + done.stderr)[-2000:]}")
    finally:
        _said("buildah", "rm", container)
    return failed


def main() -> int:
    """Build and try each image; return 1 where something fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", help="instead of the image that the Dockerfiles name")
    parser.add_argument("--only", choices=IMAGES, help="one of the Dockerfiles")
    parser.add_argument("--built", help="try this image, which is there; nothing is built")
    options = parser.parse_args()
    failed: list[str] = []
    for file in [options.only] if options.only else IMAGES:
        tag = options.built or _build(file, options.base)
        failed += _try(tag, IMAGES[file])
        if options.built is None:
            _said("buildah", "rmi", tag)
    print("\n".join(failed) or "every image does what it should")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
