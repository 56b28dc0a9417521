//! `keymoat canary`, where no gateway runs: in its database.

use crate::victim::Victim;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_decoy_is_made_where_no_real_file_is_and_listed_without_its_value() {
    let victim = Victim::new("canary");
    let refused = victim.refuses(&["canary", "new", "--file", ".env.old"]);
    assert!(refused.contains("no database"), "{refused}");
    assert!(!victim.0.join(".env.old").exists(), "a key whose making failed leaves no file");

    victim.database(&["shop"]);
    let told = victim.does(&["canary", "new", "--file", ".env.old", "--alias", "decoy-1"]);
    assert!(told.contains("decoy-1") && told.contains(".env.old"), "{told}");
    let file = victim.read(".env.old");
    let mode = fs::metadata(victim.0.join(".env.old")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let value = file.lines().next().unwrap().strip_prefix("OPENAI_API_KEY=").unwrap();
    assert!(file.contains("OPENAI_BASE_URL=http://127.0.0.1:9/v1"), "{file}");
    let refused = victim.refuses(&["canary", "new", "--file", ".env.old"]);
    assert!(refused.contains("a file of its own"), "{refused}");
    assert_eq!(victim.read(".env.old"), file, "no file is overwritten");

    let variable = ["--variable", "ANTHROPIC_API_KEY"];
    victim.does(&[&["canary", "new", "--file", "b.env"], &variable[..]].concat());
    let other = victim.read("b.env");
    assert!(other.starts_with("ANTHROPIC_API_KEY=sk-"), "{other}");
    assert!(other.contains("ANTHROPIC_BASE_URL=http://127.0.0.1:9\n"), "{other}");
    victim.refuses(&["canary", "new", "--file", "c.env", "--variable", "A B"]);

    let printed = victim.does(&["canary", "new"]);
    assert!(printed.starts_with("sk-") && printed.contains("shown once"), "{printed}");
    let json = victim.does(&["canary", "new", "--json", "--alias", "decoy-3"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.get("alias").unwrap(), "decoy-3");
    assert!(json.get("key").unwrap().as_str().unwrap().starts_with("sk-"));

    let list = victim.does(&["canary", "list"]);
    assert!(list.contains("decoy-1") && list.contains("never") && !list.contains(value), "{list}");
    let json = victim.does(&["canary", "list", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.get("canaries").unwrap().as_array().unwrap().len(), 4);
}
