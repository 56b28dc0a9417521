//! Commands that matter, as they are given to a shell or to the system. Pure data.

/// Programs that execute what they are given.
pub(crate) fn is_interpreter(program: &str) -> bool {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
    let name = name.strip_suffix(".exe").unwrap_or(name);
    matches!(
        name,
        "sh" | "bash"
            | "zsh"
            | "dash"
            | "node"
            | "bun"
            | "deno"
            | "perl"
            | "ruby"
            | "php"
            | "powershell"
            | "pwsh"
            | "osascript"
    )
}

/// Returns true if a command fetches or sends something.
pub(crate) fn fetches(command: &str) -> bool {
    let mut words = command.split(|l: char| l.is_whitespace() || "'\";|&()`".contains(l));
    words.any(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        matches!(
            name,
            "curl"
                | "curl.exe"
                | "wget"
                | "nc"
                | "ncat"
                | "scp"
                | "Invoke-WebRequest"
                | "iwr"
                | "Invoke-RestMethod"
                | "irm"
                | "Start-BitsTransfer"
                | "bitsadmin"
        )
    }) || ["DownloadFile", "DownloadString", "DownloadData", "certutil -urlcache", "mshta http"]
        .iter()
        .any(|part| command.contains(part))
}

/// Returns true if a command executes what it fetches: `curl … | sh`, `sh -c "$(curl …)"`,
/// `wget -O x … && chmod +x x && ./x`, PowerShell's ways to say the same.
pub(crate) fn executes_fetched(command: &str) -> bool {
    if !fetches(command) {
        return false;
    }
    let lower = command.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    let mut fetched = false;
    for step in command.split('|') {
        let mut words =
            step.split_whitespace().map(|word| word.trim_matches(['\'', '"', '(', ')']));
        let program = words.find(|word| {
            !matches!(*word, "" | "sudo" | "env" | "exec")
                && !word.starts_with('-')
                && !word.contains('=')
        });
        let runs = program.is_some_and(|program| {
            let name = program.rsplit('/').next().unwrap_or(program);
            is_interpreter(program) || name.starts_with("python") || matches!(name, "iex" | "IEX")
        });
        if fetched && runs {
            return true;
        }
        fetched |= fetches(step);
    }
    let substituted = has(&["$(curl", "$(wget", "`curl", "`wget", "<(curl", "<(wget"]);
    substituted && has(&["sh -c", "bash", "zsh", "eval ", "source ", "python"])
        || has(&["chmod +x", "chmod a+x", "chmod u+x", "chmod 7", "chmod 07"])
        || has(&["iex ", "iex(", "invoke-expression", "start-process", "mshta http"])
        || has(&[
            "&& ./",
            "; ./",
            "&& .\\",
            "; .\\",
            "&& start ",
            "& start ",
            "; start ",
            "&& sh ",
            "; sh ",
            "&& bash ",
            "&& python",
            "; python",
        ]) && has(&[" -o", " -out", "-outfile", ">", "urlcache", "wget "])
}

/// Returns true if a command gives a shell to the other end of a connection.
pub(crate) fn gives_shell(command: &str) -> bool {
    let has = |text: &str| command.contains(text);
    // `nc`, and not the end of `rsync`.
    let nc = command.split(|l: char| l.is_whitespace() || "'\";|&()`/".contains(l));
    let nc = nc.into_iter().any(|word| matches!(word, "nc" | "ncat" | "netcat"));
    has("/dev/tcp/")
        || has("/dev/udp/")
        || nc && (has(" -e") || has("--exec") || has(" -c /bin"))
        || has("mkfifo ") && nc
        || has("socat ") && (has("exec:") || has("EXEC:"))
}

/// Returns true if a command has a package manager install something.
pub(crate) fn installs(command: &str) -> bool {
    [
        "pip install ",
        "pip3 install ",
        "npm install",
        "npm i ",
        "npm ci",
        "uv add ",
        "pnpm add ",
        "pnpm install",
        "yarn add ",
        "gem install ",
        "cargo install ",
        "easy_install ",
        "conda install ",
    ]
    .iter()
    .any(|part| command.contains(part))
}

