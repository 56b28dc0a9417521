//! Pickles, read as the program that they are: which functions they call.
//!
//! Only the opcodes are looked at, as far as they name functions. What is no
//! pickle calls nothing.

/// Opcodes that are looked at in one pickle.
const OPCODES_MAX: usize = 2_000_000;
/// Modules whose functions a pickle of data may name.
const HONEST: [&str; 24] = [
    "collections",
    "numpy",
    "torch",
    "sklearn",
    "pandas",
    "datetime",
    "decimal",
    "fractions",
    "copyreg",
    "copy_reg",
    "_codecs",
    "scipy",
    "pathlib",
    "uuid",
    "array",
    "functools",
    "joblib",
    "tensorflow",
    "transformers",
    "xgboost",
    "lightgbm",
    "tokenizers",
    "spacy",
    "keras",
];
/// Functions by which a pickle does harm, by module.
const HARM: [(&str, &[&str]); 22] = [
    ("os", &[]),
    ("posix", &[]),
    ("nt", &[]),
    ("subprocess", &[]),
    ("sys", &[]),
    ("socket", &[]),
    ("pty", &[]),
    ("shutil", &[]),
    ("runpy", &[]),
    ("code", &[]),
    ("importlib", &[]),
    ("requests", &[]),
    ("urllib", &[]),
    ("webbrowser", &[]),
    ("asyncio", &[]),
    ("ctypes", &[]),
    ("multiprocessing", &[]),
    ("pickle", &["loads", "load"]),
    ("marshal", &["loads", "load"]),
    ("operator", &["attrgetter", "methodcaller"]),
    ("builtins", &["eval", "exec", "compile", "__import__", "getattr", "open", "apply", "globals"]),
    (
        "__builtin__",
        &[
            "eval",
            "exec",
            "compile",
            "__import__",
            "getattr",
            "open",
            "apply",
            "execfile",
            "globals",
        ],
    ),
];

/// The functions that the pickle `bytes` names, as `module.name`.
pub fn named(bytes: &[u8]) -> Vec<String> {
    let mut reader =
        Reader { bytes, at: 0, named: Vec::new(), texts: Vec::new(), memo: Vec::new() };
    for _ in 0..OPCODES_MAX {
        if reader.step().is_none() {
            break;
        }
    }
    reader.named
}

/// The first function that the pickle `bytes` names and that no data needs.
pub fn harm(bytes: &[u8]) -> Option<String> {
    named(bytes)
        .into_iter()
        .find(|name| {
            let (module, function) = name.split_once(' ').unwrap_or((name, ""));
            let root = module.split('.').next().unwrap_or(module);
            let first = function.split('.').next().unwrap_or(function);
            !HONEST.contains(&root)
                && HARM
                    .iter()
                    .any(|(of, only)| *of == root && (only.is_empty() || only.contains(&first)))
        })
        .map(|name| name.replace(' ', "."))
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    named: Vec<String>,
    /// Texts on the stack, the last at the end.
    texts: Vec<String>,
    /// Texts that were kept under a number.
    memo: Vec<(u64, String)>,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn line(&mut self) -> Option<String> {
        let rest = self.bytes.get(self.at..)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = String::from_utf8_lossy(rest.get(..end)?).into_owned();
        self.at += end + 1;
        Some(line)
    }

    fn number(&mut self, count: usize) -> Option<u64> {
        let bytes = self.take(count)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn counted(&mut self, width: usize, is_text: bool) -> Option<()> {
        let count = usize::try_from(self.number(width)?).ok()?;
        let taken = self.take(count)?;
        if is_text {
            let text = String::from_utf8_lossy(taken.get(..taken.len().min(200))?).into_owned();
            self.texts.push(text);
        }
        Some(())
    }

    fn kept(&mut self, number: u64) {
        if let Some(text) = self.texts.last().cloned()
            && self.memo.len() < 100_000
        {
            self.memo.push((number, text));
        }
    }

    fn again(&mut self, number: u64) {
        let found = self.memo.iter().rev().find(|(kept, _)| *kept == number);
        if let Some((_, text)) = found {
            self.texts.push(text.clone());
        }
    }

    /// Reads one opcode; nothing at the end, and where it is no pickle.
    fn step(&mut self) -> Option<()> {
        let opcode = *self.take(1)?.first()?;
        match opcode {
            b'c' | b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                self.named.push(format!("{module} {name}"));
            }
            0x93 => {
                let name = self.texts.pop()?;
                let module = self.texts.pop()?;
                self.named.push(format!("{module} {name}"));
            }
            b'S' | b'V' => {
                let text = self.line()?;
                self.texts.push(text.trim_matches(['\'', '"']).to_owned());
            }
            b'X' | b'T' => self.counted(4, true)?,
            0x8c | b'U' => self.counted(1, true)?,
            0x8d => self.counted(8, true)?,
            b'B' | 0x8b => self.counted(4, false)?,
            b'C' | 0x8a => self.counted(1, false)?,
            0x8e | 0x96 => self.counted(8, false)?,
            b'I' | b'L' | b'F' | b'P' => drop(self.line()?),
            b'p' => {
                let number = self.line()?.trim().parse().ok()?;
                self.kept(number);
            }
            b'g' => {
                let number = self.line()?.trim().parse().ok()?;
                self.again(number);
            }
            b'q' => {
                let number = self.number(1)?;
                self.kept(number);
            }
            b'r' => {
                let number = self.number(4)?;
                self.kept(number);
            }
            0x94 => {
                let number = self.memo.len() as u64;
                let text = self.texts.last().cloned().unwrap_or_default();
                if self.memo.len() < 100_000 {
                    self.memo.push((number, text));
                }
            }
            b'h' => {
                let number = self.number(1)?;
                self.again(number);
            }
            b'j' => {
                let number = self.number(4)?;
                self.again(number);
            }
            0x80 | b'K' | 0x82 => drop(self.take(1)?),
            b'M' | 0x83 => drop(self.take(2)?),
            b'J' | 0x84 => drop(self.take(4)?),
            b'G' | 0x95 => drop(self.take(8)?),
            b'('
            | b')'
            | b']'
            | b'}'
            | b'0'
            | b'1'
            | b'2'
            | b'N'
            | b'R'
            | b'Q'
            | b'a'
            | b'b'
            | b'd'
            | b'e'
            | b'l'
            | b'o'
            | b's'
            | b't'
            | b'u'
            | 0x81
            | 0x85..=0x89
            | 0x8f..=0x92
            | 0x97
            | 0x98 => {}
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pickle_that_calls_the_system_is_named_and_one_of_data_is_not() {
        assert_eq!(harm(b"cposix\nsystem\np0\n(Vtrue\np1\ntp2\nRp3\n.").unwrap(), "posix.system");
        let framed = b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.";
        assert_eq!(harm(framed).unwrap(), "posix.system");
        let data = b"\x80\x04\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94.";
        assert_eq!((harm(data), named(data).len()), (None, 1));
        let getattr = b"\x80\x03cbuiltins\ngetattr\nq\x00.";
        assert_eq!(harm(getattr).unwrap(), "builtins.getattr");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _: Vec<String> = named(&bytes);
        }
    }
}
