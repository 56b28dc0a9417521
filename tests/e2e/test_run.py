"""`keymoat run`: what a command keeps (codes, signals, terminal, input, files) and what it may name."""

import configparser
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import yaml

from support import binary, needs_namespaces

KEYMOAT = binary("KEYMOAT_BIN", "keymoat")
pytestmark = needs_namespaces


@pytest.fixture
def place(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    return tmp_path


def variables(place, **more):
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(place / "home"), **more}


def run(place, *arguments, work="work", env=None, **options):
    """`keymoat run` in a folder; the arguments are ours up to `--`, else the command's."""
    arguments = arguments if "--" in arguments else ["--", *arguments]
    return subprocess.run(
        [KEYMOAT, "run", *map(str, arguments)],
        cwd=place / work,
        env=env or variables(place),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_exit_codes_are_the_commands(place):
    for code in (0, 1, 77, 255):
        assert run(place, "sh", "-c", f"exit {code}").returncode == code
    assert run(place, "no-such-command").returncode == 127
    (place / "work/data.txt").write_text("x")
    assert run(place, "./data.txt").returncode == 126
    assert run(place, "--read", place / "nowhere", "--", "true").returncode == 125


def test_a_signal_ends_the_launcher_as_it_ended_the_command(place):
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGABRT):
        assert run(place, "sh", "-c", f"kill -{int(number)} $$").returncode == -number


def test_signals_to_the_launcher_reach_the_command(place):
    script = "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    launched = subprocess.Popen(
        [KEYMOAT, "run", "-q", "--", "sh", "-c", script],
        cwd=place / "work",
        env=variables(place),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert launched.stdout.readline() == "ready\n"
    launched.terminate()
    assert launched.communicate(timeout=20)[0] == "got\n"
    assert launched.returncode == 9


