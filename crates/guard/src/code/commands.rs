//! Commands that matter, as they are given to a shell or to the system. Pure data.

/// Programs that execute what they are given.
pub(super) fn is_interpreter(program: &str) -> bool {
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
pub(super) fn fetches(command: &str) -> bool {
    let mut words = command.split(|l: char| l.is_whitespace() || "'\";|&()`".contains(l));
    words.any(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        matches!(name, "curl" | "wget" | "nc" | "ncat" | "scp" | "Invoke-WebRequest" | "iwr")
    })
}

/// Whether a command prints secrets.
pub(super) fn tells_secrets(command: &str) -> bool {
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
pub(super) fn installs_itself(command: &str) -> bool {
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