/// Returns true if a command has an agent of this machine act without asking.
pub(crate) fn drives_agent(command: &str) -> bool {
    [
        "--dangerously-skip-permissions",
        "--yolo",
        "--trust-all-tools",
        "--full-auto",
        "--dangerously-bypass-approvals",
        "--allow-all-tools",
    ]
    .iter()
    .any(|part| command.contains(part))
}

/// Returns true if a command publishes packages or pushes code.
pub(crate) fn publishes(command: &str) -> bool {
    [
        "twine upload",
        "npm publish",
        "uv publish",
        "poetry publish",
        "git push",
        "gh repo create",
        "gh release create",
        "cargo publish",
    ]
    .iter()
    .any(|part| command.contains(part))
}

/// Returns true if a command makes files of a person or a system unusable.
pub(crate) fn destroys(command: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    let wiped = words.windows(3).any(|three| match three {
        ["rm", flags, what] => {
            flags.starts_with('-')
                && flags.contains(['r', 'R'])
                && matches!(
                    what.trim_matches(['"', '\'', ';']),
                    "/" | "/*" | "~" | "~/" | "~/*" | "$HOME" | "$HOME/*" | "${HOME}"
                )
        }
        _ => false,
    });
    wiped
        || [
            "dd if=/dev/zero of=/dev/",
            "dd if=/dev/urandom of=/dev/",
            "mkfs.",
            "del /f /s /q C:",
            "Remove-Item -Recurse -Force $HOME",
            "vssadmin delete shadows",
            "shred -",
        ]
        .iter()
        .any(|part| command.contains(part))
}

/// Returns true if a command hides from people what PowerShell executes.
pub(crate) fn is_encoded(command: &str) -> bool {
    let lower = command.to_ascii_lowercase();
    let flags = ["-e", "-ec", "-en", "-enc", "-enco", "-encod", "-encodedcommand"];
    (lower.contains("powershell") || lower.contains("pwsh"))
        && lower.split_whitespace().zip(lower.split_whitespace().skip(1)).any(|(flag, text)| {
            // What is encoded only when it runs, this file may say in plain words.
            flags.contains(&flag) && !text.starts_with('\u{fffc}')
        })
}

/// Returns true if a command prints secrets.
pub(crate) fn tells_secrets(command: &str) -> bool {
    [
        "find-generic-password",
        "find-internet-password",
        "kubectl get secret",
        "gcloud auth print",
        "gh auth token",
        "secretsmanager get-secret-value",
        "ssm get-parameter",
        "vault kv get",
        "metadata/identity/oauth2/token",
        "169.254.169.254",
        "git credential fill",
        "security dump-keychain",
        "op item get",
        "/proc/self/environ",
    ]
    .iter()
    .any(|part| command.contains(part))
}

/// Returns true if a command makes something come back by itself.
pub(crate) fn installs_itself(command: &str) -> bool {
    [
        "systemctl --user enable",
        "systemctl enable",
        "systemctl --user daemon-reload",
        "crontab -",
        "launchctl load",
        "launchctl bootstrap",
        "schtasks /create",
        "schtasks.exe /create",
    ]
    .iter()
    .any(|part| command.contains(part))
}

/// Harm that a command does, in words; nothing if none is seen.
pub fn harm(command: &str) -> Option<&'static str> {
    let head: String = command.chars().take(4000).collect();
    let decodes =
        ["base64 -d", "base64 --decode", "b64decode", "xxd -r"].iter().any(|w| head.contains(w));
    let runs = ["| sh", "|sh", "| bash", "|bash", "| zsh", "eval", "exec(", "| python", "| node"]
        .iter()
        .any(|w| head.contains(w));
    if executes_fetched(&head) {
        Some("executes what it fetches")
    } else if gives_shell(&head) {
        Some("gives a shell to another machine")
    } else if is_encoded(&head) || decodes && runs {
        Some("executes text that is hidden in it")
    } else if destroys(&head) {
        Some("makes files unusable")
    } else if drives_agent(&head) {
        Some("has an agent act without asking")
    } else if tells_secrets(&head) && fetches(&head) {
        Some("sends secrets away")
    } else {
        None
    }
}
