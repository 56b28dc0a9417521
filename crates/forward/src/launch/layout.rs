//! Places of a command: from what was asked for to a [`sandbox::Plan`].

use super::secrets::{self, Found};
use super::{Ask, Profile, places};
use sandbox::Plan;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// Links that are followed from a command to the file that is executed.
const LINKS_MAX: usize = 16;

/// Places, and what there is to say about them.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) plan: Plan,
    /// True if the working directory can be written.
    pub(super) is_work_writable: bool,
    /// Files with secrets that the search in the trees found.
    pub(super) secrets: Vec<PathBuf>,
    /// True if that search stopped early.
    pub(super) is_cut_short: bool,
}

/// Machine and user, as far as places depend on them.
pub(super) struct Here<'h> {
    pub(super) work: PathBuf,
    pub(super) home: Option<PathBuf>,
    pub(super) variable: &'h dyn Fn(&str) -> Option<String>,
}

/// Lays the places out.
///
/// # Errors
/// A path that was asked for is not there, or is one that no command may have.
pub(super) fn lay_out(ask: &Ask, here: &Here<'_>) -> Result<Layout, String> {
    let mut layout = Layout::default();
    let home = here.home.as_deref();
    let read = resolved(&ask.read)?;
    let mut writable = resolved(&ask.write)?;
    if let Some(root) = read.iter().chain(&writable).find(|path| path.parent().is_none()) {
        return Err(format!("{}: the whole system cannot be given to a command", root.display()));
    }
    let is_kernels = |path: &&PathBuf| {
        ["/proc", "/sys", "/dev", "/run"].iter().any(|tree| path.starts_with(tree))
    };
    if let Some(path) = read.iter().chain(&writable).find(is_kernels) {
        return Err(format!("{}: a command gets its own, and no other", path.display()));
    }

    let mut visible: BTreeSet<PathBuf> = system().collect();
    visible.extend(read.iter().cloned());
    let is_system = |path: &Path| visible.iter().any(|tree| path.starts_with(tree));
    let holds_home = home.is_some_and(|home| home.starts_with(&here.work));
    layout.is_work_writable = writable.iter().any(|tree| here.work.starts_with(tree));
    if !layout.is_work_writable
        && !holds_home
        && !is_system(&here.work)
        && here.work.parent().is_some()
    {
        writable.push(here.work.clone());
        layout.is_work_writable = true;
    } else if home == Some(here.work.as_path()) {
        visible.insert(here.work.clone());
    }
    let authorities = places::AUTHORITIES.iter().filter_map(|name| (here.variable)(name));
    visible.extend(authorities.filter_map(|path| fs::canonicalize(path).ok()));
    for tool in tools(ask, here) {
        let is_too_wide =
            home.is_some_and(|home| home.starts_with(&tool)) || tool.parent().is_none();
        if !is_too_wide {
            visible.insert(tool);
        }
    }
    if ask.profile == Profile::Install {
        let caches = home.into_iter().flat_map(|home| places::CACHES.map(|cache| home.join(cache)));
        writable.extend(caches.filter_map(|cache| fs::canonicalize(cache).ok()));
        visible.extend(index_files(ask, home));
    }

    // What was named in so many words is shown, secret or not.
    let is_asked_for = |path: &Path| read.iter().chain(&writable).any(|asked| asked == path);
    let mut hidden: BTreeSet<PathBuf> = BTreeSet::new();
    let in_home = |list: &[&str]| -> Vec<PathBuf> {
        home.into_iter().flat_map(|home| list.iter().map(|place| home.join(place))).collect()
    };
    hidden.extend(places::SYSTEM_SECRETS.iter().map(PathBuf::from));
    hidden.extend(in_home(places::HOME_SECRETS));
    hidden.extend((here.variable)("KEYMOAT_DATA_DIR").map(PathBuf::from));
    let mut found = Found::default();
    for tree in writable.iter().chain(&read) {
        secrets::search(tree, &mut found);
    }
    if visible.contains(&here.work) && home == Some(here.work.as_path()) {
        secrets::search(&here.work, &mut found);
        if found.is_cut_short {
            return Err("the home directory holds too many files to search them for secrets; \
                 hint: start in a project's directory"
                .to_owned());
        }
    }
    let trees: Vec<&Path> = visible.iter().chain(&writable).map(PathBuf::as_path).collect();
    let is_shown = |path: &Path| trees.iter().any(|tree| path.starts_with(tree));
    found.files.retain(|file| is_shown(file) && !is_asked_for(file));
    found.files.sort_unstable();
    found.files.dedup();
    hidden.extend(found.files.iter().cloned());
    found.sockets.extend(sockets());
    hidden.extend(found.sockets.into_iter().filter(|socket| is_shown(socket)));
    let holds_asked = |path: &Path| {
        let asked = read.iter().chain(&writable).chain([&here.work]);
        let kept = visible.iter().filter(|tree| is_index_file(tree, home));
        asked.chain(kept).any(|asked| asked.starts_with(path))
    };
    hidden.retain(|path| is_shown(path) && !holds_asked(path));

    let mut fixed = in_home(&places::HOME_STARTS);
    for tree in writable.iter().chain([&here.work]) {
        fixed.extend(places::PROJECT_STARTS.map(|place| tree.join(place)));
    }
    let is_writable = |path: &Path| writable.iter().any(|tree| path.starts_with(tree));
    fixed.retain(|path| {
        let is_link = fs::symlink_metadata(path).is_ok_and(|kind| kind.is_symlink());
        !is_link && is_writable(path) && !is_asked_for(path) && !hidden.contains(path)
    });
    fixed.sort_unstable();
    fixed.dedup();

    let is_home_private = home.is_some_and(|home| {
        home.parent().is_some()
            && !visible.iter().any(|tree| home != tree && home.starts_with(tree))
    });
    layout.secrets = found.files;
    layout.is_cut_short = found.is_cut_short;
    layout.plan = Plan {
        work: here.work.clone(),
        home: home.filter(|_| is_home_private).map(Path::to_owned),
        visible: visible.into_iter().collect(),
        writable,
        fixed,
        hidden: hidden.into_iter().collect(),
        ports: Vec::new(),
        has_door: false,
        landlock_abi_max: None,
    };
    Ok(layout)
}

