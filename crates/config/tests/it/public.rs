//! Files of the shapes that people have: they start with two providers' keys.

use crate::{env, testdata};
use std::path::{Path, PathBuf};

const KEYS: [(&str, &str); 3] = [
    ("OPENAI_API_KEY", "sk-openai-marked-secret"),
    ("ANTHROPIC_API_KEY", "sk-ant-marked-secret"),
    ("LITELLM_MASTER_KEY", "sk-6fa1c2d3e4b5968778695a4b3c2d1e0f"),
];

/// Returns false if the file is refused for the one thing that it may be.
fn starts(file: &Path) -> bool {
    let loaded = config::load(file, &env(&KEYS));
    let text = loaded.report.render_text(false);
    assert!(!text.contains("marked-secret"), "{}: {text}", file.display());
    for left_out in &loaded.report.left_out {
        assert!(!left_out.reason.is_empty() && left_out.place.contains(':'), "{left_out:?}");
        assert!(text.contains(&*left_out.reason), "{}: {text}", file.display());
    }
    loaded.config.is_some()
        || text.contains("PostgreSQL is not supported")
        || text.contains("general_settings.database_url\n  the environment variable")
}

#[test]
fn mixed_providers_and_images_start_with_two_keys() {
    let file = testdata().join("public_shapes/config.yaml");
    let loaded = config::load(&file, &env(&KEYS));
    let problems = loaded.report.render_problems(false);
    let config = loaded.config.unwrap_or_else(|| panic!("{problems}"));
    let groups: Vec<_> = config.deployments.iter().map(|each| &*each.model_group).collect();
    assert_eq!(groups, ["big", "small", "openai/*"]);
    assert_eq!(loaded.report.verdict(), "can be served: 3 of 11 models");
}

#[test]
fn a_file_with_only_a_provider_that_is_not_supported_yet_starts_and_serves_nothing() {
    let dir = std::env::temp_dir().join(format!("keymoat-unsupported-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let served = |model: &str| {
        let file = dir.join("config.yaml");
        let yaml = format!("model_list:\n- model_name: m\n  litellm_params: {{model: {model}}}\n");
        std::fs::write(&file, yaml).unwrap();
        let loaded = config::load(&file, &env(&KEYS));
        (loaded.config.is_some(), loaded.report.left_out.len())
    };
    assert_eq!(served("bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"), (true, 1));
    assert_eq!(served("no_such_provider/model"), (false, 1), "a mistake in the file");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn public_configurations_start_but_for_their_database() {
    let root = ["../../../shared/cases/configs", "../../../../shared/cases/configs"]
        .map(|path| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path))
        .into_iter()
        .find(|path| path.exists());
    let Some(root) = root else {
        println!("SKIPPED: there is no ../shared/cases/configs");
        return;
    };
    let files: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(!files.is_empty());
    let refused: Vec<_> = files.iter().filter(|file| !starts(file)).collect();
    assert!(refused.is_empty(), "{refused:?}");
}
