//! Text in, sightings of keys out.
//!
//! Pure. A key is seen by its shape ([`super::shape`]), or as the value that a
//! line gives to a variable which is known to hold one, if it looks drawn by a
//! machine ([`super::random`]). References to a secret that is kept elsewhere
//! (`${X}`, `os.environ/X`, `<your key>`) are none.

use super::random;
use super::shape::{self, Sort};
use base::Secret;
use std::collections::BTreeMap;

/// Names of variables that hold a key of their own cloud, without a shape.
const CLOUD: [(&str, &str); 9] = [
    ("AWS_SECRET_ACCESS_KEY", "an AWS"),
    ("AWS_SESSION_TOKEN", "a temporary AWS"),
    ("AWS_BEARER_TOKEN_BEDROCK", "an Amazon Bedrock"),
    ("AZURE_CLIENT_SECRET", "an Azure"),
    ("AZURE_API_KEY", "an Azure OpenAI"),
    ("AZURE_OPENAI_API_KEY", "an Azure OpenAI"),
    ("AZURE_STORAGE_KEY", "an Azure storage"),
    ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "an Alibaba Cloud"),
    ("CLOUDFLARE_API_TOKEN", "a Cloudflare"),
];
/// Variables of the gateway itself.
const MASTER: [&str; 2] = ["LITELLM_MASTER_KEY", "LITELLM_SALT_KEY"];
/// What a master key's variable ends in, whatever configuration it stands in.
const MASTER_END: &str = "MASTER_KEY";
const MASTER_WHOSE: &str = "a gateway's master";
/// Ends of names that hold a key of something that we do not know.
const ENDS: [&str; 5] =
    ["_API_KEY", "_API_TOKEN", "_SECRET_ACCESS_KEY", "_ACCESS_TOKEN", "_CLIENT_SECRET"];

/// Between the beginning and the end of a private key, in bytes.
const PEM_MAX_BYTES: usize = 16 << 10;
/// A private key has so many letters and more.
const PEM_LETTERS_MIN: usize = 100;
/// The longest name of a variable that is shown.
const NAME_MAX: usize = 64;

/// Whose key each variable holds, by its name in capitals.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    providers: BTreeMap<String, String>,
}

impl Variables {
    /// From pairs of a variable's name and the provider whose key it holds.
    pub fn new<N, P>(pairs: impl IntoIterator<Item = (N, P)>) -> Self
    where
        N: AsRef<str>,
        P: Into<String>,
    {
        let pairs = pairs.into_iter().map(|(n, p)| (n.as_ref().to_ascii_uppercase(), p.into()));
        Self { providers: pairs.collect() }
    }

    fn whose(&self, name: &str) -> Option<(String, Sort)> {
        if let Some((_, whose)) = CLOUD.iter().find(|(known, _)| *known == name) {
            return Some(((*whose).to_owned(), Sort::Cloud));
        }
        if MASTER.contains(&name) {
            return Some((MASTER_WHOSE.to_owned(), Sort::Master));
        }
        if let Some(provider) = self.providers.get(name) {
            let vowel = provider.starts_with(['A', 'E', 'I', 'O', 'U', 'a', 'e', 'i', 'o', 'u']);
            let provider = provider.trim_end_matches(" API");
            let article = if vowel { "an" } else { "a" };
            return Some((format!("{article} {provider}"), Sort::Provider));
        }
        let ends = ENDS.iter().any(|end| name.ends_with(end));
        ends.then(|| ("an".to_owned(), Sort::Other))
    }
}

/// A key that was seen. Holds its value: never shown, never serialised.
pub(super) struct Sighting {
    /// Whose, with an article.
    pub(super) whose: String,
    /// What it opens.
    pub(super) sort: Sort,
    /// What every key of its kind begins with.
    pub(super) prefix: &'static str,
    /// The variable that holds it.
    pub(super) variable: Option<String>,
    /// The line, from 1.
    pub(super) line: u32,
    /// The key itself.
    pub(super) value: Secret,
}

/// Every key in `text`.
pub(super) fn scan(text: &str, variables: &Variables) -> Vec<Sighting> {
    let mut found = Vec::new();
    for (number, line) in (1_u32..).zip(text.split(['\n', '\0'])) {
        scan_line(line, number, variables, &mut found);
    }
    private_keys(text, &mut found);
    found
}