fn resolved(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let resolve = |path: &PathBuf| {
        fs::canonicalize(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    paths.iter().map(resolve).collect()
}

fn system() -> impl Iterator<Item = PathBuf> {
    // A link stays a link: its target is in the list too.
    let is_tree = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|kind| kind.is_dir());
    places::SYSTEM.iter().map(PathBuf::from).filter(is_tree)
}

/// Trees of the tools that the command may need: known ones in the home, those that
/// variables and `PATH` name, and those of the command itself.
fn tools(ask: &Ask, here: &Here<'_>) -> Vec<PathBuf> {
    let home = here.home.as_deref();
    let mut tools: Vec<PathBuf> = Vec::new();
    let known = home.into_iter().flat_map(|home| places::TOOLS.map(|tool| home.join(tool)));
    tools.extend(known.filter_map(|tool| fs::canonicalize(tool).ok()));
    let named = places::TOOL_VARIABLES.iter().filter_map(|name| (here.variable)(name));
    for tree in named.map(PathBuf::from).filter(|tree| tree.is_absolute()) {
        tools.extend(fs::canonicalize(&tree).ok());
        tools.extend(chain(&tree.join("bin/python"), home));
    }
    let search = (here.variable)("PATH").unwrap_or_default();
    let search: Vec<PathBuf> = std::env::split_paths(&search).filter(|p| p.is_absolute()).collect();
    for folder in &search {
        tools.extend(fs::canonicalize(folder).ok().map(|folder| installation(&folder, home)));
    }
    for name in [".venv/bin/python", "venv/bin/python"] {
        tools.extend(chain(&here.work.join(name), home));
    }
    let Some(command) = ask.command.first().map(Path::new) else { return tools };
    let file = if command.components().count() > 1 {
        Some(here.work.join(command))
    } else {
        search.iter().map(|folder| folder.join(command)).find(|file| file.is_file())
    };
    let Some(file) = file else { return tools };
    tools.extend(chain(&file, home));
    if let Some(interpreter) = interpreter(&file) {
        tools.extend(chain(&interpreter, home));
    }
    tools
}

/// Installations of each file on the way from a link to what it leads to.
fn chain(file: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut file = file.to_owned();
    for _ in 0..LINKS_MAX {
        let Some(Ok(folder)) = file.parent().map(fs::canonicalize) else { break };
        if !file.exists() {
            break;
        }
        found.push(installation(&folder, home));
        let Ok(target) = fs::read_link(&file) else { break };
        file = folder.join(target);
    }
    found
}

/// Tree that belongs to a directory of programs: the prefix of `prefix/bin`.
fn installation(folder: &Path, home: Option<&Path>) -> PathBuf {
    let is_programs = |name: &OsStr| {
        ["bin", "sbin", "shims", "condabin", "libexec"].iter().any(|known| name == *known)
    };
    let prefix = folder.parent().filter(|_| folder.file_name().is_some_and(is_programs));
    let is_own = |prefix: &&Path| {
        let shared = [home.map(Path::to_owned), home.map(|home| home.join(".local"))];
        prefix.parent().is_some()
            && !shared.iter().flatten().any(|shared| shared.starts_with(prefix))
    };
    prefix.filter(is_own).unwrap_or(folder).to_owned()
}

/// Interpreter that a script names in its first line.
fn interpreter(script: &Path) -> Option<PathBuf> {
    use std::io::{BufRead as _, Read as _};
    let mut line = Vec::new();
    let file = fs::File::open(script).ok()?.take(512);
    std::io::BufReader::new(file).read_until(b'\n', &mut line).ok()?;
    let line = String::from_utf8(line).ok()?;
    let path = line.strip_prefix("#!")?.split_whitespace().next()?;
    Some(PathBuf::from(path))
}

/// Files in which the package manager finds its index, if the command is one.
fn index_files(ask: &Ask, home: Option<&Path>) -> Vec<PathBuf> {
    let words = ask.command.iter().take(4).filter_map(|word| Path::new(word).file_name());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let is_run = |manager: &str| {
        words
            .iter()
            .any(|word| word.trim_end_matches(|l: char| l.is_ascii_digit() || l == '.') == manager)
    };
    let lists = places::INDEX_FILES.iter().filter(|(manager, _)| is_run(manager));
    let files = lists.flat_map(|(_, files)| *files);
    let files = home.into_iter().flat_map(|home| files.clone().map(|file| home.join(file)));
    files.filter_map(|file| fs::canonicalize(file).ok()).collect()
}

fn is_index_file(path: &Path, home: Option<&Path>) -> bool {
    let files = places::INDEX_FILES.iter().flat_map(|(_, files)| *files);
    home.is_some_and(|home| files.clone().any(|file| home.join(file) == path))
}

/// Paths of Unix sockets that someone listens on.
fn sockets() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let paths = table.lines().filter_map(|line| line.split_once(" /").map(|(_, rest)| rest));
    let paths = paths.filter_map(|rest| fs::canonicalize(format!("/{rest}")).ok());
    let is_socket =
        |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|kind| kind.file_type().is_socket());
    paths.filter(is_socket).collect()
}
