//! What a Python file does, read from its syntax tree.
//!
//! Text in, facts out: what is executed, spawned, read, sent and left behind,
//! with the line, and whether it happens at import or only when a function is
//! called. Constants are folded, aliases resolved, and what is decoded and
//! executed is read in its turn. Nothing is executed, no file is opened here,
//! and nothing is judged.
//!
//! Why a reader of our own: the parsers on the registry either refuse a whole
//! file for one error, recurse without a bound, or are written in C; and a
//! file that is to be judged may have been made to break its reader.

mod call;
pub mod commands;
mod encoding;
mod eval;
mod expr;
pub mod fact;
mod fold;
mod leak;
mod letters;
mod lex;
mod outline;
mod parse;
pub mod pickle;
mod places;
mod run;
mod spawn;
mod tables;
mod text;
mod tree;
mod value;

use fact::{Deed, Fact, Summary, When};
use run::Mode;
use serde::{Deserialize, Serialize};
use std::path::Path;

pub use outline::outline;

/// The largest file that is read, in bytes.
pub const FILE_MAX_BYTES: usize = 4 << 20;
/// Files larger than this are read one at a time, in bytes.
const LARGE_BYTES: usize = 512 << 10;
/// Stack that reading a file may need, in bytes: nesting is bounded, but deep.
pub const STACK_BYTES: usize = 64 << 20;

/// Gives what `read` gives, on a stack that is large enough for [`read`];
/// nothing if no thread can be started.
pub fn apart<T: Send>(read: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, read).ok()?.join().ok()
    })
}

/// What Python takes a file for, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// No source.
    Data,
    /// A module.
    Module,
    /// A package's own module, `__init__.py`.
    Package,
    /// What installers run, `setup.py`.
    Setup,
}

impl Role {
    /// The role of the file at `path`.
    pub fn of(path: &Path) -> Self {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("__init__.py") => Self::Package,
            Some("setup.py") => Self::Setup,
            _ if path.extension().is_some_and(|e| e == "py" || e == "pyw") => Self::Module,
            _ => Self::Data,
        }
    }
}

/// What the file `bytes` of this role does. Needs [`STACK_BYTES`] of stack.
pub fn read(role: Role, bytes: &[u8]) -> Summary {
    // A tree takes some fifty times the memory of its text.
    static LARGE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = (bytes.len() > LARGE_BYTES)
        .then(|| LARGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    if bytes.len() > FILE_MAX_BYTES {
        return Summary { cut_short: true, ..Summary::default() };
    }
    let mode = if role == Role::Setup { Mode::Setup } else { Mode::Module };
    let (text, hides) = encoding::text(bytes);
    let tree = parse::parse(&text);
    let (mut summary, _) = run::run(&text, &tree.body, mode, 0, 0);
    summary.cut_short |= tree.too_deep;
    summary.is_package = role == Role::Package;
    if mode == Mode::Module || mode == Mode::Setup {
        for (line, what) in letters::disguised(&text) {
            let fact = Fact { deed: Deed::Disguises, when: When::Import, line, what };
            summary.facts.push(fact);
        }
    }
    if let Some(what) = hides {
        summary.facts.insert(0, Fact { deed: Deed::Encoded, when: When::Import, line: 1, what });
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(code: &str) -> Summary {
        apart(|| read(Role::Module, code.as_bytes())).unwrap()
    }

    #[test]
    fn what_is_made_to_be_unreadable_ends_soon_and_says_so() {
        let deep = format!("x = {}1{}\n", "(".repeat(5000), ")".repeat(5000));
        let chain = format!("x = a{}\n", ".b()".repeat(5000));
        let blocks: Vec<String> = (0..500)
            .map(|n| {
                " ".repeat(n)
                    + "if x:
"
            })
            .collect();
        let blocks = blocks.concat();
        let grows = "a = 'x' * 8000000\n".to_owned() + &"b = a + ''\nc = a[::-1]\n".repeat(200);
        let again = format!("t = '{}'\n{}", "x = 1; ".repeat(10_000), "exec(t)\n".repeat(500));
        for code in [deep, chain, blocks, grows, again] {
            let head: String = code.chars().take(30).collect();
            assert!(facts(&code).cut_short, "{head}");
        }
    }

    #[test]
    fn what_is_made_to_break_a_reader_is_read() {
        // Blocks on one line, which Python refuses, and lists in lists: both overflowed the stack.
        facts(&("if x: ".repeat(300_000) + "pass\n"));
        facts(&("a = []\n".to_owned() + &"a = [a]\n".repeat(300_000)));
        // Each of these took minutes, since something was looked at again for each of many.
        facts(&("import x\na = [1]\n".to_owned() + &"a = [a, a]\n".repeat(60) + "x.f(a)\n"));
        let classes: Vec<String> =
            (1..60_000).map(|n| format!("class A{n}(A{}):pass\n", n - 1)).collect();
        facts(&classes.concat());
        let names: Vec<String> = (0..60_000).map(|n| format!("a{n}=1")).collect();
        let names = names.join(",");
        facts(&format!("def f({names}):\n pass\nf({names})\n"));
        let summary = facts(&"a=b;".repeat(500_000));
        assert!(summary.cut_short, "too many statements are told");
    }

    #[test]
    fn functions_that_call_each_other_without_end_end_soon() {
        let calls: Vec<String> = (0..100)
            .map(|n| {
                format!(
                    "def f{n}():
{}",
                    format!(
                        " f{}()
",
                        (n + 1) % 100
                    )
                    .repeat(10)
                )
            })
            .collect();
        let summary = facts(&(calls.concat() + &"f0()\n".repeat(50)));
        assert_eq!(summary.facts, []);
        facts(&("t = 'exec(t); ' * 100\n".to_owned() + &"exec(t)\n".repeat(100)));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(parts in proptest::collection::vec(0_usize..40, 0..60)) {
            const PARTS: [&str; 40] = [
                "def f(x=1):\n ", "class A:\n ", "import os, a.b as c\n", "exec(", "'cGFzcw=='",
                "base64.b64decode(", "f'{x!r:{y}}'", "b\"\\x41\"", "'''", "[", "]", "(", ")", "{", "}",
                ":", ",", "=", "\n", "\n    ", "\t", "lambda x: ", "for x in ", "if ", "else ", "@", "x",
                "[::-1]", "+", "%", "**", "\\", "#", "é", "𝘦", "0x", "1e5", "match x:\n case ",
                "with open(\"a\") as f:", "os.environ",
            ];
            let code: String = parts.iter().filter_map(|part| PARTS.get(*part)).copied().collect();
            proptest::prop_assert!(facts(&code).facts.len() <= 501);
            let _: Vec<String> = apart(|| outline(&code)).unwrap();
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _: Summary = apart(|| read(Role::Setup, &bytes)).unwrap();
        }
    }
}
