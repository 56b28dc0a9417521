//! Settings of other tools that keep an application behind the proxy: for where a
//! command is not started by hand.
//!
//! They give one way out, `keymoat egress`; what the application may read is then the
//! business of the image or the unit.

use super::Launch;
use std::fmt::Write as _;

/// Tool whose settings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Printed {
    /// Docker Compose: a network that leads nowhere, and the proxy at its edge.
    Compose,
    /// A systemd service that runs the command under `keymoat run`.
    Systemd,
    /// A Kubernetes NetworkPolicy: the proxy and nothing else.
    NetworkPolicy,
    /// nftables: a user's packets reach the proxy on loopback and nothing else.
    Nftables,
}

impl Launch {
    /// Writes settings for `tool`, with this command and its hosts.
    pub fn print(&self, tool: Printed) -> String {
        match tool {
            Printed::Compose => self.compose(),
            Printed::Systemd => self.systemd(),
            Printed::NetworkPolicy => NETWORK_POLICY.to_owned(),
            Printed::Nftables => NFTABLES.to_owned(),
        }
    }

    fn words(&self) -> Vec<String> {
        self.command.iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    fn compose(&self) -> String {
        let list = |words: &[String]| {
            let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            format!("[{}]", quoted.join(", "))
        };
        let (command, hosts) = (list(&self.words()), list(&self.hosts()));
        format!(
            "# The policy next to this file (`keymoat egress token app` makes TOKEN and its hash):\n\
             #   listen = \"0.0.0.0:3128\"\n\
             #   log = \"/log\"\n\
             #   [[app]]\n\
             #   name = \"app\"\n\
             #   token_sha256 = \"…\"\n\
             #   allow = {hosts}\n\
             services:\n\
             \x20 app:\n\
             \x20   image: your-image\n\
             \x20   command: {command}\n\
             \x20   networks: [inside]\n\
             \x20   read_only: true\n\
             \x20   tmpfs: [/tmp]\n\
             \x20   cap_drop: [ALL]\n\
             \x20   security_opt: [\"no-new-privileges:true\"]\n\
             \x20   environment:\n\
             \x20     HTTPS_PROXY: \"http://app:${{TOKEN}}@egress:3128\"\n\
             \x20     NO_PROXY: \"localhost,127.0.0.1\"\n\
             \x20 egress:\n\
             \x20   image: keymoat\n\
             \x20   command: [\"egress\", \"serve\", \"--policy\", \"/policy.toml\"]\n\
             \x20   networks: [inside, outside]\n\
             \x20   volumes: [\"./policy.toml:/policy.toml:ro\", \"log:/log\"]\n\
             networks:\n\
             \x20 inside:\n\
             \x20   internal: true\n\
             \x20 outside: {{}}\n\
             volumes:\n\
             \x20 log: {{}}\n"
        )
    }

    fn systemd(&self) -> String {
        let mut run = "/usr/local/bin/keymoat run --require full".to_owned();
        for host in self.hosts() {
            // Writing to a string has no way to fail.
            write!(run, " --allow {}", for_systemd(&host)).unwrap_or_default();
        }
        for address in &self.publish {
            write!(run, " --publish {address}").unwrap_or_default();
        }
        run.push_str(" --");
        for word in self.words() {
            write!(run, " {}", for_systemd(&word)).unwrap_or_default();
        }
        let work = self.layout.plan.work.display().to_string();
        format!(
            "[Unit]\n\
             After=network-online.target\n\
             Wants=network-online.target\n\n\
             [Service]\n\
             User=app\n\
             WorkingDirectory={}\n\
             ExecStart={run}\n\
             Environment=XDG_STATE_HOME=%S\n\
             StateDirectory=keymoat\n\
             StateDirectoryMode=0700\n\
             Restart=on-failure\n\
             NoNewPrivileges=yes\n\
             CapabilityBoundingSet=\n\n\
             [Install]\n\
             WantedBy=multi-user.target\n",
            for_systemd(&work).trim_matches('"')
        )
    }
}

/// A string of YAML and TOML.
fn quoted(word: &str) -> String {
    let escaped: String = word.chars().flat_map(escape).collect();
    // Compose replaces variables; a dollar of the command is none.
    format!("\"{}\"", escaped.replace('$', "$$"))
}

fn escape(letter: char) -> Vec<char> {
    match letter {
        '"' | '\\' => vec!['\\', letter],
        '\n' => vec!['\\', 'n'],
        '\t' => vec!['\\', 't'],
        letter if letter.is_control() => Vec::new(),
        letter => vec![letter],
    }
}

/// A word of `ExecStart=`: systemd expands `%` and `$`.
fn for_systemd(word: &str) -> String {
    let escaped: String = word.chars().flat_map(escape).collect();
    let escaped = escaped.replace('%', "%%").replace('$', "$$");
    let is_plain = |l: char| l.is_ascii_alphanumeric() || "-_./:=@,+*".contains(l);
    if !escaped.is_empty() && escaped.chars().all(is_plain) {
        escaped
    } else {
        format!("\"{escaped}\"")
    }
}

const NETWORK_POLICY: &str = "\
# Pods with `keymoat/confined: \"true\"` reach the proxy and nothing else: no DNS, no metadata
# service, no other pod. Name the proxy by its cluster address in HTTPS_PROXY. The cluster's
# network plug-in must enforce policies.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: keymoat-confined
spec:
  podSelector:
    matchLabels:
      keymoat/confined: \"true\"
  policyTypes: [Egress]
  egress:
    - to:
        - podSelector:
            matchLabels:
              app: keymoat-egress
      ports:
        - protocol: TCP
          port: 3128
";

const NFTABLES: &str = "\
# What the user `app` sends reaches the proxy on loopback and nothing else: no DNS, no metadata
# service. Load it with `nft -f`.
table inet keymoat {
  chain output {
    type filter hook output priority filter; policy accept;
    meta skuid \"app\" oifname \"lo\" ip daddr 127.0.0.1 tcp dport 3128 accept
    meta skuid \"app\" ct state established,related accept
    meta skuid \"app\" counter reject
  }
}
";

#[cfg(test)]
mod tests {
    use super::{for_systemd, quoted};

    #[test]
    fn words_survive_their_quoting() {
        assert_eq!(quoted("a \"b\" \\ $HOME\n"), "\"a \\\"b\\\" \\\\ $$HOME\\n\"");
        assert_eq!(for_systemd("--x=1"), "--x=1");
        assert_eq!(for_systemd("50% of $HOME"), "\"50%% of $$HOME\"");
        assert_eq!(for_systemd(""), "\"\"");
    }
}
