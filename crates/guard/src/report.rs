//! Reports that are about something else than packages, and reports out of
//! which secrets are taken.

use crate::advisory::Advisories;
use crate::audit::{self, About, Report};
use crate::finding::{Finding, Outcome};
use crate::inventory::Place;
use crate::manifest::Reading;
use base::Redactor;
use base::clock::rfc3339;
use std::cmp::Reverse;
use std::path::{Path, PathBuf};

impl Report {
    /// A report on `about`, which holds no packages and asks no advisories.
    pub(crate) fn without_packages(
        about: About,
        now_ms: i64,
        mut reading: Reading,
        files: Vec<PathBuf>,
    ) -> Self {
        let order = |a: &Finding, b: &Finding| {
            let rank = |f: &Finding| (Reverse(f.severity), f.kind);
            rank(a).cmp(&rank(b)).then_with(|| a.subject.cmp(&b.subject))
        };
        reading.findings.sort_by(order);
        reading.gaps.sort_by(|a, b| (a.why, &a.subject).cmp(&(b.why, &b.subject)));
        Self {
            about,
            at: rfc3339(now_ms),
            outcome: Outcome::of(&reading.findings, &reading.gaps),
            findings: reading.findings,
            gaps: reading.gaps,
            files,
            ignored: Vec::new(),
            packages: 0,
            known: Vec::new(),
            inventory: Vec::new(),
            advisories: Vec::new(),
        }
    }

    /// The same, for which `advisories` were asked.
    pub(crate) fn asking(mut self, advisories: &Advisories) -> Self {
        self.advisories = audit::asked(advisories);
        self
    }

    /// The same without any value that `redactor` knows, wherever it stands:
    /// names of files can hold a secret too.
    pub(crate) fn cleaned(mut self, redactor: &Redactor) -> Self {
        let text = |text: &mut String| *text = redactor.clean(text).into_owned();
        let path = |path: &Path| PathBuf::from(&*redactor.clean(&path.to_string_lossy()));
        let place = |at: &mut Option<Place>| {
            if let Some(at) = at {
                *at = Place::whole(path(&at.file)).at(at.line);
            }
        };
        for finding in &mut self.findings {
            for part in [&mut finding.subject, &mut finding.meaning, &mut finding.do_first] {
                text(part);
            }
            for evidence in &mut finding.evidence {
                text(&mut evidence.text);
                place(&mut evidence.place);
            }
        }
        for gap in &mut self.gaps {
            for part in [&mut gap.subject, &mut gap.text, &mut gap.do_first] {
                text(part);
            }
            place(&mut gap.place);
        }
        self.files = self.files.iter().map(|file| path(file)).collect();
        self
    }
}