def test_nothing_outlives_a_launcher_that_is_killed(place):
    launched = subprocess.Popen(
        [KEYMOAT, "run", "-q", "--", "sh", "-c", "date > alive; echo ready; while :; do date +%s%N > alive; sleep 0.05; done"],
        cwd=place / "work",
        env=variables(place),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert launched.stdout.readline() == "ready\n"
    launched.kill()
    launched.wait()
    time.sleep(0.3)
    before = (place / "work/alive").read_text()
    time.sleep(0.3)
    assert (place / "work/alive").read_text() == before


def test_background_processes_end_with_the_command(place):
    ran = run(place, "sh", "-c", "(while :; do date +%s%N > alive; sleep 0.05; done) & sleep 0.3; exit 5")
    assert ran.returncode == 5
    before = (place / "work/alive").read_text()
    time.sleep(0.4)
    assert (place / "work/alive").read_text() == before


def test_input_and_output_are_passed_through(place):
    text = "".join(f"{number}\n" for number in range(100_000))
    ran = run(place, "cat", input=text)
    assert ran.stdout == text


def on_terminal(place, script, typed=b""):
    """Runs a script on a terminal of its own; returns what was shown, and the status.

    What is to be typed is typed as soon as the script says `ready`."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(place / "work")
        os.execve(KEYMOAT, [KEYMOAT, "run", "-q", "--", "sh", "-c", script], variables(place))
    shown = b""
    try:
        while piece := os.read(terminal, 4096):
            shown += piece
            if typed and b"ready" in shown:
                os.write(terminal, typed)
                typed = b""
    except OSError:
        pass  # the other end is closed
    return shown.decode(), os.waitpid(child, 0)[1]


def test_a_terminal_stays_a_terminal(place):
    shown, status = on_terminal(place, "test -t 0 && test -t 1 && tty && stty rows 33 cols 99 && stty size")
    assert shown.split() == ["/dev/console", "33", "99"] and status == 0
    shown, _ = on_terminal(place, "echo ready; read line; echo \"<$line>\"", b"typed\n")
    assert "<typed>" in shown


def test_control_c_reaches_the_command_once(place):
    script = "trap 'echo interrupted' INT; echo ready; sleep 1 & wait; wait; exit 3"
    # Once in some hundred runs, on a busy machine, nothing was shown; why is not known.
    for _ in range(3):
        shown, status = on_terminal(place, script, b"\x03")
        assert shown.count("interrupted") <= 1
        if "interrupted" in shown:
            break
    assert "interrupted" in shown and os.waitstatus_to_exitcode(status) == 3


def test_files_are_read_only_but_for_the_working_directory(place):
    (place / "elsewhere").mkdir()
    (place / "elsewhere/file").write_text("seen")
    (place / "home/notes.txt").write_text("private")
    script = f"""
        echo here > made
        echo lost > ~/lost; echo lost > /tmp/lost; echo lost > /var/tmp/lost
        for path in /x /etc/x /usr/x {place}/x; do echo bad > $path; done 2>/dev/null
        cat ~/notes.txt {place}/elsewhere/file 2>/dev/null
    """
    ran = run(place, "sh", "-c", script)
    assert ran.stdout == "" and (place / "work/made").read_text() == "here\n"
    assert not (place / "home/lost").exists() and not os.path.exists("/tmp/lost")
    assert run(place, "--read", place / "elsewhere", "--", "cat", "../elsewhere/file").stdout == "seen"
    assert run(place, "--read", place / "elsewhere", "--", "sh", "-c", "echo x > ../elsewhere/file").returncode != 0
    assert run(place, "--write", place / "elsewhere", "--", "sh", "-c", "echo x > ../elsewhere/new").returncode == 0
    assert (place / "elsewhere/new").read_text() == "x\n"


def test_a_home_as_working_directory_is_read_only_and_its_secrets_are_hidden(place):
    (place / "home/.ssh").mkdir()
    (place / "home/.ssh/id_rsa").write_text("private")
    (place / "home/.env").write_text("private")
    (place / "home/notes.txt").write_text("seen")
    ran = run(place, "sh", "-c", "cat .env .ssh/id_rsa notes.txt; echo x > new", work="home")
    assert ran.stdout == "seen" and not (place / "home/new").exists()


def test_what_starts_by_itself_stays_read_only_in_a_writable_home(place):
    (place / "home/.config/systemd").mkdir(parents=True)
    (place / "home/.bashrc").write_text("old")
    script = "echo bad >> ~/.bashrc; echo bad > ~/.config/systemd/x; rm -f ~/.bashrc; mv ~/.config ~/moved; echo good > ~/new"
    run(place, "--write", place / "home", "--", "sh", "-c", script)
    assert (place / "home/.bashrc").read_text() == "old" and (place / "home/.config/systemd").is_dir()
    assert list((place / "home/.config/systemd").iterdir()) == [] and (place / "home/new").read_text() == "good\n"


def test_hooks_of_a_project_stay_read_only(place):
    (place / "work/.git/hooks").mkdir(parents=True)
    (place / "work/.git/config").write_text("[core]\n")
    (place / "work/.vscode").mkdir()
    script = "echo x > .git/hooks/pre-commit; echo x > .git/config; echo x > .vscode/tasks.json; mv .git gone; echo x > .git/fine"
    run(place, "sh", "-c", script)
    files = sorted(str(p.relative_to(place / "work")) for p in (place / "work").rglob("*") if p.is_file())
    assert files == [".git/config", ".git/fine"] and (place / "work/.git/config").read_text() == "[core]\n"


def test_variables_lose_secrets_and_gain_the_proxy(place):
    env = variables(place, OPENAI_API_KEY="secret", FINE="yes", KEPT_TOKEN="token", HTTPS_PROXY="http://old:1")
    ran = run(place, "--env", "KEPT_TOKEN", "--", "env", env=env)
    given = dict(line.split("=", 1) for line in ran.stdout.splitlines())
    assert given["FINE"] == "yes" and given["KEPT_TOKEN"] == "token" and "OPENAI_API_KEY" not in given
    assert given["HTTPS_PROXY"] == "http://127.0.0.1:3128"
    assert "1 variables left out" in ran.stderr


def test_the_environment_of_the_launcher_is_not_in_its_childrens_proc(place):
    env = variables(place, OPENAI_API_KEY="secret-in-environ")
    ran = run(place, "sh", "-c", "cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'", env=env)
    assert "secret-in-environ" not in ran.stdout


def test_a_dry_run_says_what_would_be_and_runs_nothing(place):
    (place / "work/.env").write_text("A=1")
    ran = run(place, "--dry-run", "--allow", "index.example", "--", "touch", "made")
    assert ran.returncode == 0 and not (place / "work/made").exists()
    assert "index.example" in ran.stdout and str(place / "work/.env") in ran.stdout


def test_full_protection_can_be_required(place):
    assert run(place, "--require", "full", "--", "true").returncode == 0
    ran = run(place, "--require", "full", "--landlock-abi-max", "3", "--", "touch", "made")
    assert ran.returncode == 125 and "landlock devices" in ran.stderr and not (place / "work/made").exists()


@pytest.mark.parametrize("abi", [1, 3, 4])
def test_older_landlock_still_confines_and_says_what_is_missing(place, abi):
    ran = run(place, "--landlock-abi-max", abi, "--", "sh", "-c", "echo x > made; echo x > /etc/x; echo x > ~/x")
    assert (place / "work/made").exists() and "missing: landlock" in ran.stderr


@pytest.mark.parametrize(
    "rule",
    ["*.com", "*.github.io", "*", "1.2.3.4", "[::1]", "api.openai.com", "*.anthropic.com", "a.example:0", "a.example.", "a.example@10.0.0.1/8"],
)
def test_rules_that_allow_too_much_are_refused(place, rule):
    ran = run(place, "--allow", rule, "--", "touch", "made")
    assert ran.returncode == 2 and not (place / "work/made").exists()


@pytest.mark.parametrize("path", ["/", "/proc", "/run", "/dev"])
def test_some_places_cannot_be_given(place, path):
    assert run(place, "--read", path, "--", "true").returncode == 125


def test_descriptors_of_the_caller_are_closed(place):
    (place / "secret").write_text("private")
    with open(place / "secret") as opened:
        os.set_inheritable(opened.fileno(), True)
        number = opened.fileno()
        ran = run(place, "sh", "-c", f"ls /proc/self/fd; cat <&{number}", close_fds=False)
    assert "private" not in ran.stdout


def test_sockets_of_other_programs_are_hidden(place):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "work/agent.sock"))
        listener.listen()
        script = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('agent.sock')"
        ran = run(place, sys.executable, "-c", script)
    assert "ConnectionRefusedError" in ran.stderr or "PermissionError" in ran.stderr


def test_the_log_is_a_chain_that_only_its_owner_reads(place):
    log = place / "log.jsonl"
    script = "import urllib.request as u\nfor host in 'abc':\n try: u.urlopen(f'https://{host}.test/')\n except OSError: pass"
    ran = run(place, "--log", log, "--", sys.executable, "-c", script)
    assert "refused 3 attempts" in ran.stderr and log.stat().st_mode & 0o777 == 0o600
    import hashlib

    previous = "0" * 64
    for line in log.read_text().splitlines():
        text, hashed = re.fullmatch(r'(.*),"hash":"([0-9a-f]{64})"\}', line).groups()
        assert json.loads(line)["prev"] == previous
        assert hashlib.sha256((text + "}").encode()).hexdigest() == hashed
        previous = hashed


def test_a_log_is_not_overwritten(place):
    log = place / "log.jsonl"
    log.write_text("old\n")
    ran = run(place, "--log", log, "--", "true")
    assert ran.returncode == 125 and log.read_text() == "old\n"


def test_a_command_starts_almost_as_fast(place):
    def fastest_ms(command):
        times = []
        for _ in range(15):
            started = time.perf_counter()
            subprocess.run(command, cwd=place / "work", env=variables(place), capture_output=True, check=True)
            times.append((time.perf_counter() - started) * 1000)
        return min(times)

    added = fastest_ms([KEYMOAT, "run", "-q", "--", "true"]) - fastest_ms(["true"])
    print(f"keymoat run adds {added:.1f} ms")
    # About 20 ms on an idle machine; other programs may run beside this one.
    assert added < 90


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_a_port_is_reached_from_outside_only_if_it_is_published(place):
    published, private = free_port(), free_port()
    (place / "work/index.html").write_text("served from inside")
    script = (
        "import http.server as h, threading\n"
        f"servers = [h.ThreadingHTTPServer(('127.0.0.1', port), h.SimpleHTTPRequestHandler) for port in ({private}, {published})]\n"
        "[threading.Thread(target=server.serve_forever).start() for server in servers]"
    )
    launched = subprocess.Popen(
        [KEYMOAT, "run", "-q", "--publish", str(published), "--", sys.executable, "-c", script],
        cwd=place / "work",
        env=variables(place),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        text = ""
        while not text and time.monotonic() < deadline:
            try:
                text = urllib.request.urlopen(f"http://127.0.0.1:{published}/", timeout=5).read().decode()
            except OSError:
                time.sleep(0.1)
        assert text == "served from inside"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", private))
    finally:
        launched.terminate()
        launched.wait(20)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", published))


def test_a_taken_port_is_said_before_anything_runs(place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = run(place, "--publish", taken.getsockname()[1], "--", "touch", "made")
    assert ran.returncode == 125 and "publishing" in ran.stderr and not (place / "work/made").exists()


def test_a_mistyped_option_is_no_command(place):
    ran = run(place, "--alow", "index.example", "touch", "--", "made")
    assert ran.returncode == 2 and "--alow" in ran.stderr
    ran = subprocess.run([KEYMOAT, "run", "-q", "sh", "-c", "echo $0 $1", "-x", "--", "y"], capture_output=True, text=True, cwd=place / "work", env=variables(place), check=False)
    assert ran.stdout == "-x --\n"


def test_settings_of_other_tools_are_printed_and_nothing_runs(place):
    def printed(tool):
        ran = run(place, "--print", tool, "--allow", "index.example", "--publish", 8000, "--", "touch", "made", "a $x \"y\"")
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    compose = yaml.safe_load(printed("compose"))
    assert compose["networks"]["inside"]["internal"] is True and compose["services"]["app"]["networks"] == ["inside"]
    assert compose["services"]["app"]["command"] == ["touch", "made", 'a $$x "y"']
    policy = yaml.safe_load(printed("networkpolicy"))
    assert policy["kind"] == "NetworkPolicy" and len(policy["spec"]["egress"]) == 1
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(printed("systemd"))
    wanted = '--allow index.example --publish 127.0.0.1:8000 -- touch made "a $$x \\"y\\""'
    assert unit["Service"]["ExecStart"].endswith(wanted) and unit["Service"]["WorkingDirectory"] == str(place / "work")
    assert 'meta skuid "app" counter reject' in printed("nftables")
    assert not (place / "work/made").exists()
