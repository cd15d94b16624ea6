"""What a run needs around the peers: packages, an unprivileged user, a work folder, the facts of
the machine."""

import dataclasses
import os
import platform
import pwd
import re
import shutil
import subprocess
import tempfile

# Program -> Debian package. Programs of the harness first, then those of the peers.
CLIENT_PACKAGES = {"iperf3": "iperf3", "wrk": "wrk", "nginx": "nginx-light", "ip": "iproute2"}
PEER_PACKAGES = {
    "rootlesskit": "rootlesskit",
    "slirp4netns": "slirp4netns",
    "newuidmap": "uidmap",
    "pasta": "passt",
    "haproxy": "haproxy",
    "socat": "socat",
}
# The network drivers' own, which tests/deps.sh installs.
NETWORK_PACKAGES = ("dnsmasq-base", "liblxc-common", "libvdeplug-slirp", "vdeplug")
TUN_DEVICE = "/dev/net/tun"
CHART_PACKAGE = "python3-matplotlib"

os.environ["PATH"] += ":/usr/sbin:/sbin"  # nginx, haproxy and useradd for unprivileged callers


def have_chart_library():
    # Debian's python3 carries its own matplotlib; asking it avoids the cost of an import here.
    return os.path.isdir("/usr/lib/python3/dist-packages/matplotlib")


def missing_packages():
    wanted = {**CLIENT_PACKAGES, **PEER_PACKAGES}
    missing = sorted({package for name, package in wanted.items() if not shutil.which(name)})
    return missing + ([] if have_chart_library() else [CHART_PACKAGE])


def install_missing_packages(say):
    """Installs what is missing with apt, through sudo when not root, after saying so."""
    missing = missing_packages()
    if not missing:
        return
    say(f"installing Debian packages: {' '.join(missing)}")
    # RUNLEVEL=1 keeps the packages' services (nginx, haproxy) from being started.
    command = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-y", "-qq"]
    if os.geteuid() != 0:
        command.insert(0, "sudo")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command + ["update"], check=False, **quiet)
    for package in missing:
        done = subprocess.run(
            command + ["install", "--no-install-recommends", package], check=False, **quiet
        )
        if done.returncode != 0:
            say(f"package {package} could not be installed; what needs it will be reported missing")


def open_tun_device(say):
    """Gives /dev/net/tun the mode that udev gives it: where udev does not run, only root can open
    it, and no rootless network starts."""
    if os.geteuid() == 0 and os.path.exists(TUN_DEVICE):
        if os.stat(TUN_DEVICE).st_mode & 0o666 != 0o666:
            say(f"{TUN_DEVICE} is not open to users; setting udev's mode 0666 (it stays)")
            os.chmod(TUN_DEVICE, 0o666)


@dataclasses.dataclass(frozen=True)
class User:
    name: str
    uid: int
    gid: int
    home: str


class Workspace:
    """The work folder and the user that peers run as. A context manager: both go at the end.

    As root a throw-away user is made (useradd gives it a sub-id range); otherwise the caller is
    the user.
    """

    def __init__(self):
        self.user = None
        self.folder = None
        self.made_user = False

    def __enter__(self):
        try:
            self.folder = tempfile.mkdtemp(prefix="rk-bench-", dir="/tmp")
            self.user = self.make_user() if os.geteuid() == 0 else self.calling_user()
            os.chmod(self.folder, 0o755)
            os.chown(self.folder, self.user.uid, self.user.gid)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.made_user:
            subprocess.run(["userdel", self.made_user], check=False, stderr=subprocess.DEVNULL)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def make_user(self):
        name = f"rkbench{os.getpid()}"
        home = os.path.join(self.folder, "home")
        subprocess.run(
            ["useradd", "--no-log-init", "--create-home", "--home-dir", home, "-k", "", name],
            check=True,
        )
        self.made_user = name
        entry = pwd.getpwnam(name)
        return User(name, entry.pw_uid, entry.pw_gid, home)

    @staticmethod
    def calling_user():
        entry = pwd.getpwuid(os.geteuid())
        return User(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)

    def make_folder(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(path)
        os.chown(path, self.user.uid, self.user.gid)
        return path

    def environment(self, folder):
        """A plain environment for the user's processes, with a runtime folder of their own."""
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": self.user.home,
            "USER": self.user.name,
            "LOGNAME": self.user.name,
            "XDG_RUNTIME_DIR": folder,
            "LANG": "C",
        }


def first_line(*command):
    """The first line a command prints on either stream; "" when it cannot run."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0].strip() if lines else ""


def package_version(package):
    return first_line("dpkg-query", "-W", "-f=${Version}", package)


def versions(more=()):
    packages = sorted({*CLIENT_PACKAGES.values(), *PEER_PACKAGES.values(), *more})
    known = {package: package_version(package) for package in packages}
    return {package: text for package, text in known.items() if text[:1].isdigit()}


def read_setting(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def processor_name():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        found = re.search(r"^model name\s*: (.*)$", file.read(), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def memory_gb():
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def machine_facts():
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "memory_gb": memory_gb(),
        "kernel": platform.release(),
        "system": first_line("sh", "-c", ". /etc/os-release && echo $PRETTY_NAME"),
        "congestion_control": read_setting("/proc/sys/net/ipv4/tcp_congestion_control"),
        "load_average_at_start": os.getloadavg()[0],
    }


def source_version():
    """The commit of this tree, marked when files differ from it; "unknown" outside git."""
    git = ["git", "-C", os.path.dirname(os.path.abspath(__file__))]
    quiet = {"capture_output": True, "text": True, "check": False}
    try:
        commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], **quiet)
        changes = subprocess.run([*git, "status", "--porcelain", "-uno"], **quiet)
    except OSError:
        return "unknown"
    if commit.returncode != 0:
        return "unknown"
    return commit.stdout.strip() + ("-changed" if changes.stdout else "")