fn scan_line(line: &str, number: u32, variables: &Variables, found: &mut Vec<Sighting>) {
    let mut holder: Option<Holder> = None;
    let mut at = 0;
    while let Some(rest) = line.get(at..) {
        let Some(byte) = rest.bytes().next() else { return };
        if byte == b'\\' && rest.as_bytes().get(1).is_some_and(u8::is_ascii) {
            at += 2;
            continue;
        }
        if !is_word(byte) || !begins_word(line, at) {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        }
        if let Some((shape, length)) = shape::at_start(rest) {
            let value = rest.get(..length).unwrap_or_default();
            let variable = holder.take().filter(|h| at >= h.value_at).map(|h| h.name);
            let is_master = shape.prefix == "sk-"
                && variable
                    .as_deref()
                    .is_some_and(|name| name.to_ascii_uppercase().ends_with(MASTER_END));
            let (whose, sort) =
                if is_master { (MASTER_WHOSE, Sort::Master) } else { (shape.whose, shape.sort) };
            found.push(Sighting {
                whose: whose.to_owned(),
                sort,
                prefix: shape.prefix,
                variable,
                line: number,
                value: Secret::new(value.to_owned()),
            });
            at += length;
            continue;
        }
        if let Some(held) = holder.take().filter(|held| held.value_at == at) {
            found.extend(held.judge(rest, number));
        }
        let length = rest.bytes().take_while(|byte| is_word(*byte)).count();
        let word = rest.get(..length).unwrap_or_default();
        let after = rest.get(length..).unwrap_or_default();
        holder = Holder::of(word, after, at + length, variables).or(holder);
        at += length;
    }
}

/// A variable that a line gives a value to.
struct Holder {
    name: String,
    known: Option<(String, Sort)>,
    value_at: usize,
}

impl Holder {
    fn of(word: &str, after: &str, after_at: usize, variables: &Variables) -> Option<Self> {
        if word.len() < 5 || word.len() > NAME_MAX || word.starts_with(|c: char| c.is_ascii_digit())
        {
            return None;
        }
        // `NAME=v`, `NAME: v`, `"NAME": "v"`, `os.environ["NAME"] = "v"`, `NAME v`
        let closed = after.trim_start_matches(['"', '\'', ']', ')', '\\', ' ', '\t']);
        let skipped = after.len() - closed.len();
        let is_given = closed.starts_with([':', '=']);
        let is_spaced = after.starts_with([' ', '\t']) && !is_given;
        if !is_given && !is_spaced {
            return None;
        }
        let value = closed.trim_start_matches([':', '=', ' ', '\t', '"', '\'', '\\']);
        let value_at = after_at + skipped + (closed.len() - value.len());
        let known = variables.whose(&word.to_ascii_uppercase());
        // `NAME v` is how fish and Dockerfiles say it, and how anybody writes
        // two words: only for names that are known.
        if is_spaced && known.is_none() {
            return None;
        }
        Some(Self { name: word.to_owned(), known, value_at })
    }

