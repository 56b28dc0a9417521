//! The rules: what each is called for ever, what it means, and what to do.
//!
//! An id is never changed and never used for another thing; text is
//! presentation. Tables, JSON, SARIF, ignore files and `keymoat explain` name
//! the same ids.

use serde::{Serialize, Serializer};

/// A rule that a finding breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A release that was made to do harm.
    MaliciousRelease,
    /// A file that is known as malicious.
    MaliciousFile,
    /// A release with a known hole.
    VulnerableRelease,
    /// Start-up code that does harm.
    StartupHarm,
    /// Start-up code that is not known.
    StartupUnknown,
    /// A path file that adds another place.
    StartupPath,
    /// Code that executes hidden text.
    ExecutesHidden,
    /// Code that executes what it fetches.
    ExecutesFetched,
    /// Code that executes what sound or pictures carry.
    ExecutesMedia,
    /// Code that sends secrets away.
    SendsSecrets,
    /// Code that sends what people type or hand over.
    SendsInput,
    /// Code that gives a shell to somebody else.
    GivesShell,
    /// Code that reads several kinds of secrets.
    ReadsSecrets,
    /// Code that makes something come back by itself.
    Persists,
    /// Code that fetches a file and starts a program.
    FetchesAndStarts,
    /// Code that writes a program that hides what it does.
    Plants,
    /// Code that executes a file that is no module.
    ExecutesFile,
    /// Data that calls functions when it is loaded.
    BuildsObjects,
    /// Code that starts a program that it carries.
    StartsFile,
    /// Code that imports from an archive that it carries.
    AddsPath,
    /// Code that has a package manager install something.
    Installs,
    /// Code that has an agent act without asking.
    DrivesAgent,
    /// Source that reads otherwise than Python reads it.
    Disguises,
    /// Code that turns off the checks of certificates.
    Unchecks,
    /// Code that makes files unusable.
    Destroys,
    /// Code that publishes or pushes.
    Publishes,
    /// Code that nobody can read.
    Unreadable,
    /// Conduct that the release before did not have.
    NewConduct,
    /// A file that is not as it was recorded.
    Changed,
    /// Recorded files that are gone.
    Missing,
    /// Files that nobody recorded.
    Unrecorded,
    /// A file that its wheel does not list.
    Unlisted,
    /// A file outside of its environment.
    Leaves,
    /// Distributions that lie over each other.
    Doubled,
    /// A link out of the environment.
    Link,
    /// A file that its lock does not allow.
    NotAllowed,
    /// Copies of one release that differ.
    CopiesDiffer,
    /// An environment that is not as its lock says.
    NotLocked,
    /// An archive that tools read differently.
    OddArchive,
    /// A file named after another distribution.
    NamedOtherwise,
    /// A layer that is not its digest.
    ForgedLayer,
    /// A command that no installer wrote.
    OddCommand,
    /// Other files under the same version.
    OtherFiles,
    /// Files inside of another distribution.
    Overwrites,
    /// A command called like another program.
    TakesName,
    /// Settings that weaken where packages come from.
    IndexSettings,
    /// A source archive that is built where it is installed.
    Builds,
    /// A name near a popular one.
    NearName,
    /// A publisher that is not the one before.
    NewPublisher,
    /// A dependency that was not needed before.
    NewDependency,
    /// A file from another place than its registry.
    Elsewhere,
    /// A range that lets in a malicious release.
    LetsBadIn,
    /// What would be installed is not fixed.
    NotFixed,
    /// Pins without a strong hash.
    NoHash,
    /// Images and actions that are not fixed.
    NoDigest,
    /// A project file that starts a program.
    StartsProgram,
    /// A project file that fetches and executes.
    ProjectHarm,
    /// A release that is younger than agreed.
    Cooldown,
    /// An entry of the ignore file that does not count.
    IgnoreEntry,
    /// What came very recently.
    Recent,
    /// What is new in a release.
    NewFiles,
    /// A key that others can take.
    Key,
    /// A store of credentials.
    KeyStore,
    /// A trace that an attack is known to leave.
    Trace,
    /// What starts by itself.
    StartsItself,
    /// Who listens, and who talks to whom.
    Connection,
    /// A program among temporary files that has the network open.
    LooseProgram,
}

/// A rule as documentation has it.
#[derive(Clone, Copy, Debug)]
pub struct Explained {
    /// Its id.
    pub id: &'static str,
    /// One line.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// An example.
    pub example: &'static str,
    /// What to do first.
    pub what_to_do: &'static str,
}

