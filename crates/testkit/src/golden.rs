//! Golden cases as folders: `testdata/<suite>/<case>/<file>`.
//!
//! A suite is one loop over [`cases`]; a case is a folder, and adding a case is
//! adding a folder. With `KEYMOAT_UPDATE_GOLDENS=1` a comparison rewrites its
//! file instead of failing; read the diff before committing it.

use std::path::{Path, PathBuf};
use std::{fs, str};

/// The variable that turns comparing into rewriting.
pub const UPDATE_VARIABLE: &str = "KEYMOAT_UPDATE_GOLDENS";

/// One folder of a suite.
#[derive(Clone, Debug)]
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
}

impl Case {
    /// The text of a file of this case; panics with the path when it is not there.
    pub fn text(&self, file: &str) -> String {
        let path = self.folder.join(file);
        fs::read_to_string(&path).unwrap_or_else(|cause| fail(&path, &cause.to_string()))
    }

    /// The text of a file that a case may lack.
    pub fn text_if_present(&self, file: &str) -> Option<String> {
        self.folder.join(file).is_file().then(|| self.text(file))
    }

    /// Compares `actual` with the file byte for byte, or rewrites the file.
    pub fn expect(&self, file: &str, actual: &str) {
        compare(&self.folder.join(file), actual, updating());
    }
}

/// The cases of a suite, by name; panics when there is none, since a loop over
/// nothing proves nothing.
pub fn cases(suite: &Path) -> Vec<Case> {
    let entries = fs::read_dir(suite).unwrap_or_else(|cause| fail(suite, &cause.to_string()));
    let mut cases: Vec<Case> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| Case {
            name: entry.file_name().to_string_lossy().into_owned(),
            folder: entry.path(),
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!cases.is_empty(), "{}: no case in this suite", suite.display());
    cases
}

fn updating() -> bool {
    std::env::var_os(UPDATE_VARIABLE).is_some_and(|value| value == "1")
}

fn compare(path: &Path, actual: &str, update: bool) {
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected == actual {
        return;
    }
    if update {
        fs::write(path, actual).unwrap_or_else(|cause| fail(path, &cause.to_string()));
        return;
    }
    let differ = expected.lines().zip(actual.lines()).position(|(e, a)| e != a);
    let line = differ.unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
    let at = |text: &str| text.lines().nth(line).unwrap_or("(end of text)").to_owned();
    let told = format!(
        "line {}:\n  expected: {}\n  actual:   {}\n  hint: {UPDATE_VARIABLE}=1 rewrites the file",
        line + 1,
        at(&expected),
        at(actual)
    );
    fail(path, &told)
}

fn fail(path: &Path, what: &str) -> ! {
    panic!("{}: {what}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("golden-{}-{name}", std::process::id()));
        fs::create_dir_all(folder.join("b-case")).unwrap();
        fs::create_dir_all(folder.join("a-case")).unwrap();
        folder
    }

    #[test]
    fn cases_come_by_name_and_an_update_makes_them_agree() {
        let suite = scratch("update");
        let cases = cases(&suite);
        assert_eq!(cases.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a-case", "b-case"]);
        let file = cases[0].folder.join("response.json");
        compare(&file, "{}\n", true);
        compare(&file, "{}\n", false);
        assert_eq!(cases[0].text("response.json"), "{}\n");
        assert_eq!(cases[0].text_if_present("none.json"), None);
        fs::remove_dir_all(suite).unwrap();
    }

    #[test]
    #[should_panic(expected = "line 2")]
    fn a_difference_names_its_line() {
        let suite = scratch("differ");
        let file = suite.join("x");
        fs::write(&file, "one\ntwo\n").unwrap();
        compare(&file, "one\n2\n", false);
    }
}
