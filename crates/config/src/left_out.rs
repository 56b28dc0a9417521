//! Deployments that cannot be served, and the rest, which is.
//!
//! One item of `model_list` that is wrong, or that needs what does not exist
//! here, must not keep the others from being served. It is left out with its
//! reason, and a call to its model group says so.

use crate::missing::{Covers, Missing};
use crate::node::Pos;
use crate::reader::{Field, Reader};
use crate::report::{Entry, LeftOut, Verdict};
use crate::types::Deployment;
use std::sync::Arc;

/// What `model_list` gives.
#[derive(Default)]
pub(crate) struct Models {
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) left_out: Vec<LeftOut>,
    /// Items.
    pub(crate) configured: usize,
}

/// What an item of `model_list` is called, as far as it could be read.
#[derive(Default)]
pub(crate) struct Named {
    pub(crate) model_group: String,
    pub(crate) id: String,
    pub(crate) model: String,
    /// It has tags other than `default`.
    pub(crate) is_tagged: bool,
    /// A protective setting of its own withholds it.
    pub(crate) withheld: Option<Arc<str>>,
}

impl Models {
    /// Number of items that are served.
    pub(crate) fn served(&self) -> usize {
        self.configured - self.left_out.len()
    }

    /// Takes an item: the entries of the report from `first` on are about it,
    /// and `built` are its deployments.
    pub(crate) fn take(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Field<'_>,
        first: usize,
        named: Named,
        mut built: Vec<Deployment>,
    ) {
        self.configured += 1;
        let cause = leave_out_errors(reader, first, &named.model_group);
        let place = |pos: Pos| place_of(reader, pos);
        let (reason, place, is_withheld) = if built.is_empty() {
            let unknown = || ("it cannot be read".to_owned(), place(item.key_pos));
            let (reason, place) = cause.unwrap_or_else(unknown);
            (Arc::from(reason), place, false)
        } else if let Some(reason) = named.withheld {
            (reason, place(item.key_pos), true)
        } else {
            let mut by = None;
            built.retain(|deployment| {
                let covers = |missing: &&Missing| missing.covers(deployment, named.is_tagged);
                let found = reader.missing.iter().find(covers);
                by = by.take().or_else(|| found.cloned());
                found.is_none()
            });
            match by.filter(|_| built.is_empty()) {
                Some(missing) => (missing.reason, missing.place.to_string(), true),
                None => return self.deployments.extend(built),
            }
        };
        if is_withheld {
            let message = format!("{} is not served: {reason}", subject(&named.model_group));
            reader.leave_out(item, message, "");
        }
        self.left_out.push(LeftOut {
            model_group: named.model_group.into(),
            id: named.id.into(),
            model: named.model.into(),
            reason,
            place: place.into(),
            is_withheld,
        });
    }
}

impl Missing {
    fn covers(&self, deployment: &Deployment, is_tagged: bool) -> bool {
        match &self.covers {
            Covers::Everything => true,
            Covers::Providers(ids) => {
                let provider = deployment.provider;
                ids.iter().any(|id| *id == provider.id || provider.aliases.contains(&id.as_str()))
            }
            Covers::Tagged => is_tagged,
        }
    }
}

/// Names the deployment in each problem that leaves it out; returns the first
/// one's message and place.
fn leave_out_errors(
    reader: &mut Reader<'_>,
    first: usize,
    model_group: &str,
) -> Option<(String, String)> {
    let subject = subject(model_group);
    let mut cause = None;
    for entry in reader.report.entries.get_mut(first..).unwrap_or_default() {
        if entry.verdict == Verdict::Error || entry.leaves_out {
            cause.get_or_insert_with(|| (entry.message.clone(), entry.place()));
            entry.message = format!("{subject} is left out: {}", entry.message);
            entry.leaves_out = true;
        }
    }
    cause
}

fn subject(model_group: &str) -> String {
    match model_group {
        "" => "this deployment".to_owned(),
        name => format!("the deployment `{}`", crate::names::shown(name)),
    }
}

fn place_of(reader: &Reader<'_>, pos: Pos) -> String {
    let file = reader.files.get(usize::from(pos.file)).cloned().unwrap_or_default();
    let entry = Entry {
        file,
        line: pos.line,
        column: pos.column,
        path: String::new(),
        verdict: Verdict::Exact,
        message: String::new(),
        hint: None,
        leaves_out: false,
    };
    entry.place()
}