impl Rule {
    /// All of them, by family.
    pub const ALL: [Self; 67] = [
        Self::MaliciousRelease,
        Self::MaliciousFile,
        Self::VulnerableRelease,
        Self::StartupHarm,
        Self::StartupUnknown,
        Self::StartupPath,
        Self::ExecutesHidden,
        Self::ExecutesFetched,
        Self::ExecutesMedia,
        Self::SendsSecrets,
        Self::SendsInput,
        Self::GivesShell,
        Self::ReadsSecrets,
        Self::Persists,
        Self::FetchesAndStarts,
        Self::Plants,
        Self::ExecutesFile,
        Self::BuildsObjects,
        Self::StartsFile,
        Self::AddsPath,
        Self::Installs,
        Self::DrivesAgent,
        Self::Disguises,
        Self::Unchecks,
        Self::Destroys,
        Self::Publishes,
        Self::Unreadable,
        Self::NewConduct,
        Self::Changed,
        Self::Missing,
        Self::Unrecorded,
        Self::Unlisted,
        Self::Leaves,
        Self::Doubled,
        Self::Link,
        Self::NotAllowed,
        Self::CopiesDiffer,
        Self::NotLocked,
        Self::OddArchive,
        Self::NamedOtherwise,
        Self::ForgedLayer,
        Self::OddCommand,
        Self::OtherFiles,
        Self::Overwrites,
        Self::TakesName,
        Self::IndexSettings,
        Self::Builds,
        Self::NearName,
        Self::NewPublisher,
        Self::NewDependency,
        Self::Elsewhere,
        Self::LetsBadIn,
        Self::NotFixed,
        Self::NoHash,
        Self::NoDigest,
        Self::StartsProgram,
        Self::ProjectHarm,
        Self::Cooldown,
        Self::IgnoreEntry,
        Self::Recent,
        Self::NewFiles,
        Self::Key,
        Self::KeyStore,
        Self::Trace,
        Self::StartsItself,
        Self::Connection,
        Self::LooseProgram,
    ];

