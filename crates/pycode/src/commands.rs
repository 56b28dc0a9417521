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

/// Whether a command fetches or sends something.
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

/// Whether a command executes what it fetches: `curl … | sh`, `sh -c "$(curl …)"`,
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
}

/// Whether a command hides from people what PowerShell executes.
pub(crate) fn is_encoded(command: &str) -> bool {
    let lower = command.to_ascii_lowercase();
    let flags = ["-e", "-ec", "-en", "-enc", "-enco", "-encod", "-encodedcommand"];
    (lower.contains("powershell") || lower.contains("pwsh"))
        && lower.split_whitespace().any(|word| flags.contains(&word))
}

/// Whether a command prints secrets.
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
    ]
    .iter()
    .any(|part| command.contains(part))
}

/// Whether a command makes something come back by itself.
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
