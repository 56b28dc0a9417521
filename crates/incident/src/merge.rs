//! Several machines, one incident: what was found on each is kept apart, so that
//! looking again at one of them replaces what is known of that one alone.

use crate::facts::{Exposed, Exposure, Incident, Place, Scope};

impl Incident {
    /// Takes in where the bad releases were; what was known of the same
    /// machines goes.
    pub fn found(&mut self, parts: Vec<Scope>) {
        self.scopes.retain(|old| parts.iter().all(|new| new.of != old.of));
        self.scopes.extend(parts);
        self.scopes.sort_by(|a, b| a.of.cmp(&b.of));
        let mut all = Scope::default();
        for part in &self.scopes {
            all.at = all.at.max(part.at.clone());
            add(&mut all.looked, &part.looked);
            add(&mut all.traces, &part.traces);
            add(&mut all.odd, &part.odd);
            add(&mut all.unknown, &part.unknown);
            all.places.extend(part.places.iter().cloned());
        }
        let key = |place: &Place| {
            (place.host.clone(), place.file.clone(), place.release.clone(), place.source.clone())
        };
        all.places.sort_by_cached_key(key);
        all.places.dedup();
        self.scope = Some(all);
    }

    /// Takes in which secrets were readable; what was known of the same machine
    /// goes.
    pub fn readable(&mut self, part: Exposure) {
        self.exposures.retain(|old| old.of != part.of);
        self.exposures.push(part);
        self.exposures.sort_by(|a, b| a.of.cmp(&b.of));
        let many = self.exposures.len() > 1;
        let named = |of: &str, text: &str| {
            if many { format!("{of}: {text}") } else { text.to_owned() }
        };
        let mut all = Exposure::default();
        for part in &self.exposures {
            all.at = all.at.max(part.at.clone());
            add(&mut all.looked, &part.looked);
            add(&mut all.unknown, &part.unknown);
            all.gateway_is_readable |= part.gateway_is_readable;
            if !all.gateway.is_empty() {
                all.gateway.push(' ');
            }
            all.gateway.push_str(&named(&part.of, &part.gateway));
            for secret in &part.secrets {
                let places = secret.places.iter().map(|place| named(&part.of, place));
                let same = |other: &&mut Exposed| {
                    other.what == secret.what && !secret.is_store && !other.is_store
                };
                if let Some(one) = all.secrets.iter_mut().find(same) {
                    one.places.extend(places);
                } else {
                    let what = if secret.is_store {
                        named(&part.of, &secret.what)
                    } else {
                        secret.what.clone()
                    };
                    let places = places.collect();
                    all.secrets.push(Exposed { what, places, ..secret.clone() });
                }
            }
        }
        self.exposure = Some(all);
    }
}

fn add(all: &mut Vec<String>, new: &[String]) {
    for text in new {
        if !all.contains(text) {
            all.push(text.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(of: &str, file: &str) -> Scope {
        let place = Place { host: of.into(), file: file.into(), ..Place::default() };
        let unknown = vec!["other machines".into()];
        Scope { of: of.into(), places: vec![place], unknown, ..Scope::default() }
    }

    #[test]
    fn a_second_machine_takes_nothing_from_the_first_and_a_second_look_replaces() {
        let mut incident = Incident::default();
        incident.found(vec![scope("laptop", "a"), scope("", "past")]);
        incident.found(vec![scope("server", "b")]);
        let files = |incident: &Incident| -> Vec<String> {
            incident.scope.iter().flat_map(|s| &s.places).map(|p| p.file.clone()).collect()
        };
        assert_eq!(files(&incident), ["past", "a", "b"]);
        incident.found(vec![scope("laptop", "c")]);
        assert_eq!(files(&incident), ["past", "c", "b"]);
        assert_eq!(incident.scope.as_ref().unwrap().unknown, ["other machines"]);
    }

    #[test]
    fn one_key_on_two_machines_is_one_key_with_both_places() {
        let part = |of: &str, readable| Exposure {
            of: of.into(),
            secrets: vec![Exposed {
                what: "a key".into(),
                places: vec![".env".into()],
                ..Exposed::default()
            }],
            gateway: "none.".into(),
            gateway_is_readable: readable,
            ..Exposure::default()
        };
        let mut incident = Incident::default();
        incident.readable(part("laptop", false));
        assert_eq!(incident.exposure.as_ref().unwrap().secrets[0].places, [".env"]);
        incident.readable(part("server", true));
        let all = incident.exposure.unwrap();
        assert_eq!(all.secrets.len(), 1);
        assert_eq!(all.secrets[0].places, ["laptop: .env", "server: .env"]);
        assert_eq!(all.gateway, "laptop: none. server: none.");
        assert!(all.gateway_is_readable);
    }
}