    /// The id, such as `KM-PTH-001`.
    pub fn id(self) -> &'static str {
        self.explained().id
    }

    /// The rule called `id`, in any case of letters.
    pub fn called(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.id().eq_ignore_ascii_case(id))
    }

    /// What documentation says of it.
    #[expect(clippy::too_many_lines, reason = "a table")]
    pub fn explained(self) -> Explained {
        let (id, title, why, example, what_to_do) = match self {
            Self::MaliciousRelease => (
                "KM-MAL-001",
                "A release that was made to do harm",
                "An advisory says that this release was published to do harm.",
                "litellm==1.82.8 in a lock file",
                "Treat every machine that installed it as compromised: isolate it, remove what starts by itself, then replace every secret from a clean machine.",
            ),
            Self::MaliciousFile => (
                "KM-MAL-002",
                "A file that is known as malicious",
                "Its SHA-256 is on the list of files that attacks left.",
                "an installed litellm_init.pth",
                "Cut the machine off the network, keep the file, and replace every secret from a clean machine.",
            ),
            Self::VulnerableRelease => (
                "KM-VUL-001",
                "A release with a known hole",
                "An advisory says that others can use a hole in this release.",
                "litellm==1.82.6",
                "Update to the first release without it, with the tool that wrote the file.",
            ),
            Self::StartupHarm => (
                "KM-PTH-001",
                "Start-up code that does harm",
                "It runs at every Python start and does what no start-up code needs to.",
                "a .pth line that starts an interpreter with decoded text",
                "Start no Python in this environment. Isolate the machine, keep the file, replace every secret.",
            ),
            Self::StartupUnknown => (
                "KM-PTH-002",
                "Start-up code that is not known",
                "It runs at every Python start, and this version of Keymoat does not know the line.",
                "a .pth line `import helper`",
                "Find out which tool put it there, and read it.",
            ),
            Self::StartupPath => (
                "KM-PTH-003",
                "A path file that adds another place",
                "Modules are also taken from outside of the environment.",
                "/home/me/src in a .pth file",
                "Make sure that nobody else can write to that path.",
            ),
            Self::ExecutesHidden => (
                "KM-COD-001",
                "Code that executes hidden text",
                "It executes what it decodes or computes from unreadable literals.",
                "exec(b64decode(\"…\"))",
                "Do not install it. Compare the file with the public source.",
            ),
            Self::ExecutesFetched => (
                "KM-COD-002",
                "Code that executes what it fetches",
                "What runs is decided by whoever holds the other end.",
                "exec(urlopen(url).read()), curl … | sh",
                "Do not install it. If it ran, look for what it left behind.",
            ),
            Self::ExecutesMedia => (
                "KM-COD-003",
                "Code that executes what sound or pictures carry",
                "No such file has code in it unless somebody hid it there.",
                "exec of the low bits of a PNG",
                "Do not install it.",
            ),
            Self::SendsSecrets => (
                "KM-COD-004",
                "Code that sends secrets away",
                "What a secret file, the environment or a variable with a secret holds leaves the machine.",
                "requests.post(url, data=os.environ[\"AWS_SECRET_ACCESS_KEY\"])",
                "If it ran, replace every secret that was readable, from a clean machine.",
            ),
            Self::SendsInput => (
                "KM-COD-005",
                "Code that sends what people type or hand over",
                "It replaces a function of another module, or watches keys or the screen, and sends what it sees.",
                "getpass.getpass = own function that posts",
                "If it ran, replace what was typed.",
            ),
            Self::GivesShell => (
                "KM-COD-006",
                "Code that gives a shell to somebody else",
                "The other end of a connection is at the keyboard.",
                "dup2 of a socket, then pty.spawn",
                "Isolate the machine.",
            ),
            Self::ReadsSecrets => (
                "KM-COD-007",
                "Code that reads several kinds of secrets",
                "Honest code reads what belongs to it.",
                "~/.ssh, ~/.aws and wallets in one module",
                "Read the file before it is used again.",
            ),
            Self::Persists => (
                "KM-COD-008",
                "Code that makes something come back by itself",
                "It writes a unit, a start-up file or settings of an agent.",
                "open(\"~/.bashrc\", \"a\")",
                "Look for what it put there.",
            ),
            Self::FetchesAndStarts => (
                "KM-COD-009",
                "Code that fetches a file and starts a program",
                "What was fetched is not in the package.",
                "urlretrieve, chmod, Popen",
                "Read it; install from a wheel that needs no download.",
            ),
            Self::Plants => (
                "KM-COD-010",
                "Code that writes a program that hides what it does",
                "The program lands where nobody looks.",
                "open(\"x.py\", \"w\").write(\"exec(…)\")",
                "Look for the file that it writes.",
            ),
            Self::ExecutesFile => (
                "KM-COD-011",
                "Code that executes a file that is no module",
                "Tools that look at modules do not see it.",
                "exec(open(\"words.txt\").read())",
                "Read the file that it executes.",
            ),
            Self::BuildsObjects => (
                "KM-COD-012",
                "Data that calls functions when it is loaded",
                "A pickle, a model or a YAML file names functions of the system.",
                "a .pkl with posix.system",
                "Do not load it.",
            ),
            Self::StartsFile => (
                "KM-COD-013",
                "Code that starts a program that it carries",
                "Reading Python does not say what the program does.",
                "Popen([\"node\", \"static/app.js\"]) at import",
                "Find out what the program is.",
            ),
            Self::AddsPath => (
                "KM-COD-014",
                "Code that imports from an archive that it carries",
                "What is in the archive is not what people read.",
                "sys.path.insert(0, \"data.zip\")",
                "Look into the archive.",
            ),
            Self::Installs => (
                "KM-COD-015",
                "Code that has a package manager install something",
                "What comes is in no lock.",
                "pip install at import",
                "Find out what it installs, and lock it.",
            ),
            Self::DrivesAgent => (
                "KM-COD-016",
                "Code that has an agent act without asking",
                "A coding agent reads and sends whatever it is told to.",
                "claude --dangerously-skip-permissions -p …",
                "If it ran, look at what the agent did.",
            ),
            Self::Disguises => (
                "KM-COD-017",
                "Source that reads otherwise than Python reads it",
                "Look-alike letters, turned order of letters or an odd encoding.",
                "a function name with one Cyrillic letter",
                "Compare it with the public source.",
            ),
            Self::Unchecks => (
                "KM-COD-018",
                "Code that turns off the checks of certificates",
                "Everything in the same process is open to whoever sits on the way.",
                "ssl._create_default_https_context = …",
                "Remove it.",
            ),
            Self::Destroys => (
                "KM-COD-019",
                "Code that makes files unusable",
                "It removes or overwrites what people have.",
                "rm -rf ~ at import",
                "Isolate the machine; restore from a backup.",
            ),
            Self::Publishes => (
                "KM-COD-020",
                "Code that publishes or pushes",
                "So do worms, with the credentials that they find.",
                "twine upload at import",
                "Look at what was published in your name.",
            ),
            Self::Unreadable => (
                "KM-COD-021",
                "Code that nobody can read",
                "Compiled code or bytecode in a package that says it has none.",
                "a .pyc without its source in a pure wheel",
                "Build it from source, or take another release.",
            ),
            Self::NewConduct => (
                "KM-COD-022",
                "Conduct that the release before did not have",
                "A new release does more than the old one.",
                "the first network call at import",
                "Ask its authors before you install it.",
            ),
            Self::Changed => (
                "KM-INT-001",
                "A file that is not as it was recorded",
                "Its SHA-256 is not the one in RECORD.",
                "an edited module",
                "Compare it with the genuine wheel.",
            ),
            Self::Missing => (
                "KM-INT-002",
                "Recorded files that are gone",
                "Slimmed images look like this, and so does a clean-up.",
                "a removed module",
                "Install it again from a file whose hash you know.",
            ),
            Self::Unrecorded => (
                "KM-INT-003",
                "Files that nobody recorded",
                "They were put beside the installed packages by something else.",
                "a module in no RECORD",
                "Find out what put it there.",
            ),
            Self::Unlisted => (
                "KM-INT-004",
                "A file that its wheel does not list",
                "Build tools do not make such wheels.",
                "a file without a RECORD line",
                "Compare the wheel with the source.",
            ),
            Self::Leaves => (
                "KM-INT-005",
                "A file outside of its environment",
                "A package writes where it has no business.",
                "../../../etc in RECORD",
                "Look at that path.",
            ),
            Self::Doubled => (
                "KM-INT-006",
                "Distributions that lie over each other",
                "Nobody can say which files are whose.",
                "two versions of one distribution",
                "Make the environment again from a lock.",
            ),
            Self::Link => (
                "KM-INT-007",
                "A link out of the environment",
                "Whoever can write where it leads decides what runs here.",
                "a package folder that is a link",
                "Find out who made it.",
            ),
            Self::NotAllowed => (
                "KM-INT-008",
                "A file that its lock does not allow",
                "It has the name of a pinned release and the hash of none of its files.",
                "a changed wheel in a cache",
                "Fetch the release again by the lock.",
            ),
            Self::CopiesDiffer => (
                "KM-INT-009",
                "Copies of one release that differ",
                "One of them was changed together with its RECORD.",
                "two installations of one wheel",
                "Compare both with the file that the index gives.",
            ),
            Self::NotLocked => (
                "KM-INT-010",
                "An environment that is not as its lock says",
                "Somebody installed past the lock.",
                "another version than the lock has",
                "Make the environment again from the lock.",
            ),
            Self::OddArchive => (
                "KM-INT-011",
                "An archive that tools read differently",
                "It is made to write elsewhere or to show two contents.",
                "a member called ../x",
                "Do not unpack it.",
            ),
            Self::NamedOtherwise => (
                "KM-INT-012",
                "A file named after another distribution",
                "Locks go by the name, installers by the content.",
                "requests-2.0.whl that holds thing",
                "Do not install it.",
            ),
            Self::ForgedLayer => (
                "KM-INT-013",
                "A layer that is not its digest",
                "It was changed after the image was made.",
                "a layer with another SHA-256",
                "Fetch the image again by its digest.",
            ),
            Self::OddCommand => (
                "KM-INT-014",
                "A command that no installer wrote",
                "It runs instead of what people think they start.",
                "bin/pip as a shell script",
                "Read it; make the environment again.",
            ),
            Self::OtherFiles => (
                "KM-INT-015",
                "Other files under the same version",
                "Public indexes do not allow that.",
                "new hashes for an old version in a lock",
                "Install from the earlier lock.",
            ),
            Self::Overwrites => (
                "KM-INT-016",
                "Files inside of another distribution",
                "It replaces code of a package that people trust.",
                "a wheel with requests/adapters.py",
                "Do not install it.",
            ),
            Self::TakesName => (
                "KM-INT-017",
                "A command called like another program",
                "Whoever types the name starts this one.",
                "an entry point called pip",
                "Do not install it.",
            ),
            Self::IndexSettings => (
                "KM-ORI-001",
                "Settings that weaken where packages come from",
                "An index can be confused or changed under way.",
                "--extra-index-url",
                "Use one index, over https.",
            ),
            Self::Builds => (
                "KM-ORI-002",
                "A source archive that is built where it is installed",
                "Its code runs before anybody has imported it.",
                "thing-1.0.tar.gz",
                "Install from wheels.",
            ),
            Self::NearName => (
                "KM-ORI-003",
                "A name near a popular one",
                "Attackers register such names and wait.",
                "reqeusts",
                "Make sure that the name is meant.",
            ),
            Self::NewPublisher => (
                "KM-ORI-004",
                "A publisher that is not the one before",
                "Stolen tokens publish without the attestation of the project.",
                "an attestation that is gone",
                "Ask the project.",
            ),
            Self::NewDependency => (
                "KM-ORI-005",
                "A dependency that was not needed before",
                "Harm comes in without a line of it in the package.",
                "a new package in a patch release",
                "Look at that package first.",
            ),
            Self::Elsewhere => (
                "KM-ORI-006",
                "A file from another place than its registry",
                "A lock can name any address for a package.",
                "a wheel address that is not the index of its package",
                "Make the lock again, and compare the addresses.",
            ),
            Self::LetsBadIn => (
                "KM-PIN-001",
                "A range that lets in a malicious release",
                "Whoever installed from this file may have got it.",
                "litellm>=1.80",
                "Pin a release that is known as good.",
            ),
            Self::NotFixed => (
                "KM-PIN-002",
                "What would be installed is not fixed",
                "Each run takes the newest release.",
                "pip install thing in a pipeline",
                "Install from a lock file with hashes.",
            ),
            Self::NoHash => (
                "KM-PIN-003",
                "Pins without a strong hash",
                "Another file can come under the same version.",
                "thing==1.0",
                "Write the hashes into the file.",
            ),
            Self::NoDigest => (
                "KM-PIN-004",
                "Images and actions that are not fixed",
                "A tag can be moved.",
                "uses: owner/action@v1",
                "Name the digest or the commit.",
            ),
            Self::StartsProgram => (
                "KM-PRJ-001",
                "A project file that starts a program",
                "It runs when the folder is opened, entered, built or tested.",
                "a task with runOn: folderOpen",
                "Read it before the folder is opened in an editor.",
            ),
            Self::ProjectHarm => (
                "KM-PRJ-002",
                "A project file that fetches and executes",
                "Opening or building the project is enough.",
                "curl … | sh in .vscode/tasks.json",
                "Do not open the project in an editor, and start nothing in it.",
            ),
            Self::Cooldown => (
                "KM-POL-001",
                "A release that is younger than agreed",
                "Bad releases are usually found within days, by others.",
                "a release of yesterday",
                "Wait, or decide otherwise in the open.",
            ),
            Self::IgnoreEntry => (
                "KM-POL-002",
                "An entry of the ignore file that does not count",
                "What it is about is reported as if it were not there.",
                "an entry without a reason",
                "Give it a reason and an end, or remove it.",
            ),
            Self::Recent => (
                "KM-REC-001",
                "What came very recently",
                "What is newer than days has been looked at by few.",
                "a package installed an hour ago",
                "Look at these first if something is wrong.",
            ),
            Self::NewFiles => (
                "KM-REC-002",
                "What is new in a release",
                "So that a reader knows where to look.",
                "the list of new files",
                "Nothing, if the rest is explained.",
            ),
            Self::Key => (
                "KM-SEC-001",
                "A key that others can take",
                "Whoever reads it can spend on its account.",
                "OPENAI_API_KEY in .env",
                "Replace it by a virtual key with a daily cap, and end it at its issuer.",
            ),
            Self::KeyStore => (
                "KM-SEC-002",
                "A store of credentials",
                "Everything that you run can read it.",
                "~/.aws/credentials",
                "Nothing now.",
            ),
            Self::Trace => (
                "KM-IND-001",
                "A trace that an attack is known to leave",
                "What ran here read every secret that it could reach.",
                "~/.config/sysmon/sysmon.py",
                "Cut the machine off the network, and keep its disk.",
            ),
            Self::StartsItself => (
                "KM-PER-001",
                "What starts by itself",
                "It runs without anybody asking.",
                "a unit that downloads and runs",
                "Find out who put it there.",
            ),
            Self::Connection => (
                "KM-CON-001",
                "Who listens, and who talks to whom",
                "A list, to find the one that nobody knows.",
                "a socket on all addresses",
                "Find the one that nobody knows.",
            ),
            Self::LooseProgram => (
                "KM-CON-002",
                "A program among temporary files that has the network open",
                "Installed software does not lie there.",
                "/tmp/x with a connection",
                "Cut the machine off the network, and keep a copy.",
            ),
        };
        Explained { id, title, why, example, what_to_do }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_rule_has_an_id_of_its_own_and_is_explained() {
        let ids: BTreeSet<&str> = Rule::ALL.into_iter().map(Rule::id).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
        for (at, rule) in Rule::ALL.into_iter().enumerate() {
            let explained = rule.explained();
            assert_eq!((rule as usize, Rule::called(explained.id)), (at, Some(rule)));
            for text in [explained.title, explained.why, explained.example, explained.what_to_do] {
                assert!(!text.is_empty(), "{rule}");
            }
        }
    }
}