    fn judge(self, rest: &str, line: u32) -> Option<Sighting> {
        let (whose, sort) = self.known?;
        let ends = |c: char| c.is_whitespace() || "\"'\\,;`()[]{}<>$#".contains(c);
        let value = rest.split(ends).next().unwrap_or_default();
        let is_reference = value.starts_with("os.environ") || value.contains("environ/");
        if is_reference || !random::is_random_value(value) {
            return None;
        }
        // `NAME=abc$X` and `NAME=abc{{x}}` are put together elsewhere.
        if rest.get(value.len()..).is_some_and(|after| after.starts_with(['$', '{', '<'])) {
            return None;
        }
        let value = Secret::new(value.to_owned());
        Some(Sighting { whose, sort, prefix: "", variable: Some(self.name), line, value })
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Returns true if a word begins at `at`: nothing of one stands before it, but for the
/// letter of an escape like `\n`.
fn begins_word(line: &str, at: usize) -> bool {
    let before = line.as_bytes().get(..at).unwrap_or_default();
    match before {
        [.., b'\\', b'n' | b't' | b'r'] | [] => true,
        [.., last] => !is_word(*last) && *last != b'-',
    }
}

fn private_keys(text: &str, found: &mut Vec<Sighting>) {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find("-----BEGIN ")) {
        let start = from + at;
        from = start + 11;
        let rest = text.get(start..).unwrap_or_default();
        let head = rest.get(..64.min(rest.len())).unwrap_or_default();
        let Some(head_end) = head.find("PRIVATE KEY-----") else { continue };
        let body_at = head_end + 16;
        let body = rest.get(body_at..).unwrap_or_default();
        let Some(end) = body.find("-----END").filter(|end| *end <= PEM_MAX_BYTES) else { continue };
        let body = body.get(..end).unwrap_or_default();
        if body.bytes().filter(u8::is_ascii_alphanumeric).count() < PEM_LETTERS_MIN {
            continue;
        }
        let before = text.get(..start).unwrap_or_default();
        found.push(Sighting {
            whose: "a private".to_owned(),
            sort: Sort::Other,
            prefix: "-----BEGIN",
            variable: None,
            line: u32::try_from(before.split('\n').count()).unwrap_or(u32::MAX),
            value: Secret::new(body.to_owned()),
        });
        from = start + body_at + end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENAI: &str = "sk-proj-7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEuViOxKqMtBy";
    const MISTRAL: &str = "7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0Fa";

    fn seen(text: &str) -> Vec<(String, Option<String>, u32)> {
        let variables = Variables::new([("MISTRAL_API_KEY", "Mistral"), ("HF_TOKEN", "HF")]);
        let found = scan(text, &variables);
        for sighting in &found {
            assert!(text.contains(sighting.value.expose()));
        }
        found.into_iter().map(|s| (s.whose, s.variable, s.line)).collect()
    }

    #[test]
    fn every_way_to_write_an_assignment_is_read() {
        for template in [
            "MISTRAL_API_KEY=@",
            "export MISTRAL_API_KEY='@'",
            "set -gx MISTRAL_API_KEY @",
            "ENV MISTRAL_API_KEY @",
            "  - MISTRAL_API_KEY=@",
            "      MISTRAL_API_KEY: \"@\"  # the key",
            "{\"MISTRAL_API_KEY\": \"@\", \"x\": 1}",
            "    \"os.environ[\\\"MISTRAL_API_KEY\\\"] = \\\"@\\\"\\n\",",
            "os.environ['MISTRAL_API_KEY'] = '@'",
            "A=1 MISTRAL_API_KEY=@ python app.py",
            "mistral_api_key = @",
        ] {
            let found = seen(&template.replace('@', MISTRAL));
            assert_eq!(found.len(), 1, "{template}: {found:?}");
            assert_eq!(found[0].0, "a Mistral", "{template}");
            let name = found[0].1.as_deref().unwrap_or_default();
            assert_eq!(name.to_ascii_uppercase(), "MISTRAL_API_KEY");
            let found = seen(&template.replace('@', OPENAI));
            assert_eq!(found.len(), 1, "{template}: {found:?}");
            assert_eq!(found[0].0, "an OpenAI", "{template}");
        }
    }

    #[test]
    fn keys_are_seen_wherever_they_stand() {
        for template in [
            "curl -H \"Authorization: Bearer @\" https://x",
            "python app.py --api-key=@",
            "python app.py --api-key @",
            "https://user:@@host/x",
            "\"print('x')\\n@\"",
            "client = OpenAI(api_key=\"@\")",
            "(@)",
            "@",
        ] {
            let text = template.replacen('@', OPENAI, 1);
            assert_eq!(seen(&text).len(), 1, "{template}");
        }
        let github = "https://ghp_7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEuVi@github.example/x";
        assert_eq!(seen(github)[0].0, "a GitHub");
    }

    #[test]
    fn references_and_placeholders_are_no_keys() {
        for quiet in [
            "OPENAI_API_KEY=sk-...",
            "OPENAI_API_KEY=your-key-here",
            "OPENAI_API_KEY=<your key>",
            "api_key: os.environ/OPENAI_API_KEY",
            "OPENAI_API_KEY: ${OPENAI_API_KEY:?set it}",
            "OPENAI_API_KEY=${{ secrets.OPENAI_API_KEY }}",
            "OPENAI_API_KEY=$(cat /run/secrets/openai)",
            "MISTRAL_API_KEY=/run/secrets/mistral_7Qm2Zk9XvT4b",
            "MISTRAL_API_KEY: !vault |",
            "MISTRAL_API_KEY={{ vault_mistral_key_2024_10 }}",
            "MISTRAL_API_KEY=prefix7Qm2Zk9XvT4bRn8L$SUFFIX",
            "OPENAI_API_KEY=sk-1234",
            "OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "sk-proj-0000000000000000000000000000000000000000",
            "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "OPENAI_API_KEY=",
            "if os.getenv(\"OPENAI_API_KEY\") is None: raise KeyError",
            "MISTRAL_API_KEY is what the gateway reads at 2024-10-10T00:00:00",
            "digest: sha256:7d1b3e0c9a4f5d2e8b6a1c0f3e5d7b9a2c4e6f8a0b1d3c5e7f9a1b3c5d7e9f0a",
            "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
            "risk-7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEuViOx",
        ] {
            assert_eq!(seen(quiet), [], "{quiet}");
        }
    }

    #[test]
    fn lines_are_counted_and_private_keys_are_found_on_one_or_many() {
        let text = format!("# one\n\nexport OPENAI_API_KEY={OPENAI}\n");
        assert_eq!(seen(&text)[0].2, 3);
        let body = "MIIEvQ7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEuViOxKqMtBy".repeat(4);
        let pem = format!("x\n-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        assert_eq!(seen(&pem), [("a private".to_owned(), None, 2)]);
        let json = format!("{{\"private_key\": \"{}\"}}", pem.replace('\n', "\\n"));
        assert_eq!(seen(&json).len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "(\\PC|\n|KEY=|\"|sk-|-----BEGIN |PRIVATE KEY-----|OPENAI_API_KEY[=: ]){0,40}") {
            scan(&text, &Variables::default());
        }
    }
}
