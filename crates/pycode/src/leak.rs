//! What leaves the machine over a connection, and to whom.

use crate::call::{Args, PATH_MAX, content};
use crate::fact::Deed;
use crate::run::{Run, path};
use crate::tables;
use crate::value::{Abs, Marks};

impl<'t, 's> Run<'t, 's> {
    /// A method of one end of a connection.
    pub(crate) fn channel(&mut self, dotted: &str, args: &Args<'t, 's>, line: u32) -> Abs<'t, 's> {
        let name = dotted.rsplit('.').next().unwrap_or(dotted);
        self.leaks(dotted, args, line);
        // What is sent may be named by its path.
        let words = ["upload", "put", "send", "stor", "file", "attach"];
        if words.iter().any(|word| name.contains(word)) {
            for (_, value) in args {
                if value.marks.secrets().next().is_some() {
                    self.read_secrets(value.marks, value.text().unwrap_or(name), line);
                    self.note(Deed::Talks, line, dotted);
                    self.note(Deed::SendsSecrets, line, dotted);
                }
            }
        }
        let marks = if tables::receives(name) { Marks::FETCHED } else { Marks::default() };
        self.callbacks(dotted, args, line);
        if dotted.len() > PATH_MAX {
            return Abs::marked(marks);
        }
        path(format!("{dotted}()")).and(marks)
    }

    /// Notes which secrets the arguments of a call carry away.
    pub(crate) fn leaks(&mut self, shown: &str, args: &Args<'t, 's>, line: u32) {
        let given = content(args);
        if given.has(Marks::LOOT) {
            self.note(Deed::SendsSecrets, line, shown);
        }
        if given.has(Marks::INPUT) {
            self.note(Deed::SendsInput, line, shown);
        }
        if given.has(Marks::KEY) {
            let host = args.iter().find_map(|(_, value)| host_of(value.text()?));
            let issuers = host.is_some_and(|host| self.keys.iter().all(|key| is_issuer(key, host)));
            let by_name = shown.starts_with("socket.get") || shown.starts_with("dns.");
            let known = host.is_some() || by_name || tables::is_of_channel(shown);
            if known && !issuers {
                let keys: Vec<&str> = self.keys.iter().map(String::as_str).take(4).collect();
                let what = format!("{} to {shown}", keys.join(", "));
                self.note(Deed::SendsKey, line, &what);
            }
        }
    }
}

/// The host of an address.
fn host_of(text: &str) -> Option<&str> {
    let rest = text.split_once("://")?.1;
    let host = rest.split(['/', '?', '#', ':']).next()?;
    let host = host.rsplit('@').next()?;
    host.contains('.').then_some(host)
}

/// Returns true if `host` belongs to the issuer that the name of `key` names.
fn is_issuer(key: &str, host: &str) -> bool {
    const OTHER: [(&str, &str); 14] = [
        ("aws", "amazonaws"),
        ("azure", "microsoft"),
        ("azure", "windows.net"),
        ("gemini", "google"),
        ("vertex", "google"),
        ("google", "googleapis"),
        ("gh", "github"),
        ("hf", "huggingface"),
        ("hub", "huggingface"),
        ("claude", "anthropic"),
        ("pypi", "pypi"),
        ("twine", "pypi"),
        ("wandb", "wandb"),
        ("codecov", "codecov"),
    ];
    const PLAIN: [&str; 14] = [
        "api", "key", "token", "secret", "access", "auth", "password", "url", "database",
        "private", "id", "my", "pass", "app",
    ];
    let host = host.to_ascii_lowercase();
    let key = key.to_ascii_lowercase();
    key.split('_').filter(|word| word.len() > 1 && !PLAIN.contains(word)).any(|word| {
        word.len() > 2 && host.contains(word)
            || OTHER.iter().any(|(name, of)| *name == word && host.contains(of))
    })
}
